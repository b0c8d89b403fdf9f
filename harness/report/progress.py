"""Show how far a run is: one line that is overwritten on a terminal, nothing in a pipe."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO


class Progress:
    """Counts what is done of ``total``, and says how long the rest will take."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self._total = total
        self._done = 0
        self._began = time.monotonic()
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()

    def step(self, what: str) -> None:
        """One more is done; ``what`` is its name."""
        self._done += 1
        if self._live:
            used = time.monotonic() - self._began
            left = used / self._done * (self._total - self._done)
            text = f"[{self._done}/{self._total}] {used:.0f} s, about {left:.0f} s to go · {what}"
            width = shutil.get_terminal_size().columns - 1
            self._stream.write("\r\x1b[K" + text[:width])
            self._stream.flush()

    def clear(self) -> None:
        """Take the line away, so that something else can be printed."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def mark(holds: bool | None) -> str:
    """Return the mark of a result; plain letters where the terminal has no others."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    signs = ("✓", "✗", "–") if encoding.startswith("utf") else ("ok", "NO", "-")
    return signs[0] if holds else signs[1] if holds is False else signs[2]
