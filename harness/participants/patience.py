"""How long a client waits, counted in time in which it could have acted (runs inside a lab)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

STEP: Final = 0.02
"""Seconds between two looks that count at most: what is above, the machine has taken."""


class Patience:
    """A time-out that stands still while a busy machine keeps the process waiting.

    A client that reads nothing within a second tells something about its network only if it had that second. Whoever
    waits looks every few milliseconds; a look that comes late shows that the process could not run, and whoever was to
    answer probably could not either.

    Args:
        seconds: how long to wait.
        clock: what counts them.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.left = seconds
        """Seconds that are left."""
        self._clock = clock
        self._looked = clock()

    def lasts(self) -> bool:
        """Look: count the time since the last look, and say whether any is left."""
        now = self._clock()
        self.left -= min(now - self._looked, STEP)
        self._looked = now
        return self.left > 0
