"""How a Python value becomes a PV's: its DBR type, its states, and the way between the author's value and the wire's.

float, int, text and arrays are what they are. A bool is an enumeration of Off and On, a member of an
:class:`enum.Enum` one of all its members, and text with ``states`` one of those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from canet.server.protocol.dbr import ENUM, MAX_STATES, Native

NATIVE_NAMES = {native.name.lower(): native for native in Native}
"""What an author may call a type: double, float, long, short, char, enum, string."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One way between an author's values and a PV's."""

    native: Native | None = None
    """``None``: as the first value suggests."""
    states: tuple[str, ...] = ()
    read: Callable[[Any], Any] = lambda value: value
    write: Callable[[Any], Any] = lambda value: value


def kind_of(value: object, states: Sequence[str] = (), native: str | None = None) -> Kind:
    """Choose the kind of a PV.

    Args:
        value: Its first value.
        states: Names of the states, for text that is one of them.
        native: One of :data:`NATIVE_NAMES`, to overrule what the value suggests.

    Raises:
        ValueError: The type's name is unknown, or there are too many states.

    >>> kind = kind_of("open", ("closed", "open"))
    >>> kind.read(1), kind.write("closed")
    ('open', 'closed')
    """
    if native is not None and native not in NATIVE_NAMES:
        raise ValueError(f"type {native!r} is none of {', '.join(sorted(NATIVE_NAMES))}")
    if len(states) > MAX_STATES:
        raise ValueError(f"{len(states)} states, at most {MAX_STATES} reach a client")
    if isinstance(value, Enum):
        return _enumeration(type(value))
    if states:
        names = tuple(states)
        return Kind(ENUM, names, lambda index: names[index] if index < len(names) else str(index))
    if isinstance(value, bool) and native is None:
        return Kind(ENUM, ("Off", "On"), bool, int)
    return Kind(None if native is None else NATIVE_NAMES[native])


def _enumeration(members: type[Enum]) -> Kind:
    """Return the kind of an Enum: states are called by the members' texts, or else by their names."""
    choices = list(members)
    if len(choices) > MAX_STATES:
        raise ValueError(f"{members.__name__} has {len(choices)} members, at most {MAX_STATES} reach a client")
    names = tuple(each.value if isinstance(each.value, str) else each.name for each in choices)
    return Kind(ENUM, names, lambda index: choices[index], lambda member: choices.index(members(member)))
