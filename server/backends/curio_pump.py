"""Plain calls in curio, where nothing can be started or woken without ``await``.

They leave what they want in a queue, and one task, woken through a pipe, awaits it for them. Any thread may do so.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from canet.server.backends.curio_import import curio

log = logging.getLogger("canet.server")


class Pump:
    """Calls functions in the loop, soon, and awaits what they return."""

    def __init__(self) -> None:
        self._wanted: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._pipe, self._wake = socket.socketpair()
        self._pipe.setblocking(False)
        self._wake.setblocking(False)

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Call ``function`` in the loop, soon; from any thread."""
        self._wanted.append((function, args))
        if len(self._wanted) == 1:
            with contextlib.suppress(OSError):  # full: the task is awake already; closed: the end
                self._wake.send(b"x")

    async def run(self) -> None:
        """Do what was wanted, until cancelled."""
        while True:
            await curio.traps._read_wait(self._pipe)
            with contextlib.suppress(BlockingIOError):
                self._pipe.recv(4096)
            await self.drain()

    async def drain(self) -> None:
        """Do all that is wanted now."""
        while self._wanted:
            function, args = self._wanted[0]
            try:
                result = function(*args)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                log.exception("%s ended", getattr(function, "__qualname__", function))
            self._wanted.popleft()

    def close(self) -> None:
        """Close the pipe."""
        self._pipe.close()
        self._wake.close()


class Event:
    """An event that may be set without ``await``."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._flag = False
        self._event = curio.Event()

    def set(self) -> None:
        """Raise the flag."""
        if not self._flag:
            self._flag = True
            self._pump.call(self._event.set)

    def clear(self) -> None:
        """Lower the flag; a set that is still on its way wakes nobody who waits from now on."""
        if self._flag:
            self._flag = False
            self._event = curio.Event()

    def is_set(self) -> bool:
        """Return whether the flag is up."""
        return self._flag

    async def wait(self) -> None:
        """Wait until the flag is up."""
        if not self._flag:
            await self._event.wait()


class Task:
    """A task that starts soon."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self.started: Any = None
        self.cancelled = False

    def cancel(self) -> None:
        """Ask it to end."""
        self.cancelled = True
        if self.started is not None:
            self._pump.call(_cancel, self.started)


async def _cancel(task: Any) -> None:
    """Cancel a task without waiting for its end."""
    await task.cancel(blocking=False)
