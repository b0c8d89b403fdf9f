"""Channel filters: what a client adds to a PV's name to get less than every update, or a part of an array.

``NAME.{"dbnd":{"abs":1.5}}``, ``NAME.[2:10]`` and several at once, in their order (EPICS Base, ``filters.dbd.pod``):

======= ============================ ==========================================================================
dbnd    ``abs`` or ``rel`` (percent), only changes of more than this, since the last update that passed
        or ``d`` with ``m``
arr     ``s``, ``i``, ``e``           elements s, s+i … up to and with e; negative places count from the end
ts      –                            the time stamp is when the update is sent
sync    ``m`` with ``s``, or e.g.     updates before, first in, last in, after, while or unless a named state
        ``while``
dec     ``n``                         every nth update, beginning with the first
======= ============================ ==========================================================================

:func:`parse` gives a :class:`Chain`; each subscription has its own.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from canet.server.core import json5
from canet.server.core.filter_kinds import (
    STATES,
    SYNC_MODES,
    Deadband,
    Decimate,
    Filter,
    Slice,
    Stamp,
    States,
    Sync,
)
from canet.server.core.update import Update


class FilterError(ValueError):
    """A filter that cannot be understood: the channel is not created."""


class Chain:
    """Filters in their order, for one subscription: they remember what passed before."""

    __slots__ = ("_passes", "filters")

    def __init__(self, filters: Iterable[Filter]) -> None:
        self.filters = tuple(filters)
        self._passes = [each.start() for each in self.filters]

    def apply(self, update: Update) -> Update | None:
        """Return what is let through of an update of the PV, or ``None``."""
        found: Update | None = update
        for each in self._passes:
            if found is None:
                return None
            found = each(found)
        return found

    def read(self, update: Update) -> Update:
        """Return what a read through the channel gets: filters that drop updates do nothing here."""
        for each in self.filters:
            update = each.read(update)
        return update

    def count(self, count: int) -> int:
        """Return the element count to announce for a PV of ``count`` elements."""
        for each in self.filters:
            count = each.count(count)
        return count


_RANGE = re.compile(r"\[\s*(-?\d*)\s*(?::\s*(-?\d*)\s*)?(?::\s*(-?\d*)\s*)?\]")


def parse(text: str, states: States = STATES) -> Chain:
    """Read what follows a PV's name: ``[s:i:e]``, ``{…}``, or both.

    Args:
        text: The filters, as the client wrote them.
        states: The states that ``sync`` may name.

    Returns:
        The filters, in their order.

    Raises:
        FilterError: It cannot be understood, or names a filter or a state that does not exist.

    >>> parse('{"dbnd":{"abs":1.5},"dec":{"n":3}}').filters
    (Deadband(delta=1.5, relative=False), Decimate(n=3))
    """
    filters: list[Filter] = []
    if text.startswith("["):
        found = _RANGE.match(text)
        if found is None:
            raise FilterError(f"expected [start:step:end], found {text!r}")
        filters.append(_slice(found))
        text = text[found.end() :]
    if text:
        try:
            wanted = json5.parse(text)
        except json5.Json5Error as error:
            raise FilterError(f"filter {text!r}: {error}") from None
        if not isinstance(wanted, dict):
            raise FilterError(f"expected {{filter: {{…}}}}, found {text!r}")
        filters += [_filter(name, arguments, states) for name, arguments in wanted.items()]
    return Chain(filters)


def _slice(found: re.Match[str]) -> Slice:
    numbers = [int(group) if group not in ("", "-", None) else None for group in found.groups()]
    first, second, third = numbers
    if found[2] is None:  # [n]: one element
        index = first or 0
        return Slice(index, 1, index)
    if found[3] is None:
        return Slice(first or 0, 1, -1 if second is None else second)
    return Slice(first or 0, max(1, second or 1), -1 if third is None else third)


def _filter(name: str, arguments: Any, states: States) -> Filter:
    make = _FILTERS.get(name)
    if make is None:
        raise FilterError(f"there is no filter {name!r}: expected one of {', '.join(_FILTERS)}")
    if not isinstance(arguments, dict):
        raise FilterError(f"filter {name}: expected {{…}}, found {arguments!r}")
    return make(_Arguments(name, arguments), states)


class _Arguments:
    """The arguments of one filter, taken one by one; what is left in the end is a mistake."""

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self.name = name
        self.values = dict(values)

    def number(self, key: str, *, text: bool = True) -> float | None:
        """Take a number; some filters also take it as text (``chfDouble`` with conversion)."""
        if key not in self.values:
            return None
        value = self.values.pop(key)
        if isinstance(value, str) and text:
            with contextlib.suppress(ValueError):
                value = float(value)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise FilterError(f"filter {self.name}: expected a number for {key!r}, found {value!r}")
        return value

    def whole(self, key: str, *, text: bool = True) -> int | None:
        value = self.number(key, text=text)
        if value is not None and (not math.isfinite(value) or value != int(value)):
            raise FilterError(f"filter {self.name}: expected a whole number for {key!r}, found {value!r}")
        return None if value is None else int(value)

    def word(self, key: str, choices: tuple[str, ...] = ()) -> str | None:
        value = self.values.pop(key, None)
        if value is None or (isinstance(value, str) and (not choices or value in choices)):
            return value
        what = f"one of {', '.join(choices)}" if choices else "text"
        raise FilterError(f"filter {self.name}: expected {what} for {key!r}, found {value!r}")

    def end(self) -> None:
        for key in self.values:
            raise FilterError(f"filter {self.name} has no argument {key!r}")


def _deadband(arguments: _Arguments, states: States) -> Filter:  # noqa: ARG001 - as all
    mode = arguments.word("m", ("abs", "rel")) or "abs"
    delta = arguments.number("d")
    for tag in ("abs", "rel"):
        if (tagged := arguments.number(tag)) is not None:
            mode, delta = tag, tagged
    arguments.end()
    return Deadband(delta or 0.0, mode == "rel")


def _array(arguments: _Arguments, states: States) -> Filter:  # noqa: ARG001 - as all
    start, step, end = (arguments.whole(key) for key in "sie")
    arguments.end()
    return Slice(start or 0, max(1, step or 1), -1 if end is None else end)


def _stamp(arguments: _Arguments, states: States) -> Filter:  # noqa: ARG001 - as all
    arguments.end()
    return Stamp()


def _decimate(arguments: _Arguments, states: States) -> Filter:  # noqa: ARG001 - as all
    n = arguments.whole("n", text=False)
    arguments.end()
    if n is None or n < 1:
        raise FilterError("filter dec: expected 'n' of at least 1")
    return Decimate(n)


def _sync(arguments: _Arguments, states: States) -> Filter:
    mode, state = arguments.word("m", SYNC_MODES), arguments.word("s")
    for tag in SYNC_MODES:
        if (tagged := arguments.word(tag)) is not None:
            mode, state = tag, tagged
    arguments.end()
    if mode is None or state is None:
        raise FilterError(f"filter sync: expected 'm' (one of {', '.join(SYNC_MODES)}) and 's' (a state)")
    if state not in states:
        raise FilterError(f"filter sync: there is no state {state!r}")
    return Sync(mode, state, states)


_FILTERS: Mapping[str, Callable[[_Arguments, States], Filter]] = {
    "dbnd": _deadband,
    "arr": _array,
    "ts": _stamp,
    "sync": _sync,
    "dec": _decimate,
}
