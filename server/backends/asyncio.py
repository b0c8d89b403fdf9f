"""The seam on asyncio; on uvloop where it is installed."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from canet.server.backends.queue import EventQueue
from canet.server.io.seam import Main

T = TypeVar("T")
Done = asyncio.Future[None]
log = logging.getLogger("canet.server")


class Event(asyncio.Event):
    """An event; asyncio's own returns a value from ``wait``."""

    async def wait(self) -> None:  # type: ignore[override]  # the value is never of use
        """Wait until the flag is up."""
        await super().wait()


class Asyncio:
    """See :class:`canet.server.io.seam.Backend`."""

    name = "asyncio"

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._waits: dict[socket.socket, set[Done]] = {}

    def run(self, main: Main[T]) -> T:
        """Run ``main(self)``, then cancel what it spawned."""
        try:
            from uvloop import new_event_loop  # type: ignore[import-not-found,unused-ignore]  # is an extra
        except ImportError:
            from asyncio import new_event_loop

        async def all_of_it() -> T:
            self._loop = asyncio.get_running_loop()
            self._interrupted = Event()
            for each in (signal.SIGINT, signal.SIGTERM):
                try:
                    self._loop.add_signal_handler(each, self._interrupted.set)
                except (ValueError, RuntimeError):  # not in the main thread: somebody else minds the signals
                    break
            return await main(self)

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(all_of_it())

    async def interrupted(self) -> None:
        """Wait for SIGINT or SIGTERM."""
        await self._interrupted.wait()

    async def watch(self, sock: socket.socket, on_ready: Callable[[], bool], *, write: bool = False) -> None:
        """Call ``on_ready`` from the loop itself, without waking a task."""
        if sock.fileno() < 0:
            return
        add = self._loop.add_writer if write else self._loop.add_reader
        remove = self._loop.remove_writer if write else self._loop.remove_reader
        done = self._loop.create_future()

        def ready() -> None:
            try:
                if on_ready():
                    return
            except Exception:
                log.exception("a socket is no longer watched")
            if sock.fileno() >= 0:
                remove(sock)
            self._end(done)

        self._waits.setdefault(sock, set()).add(done)
        add(sock, ready)
        try:
            await done
        finally:
            waits = self._waits[sock]
            waits.discard(done)
            if not waits:
                del self._waits[sock]
            if sock.fileno() >= 0:
                remove(sock)

    def close(self, sock: socket.socket) -> None:
        """End all waits for a socket, and close it."""
        if sock in self._waits:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
            for done in self._waits[sock]:
                self._end(done)
        sock.close()

    @staticmethod
    def _end(done: Done) -> None:
        """End a wait."""
        if not done.done():
            done.set_result(None)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def event(self) -> Event:
        """Return a new event."""
        return Event()

    def queue(self) -> EventQueue:
        """Return a new queue."""
        return EventQueue(Event())

    def spawn(self, function: Callable[..., Awaitable[object]], *args: Any) -> asyncio.Task[object]:
        """Start a task."""

        async def guarded() -> None:
            try:
                await function(*args)
            except Exception:
                log.exception("%s ended", getattr(function, "__qualname__", function))

        task = self._loop.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def soon(self, function: Callable[[], object]) -> None:
        """Call after the present callback."""
        self._loop.call_soon(function)

    async def run_in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Run in a worker thread."""
        return await asyncio.to_thread(function, *args)

    def from_thread(self, function: Callable[..., object], *args: Any) -> None:
        """Call in the loop, from any thread."""
        self._loop.call_soon_threadsafe(function, *args)
