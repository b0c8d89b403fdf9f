"""The seam on trio."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio

from canet.server.backends.queue import EventQueue
from canet.server.io.seam import Main

T = TypeVar("T")
log = logging.getLogger("canet.server")


class Event:
    """An event that can be lowered again, which trio's cannot."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def set(self) -> None:
        """Raise the flag."""
        self._event.set()

    def clear(self) -> None:
        """Lower the flag."""
        if self._event.is_set():
            self._event = trio.Event()

    def is_set(self) -> bool:
        """Return whether the flag is up."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Wait until the flag is up."""
        await self._event.wait()


class Trio:
    """See :class:`canet.server.io.seam.Backend`."""

    name = "trio"

    def run(self, main: Main[T]) -> T:
        """Run ``main(self)``, then cancel what it spawned."""

        async def all_of_it() -> T:
            self._token = trio.lowlevel.current_trio_token()
            self._interrupted = trio.Event()
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                try:
                    await nursery.start(self._signals)
                    return await main(self)
                finally:
                    nursery.cancel_scope.cancel()

        result: T = trio.run(all_of_it)
        return result

    async def _signals(self, task_status: trio.TaskStatus[None]) -> None:
        """Wait for signals, where this is the main thread."""
        try:
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                task_status.started()
                async for _ in signals:
                    self._interrupted.set()
        except RuntimeError:  # not in the main thread: somebody else minds the signals
            task_status.started()

    async def interrupted(self) -> None:
        """Wait for SIGINT or SIGTERM."""
        await self._interrupted.wait()

    async def watch(self, sock: socket.socket, on_ready: Callable[[], bool], *, write: bool = False) -> None:
        """Wait and call, in this task."""
        wait = trio.lowlevel.wait_writable if write else trio.lowlevel.wait_readable
        try:
            while True:
                await wait(sock)
                if not on_ready():
                    return
        except (trio.ClosedResourceError, ValueError, OSError):
            if sock.fileno() >= 0:  # not that the socket was closed
                raise

    def close(self, sock: socket.socket) -> None:
        """End all waits for a socket, and close it."""
        if sock.fileno() >= 0:
            trio.lowlevel.notify_closing(sock)
        sock.close()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await trio.sleep(seconds)

    def event(self) -> Event:
        """Return a new event."""
        return Event()

    def queue(self) -> EventQueue:
        """Return a new queue."""
        return EventQueue(Event())

    def spawn(self, function: Callable[..., Awaitable[object]], *args: Any) -> trio.CancelScope:
        """Start a task."""
        scope = trio.CancelScope()

        async def guarded() -> None:
            with scope:
                try:
                    await function(*args)
                except Exception:
                    log.exception("%s ended", getattr(function, "__qualname__", function))

        self._nursery.start_soon(guarded)
        return scope

    def soon(self, function: Callable[[], object]) -> None:
        """Call after the present callback."""
        self._token.run_sync_soon(function)

    async def run_in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Run in a worker thread."""
        return await trio.to_thread.run_sync(function, *args, abandon_on_cancel=True)

    def from_thread(self, function: Callable[..., object], *args: Any) -> None:
        """Call in the loop, from any thread."""
        self._token.run_sync_soon(function, *args)
