"""How long a client waits, counted in time in which it could have acted (runs inside a lab)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

STEP: Final = 0.02
"""Seconds between two looks that count at most: what is above, the machine has taken."""
BEFORE: Final = 1.0
"""Seconds, counted alike, after which the time begins in any case: libca does not count searches over TCP."""


def _at_once() -> bool:
    return True


class Patience:
    """A time-out that stands still while a busy machine keeps the process waiting.

    A client that reads nothing within a second tells something about its network only if it had that second. Whoever
    waits looks every few milliseconds; a look that comes late shows that the process could not run, and whoever was to
    answer probably could not either.

    Args:
        seconds: how long to wait.
        begun: whether the client has sent its first search; its time begins with that, and does not stop again.
        clock: what counts the seconds.
    """

    def __init__(
        self, seconds: float, begun: Callable[[], bool] = _at_once, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.left = seconds
        """Seconds that are left."""
        self._before = BEFORE
        self._begun = begun
        self._clock = clock
        self._looked = clock()

    def lasts(self) -> bool:
        """Look: count the time since the last look, and say whether any is left."""
        now = self._clock()
        step, self._looked = min(now - self._looked, STEP), now
        if self._before <= 0:
            self.left -= step
        elif self._begun():
            self._before = 0.0
            self.left -= step
        else:
            self._before -= step
        return self.left > 0
