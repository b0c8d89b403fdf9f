"""Mark methods of a group as hooks: what runs at the start, again and again, at the end, and for one PV.

A mark is left on the function; :class:`canet.server.ioc.group.Group` finds it. So hooks stay ordinary methods, which
can be called, overridden and inherited.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
When = Literal["startup", "scan", "shutdown", "getter", "putter"]
_MARKS = "__canet_hooks__"


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """What a method is for."""

    when: When
    declaration: Any = None
    """The declaration of the PV that it belongs to; ``None``: the group."""
    period: float = 0.0
    """Seconds between two calls of a scan."""


def mark(function: F, found: Mark) -> F:
    """Leave a mark on a function."""
    setattr(function, _MARKS, (*marks_of(function), found))
    return function


def marks_of(function: object) -> tuple[Mark, ...]:
    """Return the marks of a function."""
    found: tuple[Mark, ...] = getattr(function, _MARKS, ())
    return found


def startup(function: F) -> F:
    """Run a method, plain or async, before the first client is served.

    Clients are answered when all of them have finished. What never ends belongs into :func:`scan`, or into a task:
    ``self.io.spawn(self.work)``.
    """
    return mark(function, Mark("startup"))


def shutdown(function: F) -> F:
    """Run a method, plain or async, when the IOC ends; no client is served any more."""
    return mark(function, Mark("shutdown"))


def scan(period: float) -> Callable[[F], F]:
    """Run a method, plain or async, every ``period`` seconds.

    Calls keep to the grid of their first one: one that takes longer than the period skips the times that it missed.
    One that raises is logged and called again.

    Args:
        period: Seconds, more than 0.

    Raises:
        ValueError: The period is not more than 0.
    """
    check_period(period)

    def decorate(function: F) -> F:
        return mark(function, Mark("scan", period=period))

    return decorate


def check_period(period: float) -> None:
    """Refuse what is no period."""
    if not period > 0:
        raise ValueError(f"a scan needs a period of more than 0 seconds, not {period}")
