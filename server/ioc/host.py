"""What a tree of groups shares: the directory of its PVs and, while it runs, the loop that serves them."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from canet.server.core.names import Directory
from canet.server.core.pv import PV
from canet.server.io.seam import Event, Queue, Task

T = TypeVar("T")


class IO(Protocol):
    """What hooks may do with time, tasks and threads; the same on every backend."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def event(self) -> Event:
        """Return a new flag."""

    def queue(self) -> Queue:
        """Return a new, empty queue."""

    def spawn(self, function: Callable[..., Awaitable[object]], *args: Any) -> Task:
        """Start a task; an exception that leaves it is logged, and ends only the task."""

    async def run_in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Run a blocking function in a worker thread and wait for its result."""

    def from_thread(self, function: Callable[..., object], *args: Any) -> None:
        """Call a plain function in the loop, soon; any thread may ask for it."""


class Host:
    """The place where groups live."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.withdraw: Callable[[PV], None] = _told_nobody
        """Tells clients that a PV is gone; set while a server runs."""
        self.stop: Callable[[], None] = _nothing_to_stop
        """Ends the IOC; set while a server runs."""
        self._io: IO | None = None
        self._thread = 0

    @property
    def io(self) -> IO:
        """The running loop's primitives.

        Raises:
            RuntimeError: Nothing runs yet.
        """
        if self._io is None:
            raise RuntimeError("io is there when the IOC runs: use it in hooks, not in __init__")
        return self._io

    def started(self, io: IO) -> None:
        """Take note that a loop runs, in this thread."""
        self._io = io
        self._thread = threading.get_ident()

    def stopped(self) -> None:
        """Take note that it runs no longer."""
        self._io = None

    def call(self, function: Callable[..., object], *args: Any, **options: Any) -> None:
        """Call a plain function in the loop's thread: at once if we are in it, or if nothing runs; else soon."""
        if self._io is None or threading.get_ident() == self._thread:
            function(*args, **options)
        else:
            self._io.from_thread(lambda: function(*args, **options))


def _told_nobody(_pv: PV) -> None:
    """Tell no client: none can be there yet."""


def _nothing_to_stop() -> None:
    """Stop nothing: the IOC does not run yet."""
