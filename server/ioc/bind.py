"""Turn an author's getters and putters, which know only values, into the hooks that the core calls."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from canet.server.core.pv import PV, Refused
from canet.server.ioc.kinds import Kind
from canet.server.protocol import eca


def bind_getter(kind: Kind, function: Callable[[], Any]) -> Callable[[PV], Any]:
    """Return a getter for the core; ``function`` is called without arguments."""

    def getter(pv: PV) -> Any:  # noqa: ARG001 - the core hands it to all getters
        return _written(kind, function())

    return getter


def bind_putter(kind: Kind, function: Callable[[Any], Any]) -> Callable[[PV, Any], Any]:
    """Return a putter for the core; ``function`` is called with the author's form of the written value.

    An index beyond the states is refused before: no author's code has to expect it.
    """
    states = len(kind.states)

    def putter(pv: PV, value: Any) -> Any:
        if states and value >= states:
            raise Refused(eca.PUTFAIL, f"{pv.name} has no state {value}")
        return _written(kind, function(kind.read(value)))

    return putter


def keep(_value: object) -> None:
    """Store the value as it was written: a putter that does nothing else."""


def _written(kind: Kind, result: Any) -> Any:
    """Bring a result, or what an awaitable gives, into the form of the PV."""
    if inspect.isawaitable(result):
        return _awaited(kind, result)
    return None if result is None else kind.write(result)


async def _awaited(kind: Kind, result: Awaitable[Any]) -> Any:
    found = await result
    return None if found is None else kind.write(found)
