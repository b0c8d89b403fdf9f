"""Read what all participants print, as it comes, and let others wait for it.

Each participant writes into a pipe of its own; one thread reads them all, so that no participant ever blocks on a
full pipe. Lines that are JSON objects with an ``event`` are reports; everything else is output for people.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import threading
import time
from collections.abc import Callable
from typing import Any

KEPT = 200_000
"""Characters of output that are kept of each participant; the oldest go first."""


class Stream:
    """What one participant printed until now."""

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self.reports: list[dict[str, Any]] = []
        """Decoded reports, in order."""
        self.closed = False
        """Every process that could write has gone."""
        self._descriptor = descriptor
        self._text = ""
        self._rest = b""

    @property
    def text(self) -> str:
        """The output for people."""
        return self._text + ("" if _is_report(self._rest) else self._rest.decode(errors="replace"))

    def last(self, lines: int = 20) -> str:
        """Return the last lines of the output."""
        return "\n".join(self.text.rstrip().splitlines()[-lines:])

    def pull(self) -> bool:
        """Read what is there; False at the end of the pipe."""
        while not self.closed:
            try:
                data = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                self.closed = True
                os.close(self._descriptor)
                break
            self._take(data)
        return False

    def close(self) -> None:
        """Stop reading."""
        if not self.closed:
            self.closed = True
            os.close(self._descriptor)

    def _take(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            report = _report(line)
            if report is not None:
                self.reports.append(report)
            else:
                self._text = (self._text + line.decode(errors="replace") + "\n")[-KEPT:]


class Outputs:
    """The streams of all participants of a lab."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._changed = threading.Condition(threading.RLock())
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._streams: list[Stream] = []
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="outputs", daemon=True)
        self._thread.start()

    def open(self, name: str) -> tuple[Stream, int]:
        """Return a new stream and the descriptor to hand to its process; the caller closes that one."""
        read, write = os.pipe()
        os.set_blocking(read, False)
        stream = Stream(name, read)
        with self._changed:
            self._streams.append(stream)
            self._selector.register(read, selectors.EVENT_READ, stream)
        self._wake()
        return stream, write

    def wait(self, ready: Callable[[], bool], deadline: float, tick: float = 0.2) -> bool:
        """Wait until ``ready()``, which is looked at after each new output and each ``tick`` seconds.

        Args:
            ready: Called with the lock held.
            deadline: ``time.monotonic()`` at which waiting ends.
            tick: For states that change without output.

        Returns:
            False when the deadline passed.
        """
        with self._changed:
            while not ready():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, tick))
            return True

    def pull(self) -> None:
        """Read all that has been written until now."""
        with self._changed:
            for stream in self._streams:
                if not stream.closed:
                    self._pull(stream)

    def close(self) -> None:
        """End the thread and close all pipes."""
        self._ended = True
        self._wake()
        self._thread.join()
        with self._changed:
            self._selector.close()
            for stream in self._streams:
                stream.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _wake(self) -> None:
        os.write(self._wake_write, b".")

    def _pull(self, stream: Stream) -> None:
        descriptor = stream._descriptor
        if not stream.pull():
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)

    def _work(self) -> None:
        while not self._ended:
            events = self._selector.select()
            with self._changed:
                for key, _ in events:
                    if key.data is None:
                        with contextlib.suppress(BlockingIOError):
                            os.read(self._wake_read, 1 << 12)
                    elif not key.data.closed:
                        self._pull(key.data)
                self._changed.notify_all()


def _is_report(line: bytes) -> bool:
    return line.startswith(b'{"event"')


def _report(line: bytes) -> dict[str, Any] | None:
    if not _is_report(line):
        return None
    try:
        # Text that the process's other threads write may follow in the same line.
        report, _end = json.JSONDecoder().raw_decode(line.decode())
    except ValueError:
        return None
    return report if isinstance(report, dict) else None
