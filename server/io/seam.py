"""What the driver needs of a concurrency library. Three files in :mod:`canet.server.backends` supply it.

Plain methods do not wait and may be called from any callback in the loop's thread; async methods wait. Nothing here
knows Channel Access.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Main = Callable[["Backend"], Awaitable[T]]


class Event(Protocol):
    """A flag that tasks wait for."""

    def set(self) -> None:
        """Raise the flag and wake all who wait; may be called in any callback."""

    def clear(self) -> None:
        """Lower the flag."""

    def is_set(self) -> bool:
        """Return whether the flag is up."""

    async def wait(self) -> None:
        """Wait until the flag is up."""


class Queue(Protocol):
    """Items from callbacks or tasks to a task, in order."""

    def put(self, item: Any) -> None:
        """Add an item; never waits."""

    async def get(self) -> Any:
        """Wait for the next item."""


class Task(Protocol):
    """Something that was spawned."""

    def cancel(self) -> object:
        """Ask it to end; does not wait."""


class Backend(Protocol):
    """One concurrency library."""

    name: str

    def run(self, main: Main[T]) -> T:
        """Run ``main(backend)`` to its end; then cancel what was spawned and still runs.

        SIGINT and SIGTERM make :meth:`interrupted` return; they raise nothing.
        """

    async def interrupted(self) -> None:
        """Wait for SIGINT or SIGTERM."""

    async def watch(self, sock: socket.socket, on_ready: Callable[[], bool], *, write: bool = False) -> None:
        """Call ``on_ready()`` whenever ``sock`` is readable (``write``: can take bytes), until it returns False."""

    def close(self, sock: socket.socket) -> None:
        """End all waits for ``sock``, so that a :meth:`watch` of it returns, and close it."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def event(self) -> Event:
        """Return a new event."""

    def queue(self) -> Queue:
        """Return a new, empty queue."""

    def spawn(self, function: Callable[..., Awaitable[object]], *args: Any) -> Task:
        """Start a task; an exception that leaves it is logged, and ends only the task."""

    def soon(self, function: Callable[[], object]) -> None:
        """Call a plain function in the loop, after the present callback."""

    async def run_in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Run a blocking function in a worker thread and wait for its result."""

    def from_thread(self, function: Callable[..., object], *args: Any) -> None:
        """Call a plain function in the loop, soon; the only method that any thread may call."""
