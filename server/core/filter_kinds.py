"""The five channel filters: what each lets through, and what it makes of an update.

A filter is a frozen value; :meth:`Filter.start` gives a function that remembers for one subscription. Rules are those
of EPICS Base (``modules/database/src/std/filters``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from canet.server.core.pv import PV
from canet.server.core.update import Update

Pass = Callable[[Update], Update | None]
"""Takes each update of a PV; returns the update that goes on, or ``None``."""


class States:
    """Named states that ``sync`` filters follow (``dbState`` in EPICS Base)."""

    def __init__(self) -> None:
        self._flags: dict[str, bool] = {}

    def set(self, name: str, flag: bool) -> None:
        """Create the state ``name`` if there is none, and set it."""
        self._flags[name] = flag

    def get(self, name: str) -> bool:
        """Return whether the state is set; one that does not exist is not."""
        return self._flags.get(name, False)

    def __contains__(self, name: str) -> bool:
        return name in self._flags


STATES = States()
"""The states of this process."""


def set_state(name: str, flag: bool) -> None:
    """Set a state of this process, for ``sync`` filters; a channel whose filter names one needs it to exist."""
    STATES.set(name, flag)


@dataclass(frozen=True, slots=True)
class Filter:
    """Lets everything through: what filters do unless they say otherwise."""

    def start(self) -> Pass:
        """Begin for one subscription."""
        return self.read

    def read(self, update: Update) -> Update:
        """Return what a read gets."""
        return update

    def count(self, count: int) -> int:
        """Return how many of ``count`` elements are left."""
        return count


@dataclass(frozen=True, slots=True)
class Deadband(Filter):
    """``dbnd``: only changes beyond a band; arrays and text pass (``dbnd.c``).

    As in EPICS Base, an alarm that changes while the value stays does not pass.
    """

    delta: float
    relative: bool = False
    """``delta`` is in percent of the value that passed last."""

    def start(self) -> Pass:
        """Begin for one subscription; its first update passes."""
        last, band = math.nan, self.delta

        def run(update: Update) -> Update | None:
            nonlocal last, band
            value = update.value
            if not isinstance(value, int | float):
                return update
            if not _change(value, last) > band:
                return None
            last = value
            if self.relative:
                band = abs(value) * self.delta / 100
            return update

        return run


def _change(new: float, old: float) -> float:
    """How far apart two values are; to or from NaN and infinity it is any distance (``recGblCheckDeadband``)."""
    if math.isfinite(new) and math.isfinite(old):
        return abs(new - old)
    return 0.0 if new == old or (math.isnan(new) and math.isnan(old)) else math.inf


@dataclass(frozen=True, slots=True)
class Slice(Filter):
    """``arr`` and ``[s:i:e]``: elements of an array; negative places count from its end."""

    first: int = 0
    step: int = 1
    last: int = -1
    """Included."""

    def read(self, update: Update) -> Update:
        """Return the update with the chosen elements."""
        value = update.value
        if isinstance(value, str) or not hasattr(value, "__len__"):
            return update
        first, after = self._range(len(value))
        return replace(update, value=value[first : after : self.step])

    def count(self, count: int) -> int:
        """Return how many of ``count`` elements are left; a channel has at least one."""
        if count <= 1:
            return count
        first, after = self._range(count)
        return max(1, len(range(first, after, self.step)))

    def _range(self, length: int) -> tuple[int, int]:
        """Return first index and the one after the last, inside of the array (``wrapArrayIndices``)."""
        first = max(0, self.first + length if self.first < 0 else self.first)
        last = self.last + length if self.last < 0 else min(self.last, length - 1)
        return first, max(last + 1, 0)


@dataclass(frozen=True, slots=True)
class Stamp(Filter):
    """``ts``: the time stamp says when the update went through."""

    def read(self, update: Update) -> Update:
        """Return the update with the time of now."""
        return replace(update, stamp=PV.clock())


@dataclass(frozen=True, slots=True)
class Decimate(Filter):
    """``dec``: every nth update, beginning with the first."""

    n: int

    def start(self) -> Pass:
        """Begin for one subscription."""
        seen = 0

        def run(update: Update) -> Update | None:
            nonlocal seen
            passes = seen == 0
            seen = (seen + 1) % self.n
            return update if passes else None

        return run


@dataclass(frozen=True, slots=True)
class Sync(Filter):
    """``sync``: updates around the rise and fall of a named state (``sync.c``)."""

    mode: str
    """``before``, ``first``, ``last``, ``after``, ``while`` or ``unless``."""
    state: str
    states: States = field(repr=False)

    def start(self) -> Pass:
        """Begin for one subscription."""
        was = False
        last: Update | None = None

        def run(update: Update) -> Update | None:
            nonlocal was, last
            state = self.states.get(self.state)
            rises, falls, before = state and not was, was and not state, last
            was, last = state, update
            return {
                "before": before if rises else None,
                "first": update if rises else None,
                "last": before if falls else None,
                "after": update if falls else None,
                "while": update if state else None,
                "unless": None if state else update,
            }[self.mode]

        return run


SYNC_MODES = ("before", "first", "last", "after", "while", "unless")
