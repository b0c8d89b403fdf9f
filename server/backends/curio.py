"""The seam on curio."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from canet.server.backends.curio_import import curio
from canet.server.backends.curio_pump import Event, Pump, Task
from canet.server.backends.queue import EventQueue
from canet.server.io.seam import Main

T = TypeVar("T")
log = logging.getLogger("canet.server")


class SocketClosed(curio.CancelledError):  # type: ignore[misc]  # curio has no types
    """The socket that a task waits for is closed."""


class Curio:
    """See :class:`canet.server.io.seam.Backend`."""

    name = "curio"

    def run(self, main: Main[T]) -> T:
        """Run ``main(self)``, then cancel what it spawned."""
        result: T = curio.run(self._run, main)
        return result

    async def _run(self, main: Main[T]) -> T:
        """Set up pump and signals around ``main``."""
        self._pump = Pump()
        self._tasks: set[Any] = set()
        self._waits: dict[socket.socket, set[Any]] = {}
        self._interrupted = self.event()
        with contextlib.suppress(ValueError):  # not in the main thread: somebody else minds the signals
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, lambda *_: self.from_thread(self._interrupted.set))
        pump = await curio.spawn(self._pump.run, daemon=True)
        try:
            return await main(self)
        finally:
            await pump.cancel()
            await self._pump.drain()
            for task in list(self._tasks):
                await task.cancel()
            self._pump.close()

    def from_thread(self, function: Callable[..., object], *args: Any) -> None:
        """Call in the loop, from any thread."""
        self._pump.call(function, *args)

    def soon(self, function: Callable[[], object]) -> None:
        """Call after the present callback."""
        self._pump.call(function)

    async def interrupted(self) -> None:
        """Wait for SIGINT or SIGTERM."""
        await self._interrupted.wait()

    async def watch(self, sock: socket.socket, on_ready: Callable[[], bool], *, write: bool = False) -> None:
        """Wait and call, in this task."""
        if sock.fileno() < 0:
            return
        wait = curio.traps._write_wait if write else curio.traps._read_wait
        waits = self._waits.setdefault(sock, set())
        task = await curio.current_task()
        waits.add(task)
        try:
            while True:
                await wait(sock)
                if not on_ready():
                    return
        except SocketClosed:
            return
        finally:
            waits.discard(task)

    def close(self, sock: socket.socket) -> None:
        """End all waits for a socket, and close it."""
        self._pump.call(self._close, sock)

    async def _close(self, sock: socket.socket) -> None:
        """Interrupt who waits for a socket, and close it when nobody does."""
        for task in list(self._waits.pop(sock, ())):
            await task.cancel(exc=SocketClosed, blocking=False)
        await curio.traps._io_release(sock)
        sock.close()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await curio.sleep(seconds)

    def event(self) -> Event:
        """Return a new event."""
        return Event(self._pump)

    def queue(self) -> EventQueue:
        """Return a new queue."""
        return EventQueue(self.event())

    def spawn(self, function: Callable[..., Awaitable[object]], *args: Any) -> Task:
        """Start a task, soon."""
        handle = Task(self._pump)

        async def guarded() -> None:
            try:
                await function(*args)
            except Exception:
                log.exception("%s ended", getattr(function, "__qualname__", function))
            finally:
                self._tasks.discard(handle.started)

        async def start() -> None:
            if not handle.cancelled:
                handle.started = await curio.spawn(guarded, daemon=True)
                self._tasks.add(handle.started)

        self._pump.call(start)
        return handle

    async def run_in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Run in a worker thread."""
        result: T = await curio.run_in_thread(function, *args)
        return result
