"""A cable in user space that loses, delays, duplicates, reorders, corrupts and limits frames, by a seed.

:class:`Line` is one direction of a cable and pure: frames and times in, frames and times out; the same seed and the
same frames at the same times give the same fate. :class:`Relay` carries frames between interfaces by it.
netem does a part of it where the kernel has it, with the same results (:mod:`canet.netns.netem`).
"""

from __future__ import annotations

import contextlib
import heapq
import os
import random
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from canet.netns.topology import Impairment

HELD_BACK: Final = 0.010
"""Seconds that a reordered frame waits on top of the delay, so that later ones overtake it."""
QUEUE_FRAMES: Final = 1000
"""A line with more frames under way drops new ones, as netem does."""
_ETHERNET: Final = 14


class Line:
    """One direction of a cable. Times are seconds on any clock that only goes forward."""

    def __init__(self, impairment: Impairment) -> None:
        self.impairment = impairment
        self._random = random.Random(impairment.seed)
        self._queue: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._latest = 0.0
        self._free_at = 0.0

    def offer(self, frame: bytes, now: float) -> None:
        """Take a frame that enters the line. Next: ask :meth:`due`."""
        what = self.impairment
        # Each frame draws the same numbers whatever happens to it: one fault does not shift the others.
        lost, copied, held, broken = (self._random.random() for _ in range(4))
        spread, where = self._random.uniform(-1, 1), self._random.random()
        if what.cut or lost < what.loss or len(self._queue) >= QUEUE_FRAMES:
            return
        if broken < what.corrupt:
            frame = _flip(frame, where)
        start = now
        if what.rate is not None:
            start = max(now, self._free_at)
            self._free_at = start = start + len(frame) * 8 / what.rate
        when = start + max(0.0, what.delay + what.jitter * spread)
        if held < what.reorder:
            when += HELD_BACK
        else:
            self._latest = when = max(when, self._latest)  # jitter alone does not reorder
        for _ in range(2 if copied < what.duplicate else 1):
            self._count += 1
            heapq.heappush(self._queue, (when, self._count, frame))

    def due(self, now: float) -> list[bytes]:
        """Return the frames that leave the line by now, in order."""
        frames = []
        while self._queue and self._queue[0][0] <= now:
            frames.append(heapq.heappop(self._queue)[2])
        return frames

    @property
    def next_time(self) -> float | None:
        """When the next frame leaves, ``None`` if the line is empty."""
        return self._queue[0][0] if self._queue else None


def _flip(frame: bytes, where: float) -> bytes:
    """Flip one bit behind the Ethernet header."""
    bits = (len(frame) - _ETHERNET) * 8
    if bits <= 0:
        return frame
    byte, bit = divmod(int(where * bits), 8)
    data = bytearray(frame)
    data[_ETHERNET + byte] ^= 1 << bit
    return bytes(data)


class _Way:
    """A line and the sockets at its ends."""

    def __init__(self, line: Line, source: socket.socket, target: socket.socket) -> None:
        self.line = line
        self.source = source
        self.target = target


class Relay:
    """A thread that carries frames along lines. Sockets are AF_PACKET, bound, non-blocking."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ways: dict[int, _Way] = {}
        self._lock = threading.Lock()
        self._poll = select.poll()
        self._wakeup = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._wakeup, select.POLLIN)
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="canet-relay", daemon=True)
        self._thread.start()

    def carry(self, source: socket.socket, target: socket.socket, impairment: Impairment) -> None:
        """Carry what arrives at ``source`` to ``target`` from now on; calling it again changes the impairment."""
        with self._lock:
            self._ways[source.fileno()] = _Way(Line(impairment), source, target)
            self._poll.register(source, select.POLLIN)
        os.eventfd_write(self._wakeup, 1)

    def drop(self, source: socket.socket) -> None:
        """Carry nothing more from ``source``; frames under way are lost. The caller closes the socket."""
        with self._lock:
            if self._ways.pop(source.fileno(), None) is not None:
                self._poll.unregister(source)
        os.eventfd_write(self._wakeup, 1)

    def close(self) -> None:
        """End the thread."""
        self._stopped = True
        os.eventfd_write(self._wakeup, 1)
        self._thread.join(5.0)
        os.close(self._wakeup)

    def _work(self) -> None:
        timeout: float | None = None
        while not self._stopped:
            ready = self._poll.poll(timeout)
            with self._lock:
                for fd, _event in ready:
                    if fd == self._wakeup:
                        with contextlib.suppress(BlockingIOError):
                            os.eventfd_read(fd)
                    elif fd in self._ways:
                        self._take(self._ways[fd])
                timeout = self._give()

    def _take(self, way: _Way) -> None:
        try:
            while True:
                way.line.offer(way.source.recv(1 << 16), self._clock())
        except OSError:
            return  # nothing left, or the interface is down

    def _give(self) -> float | None:
        """Send what is due; return the milliseconds until the next frame is."""
        now = self._clock()
        times = []
        for way in self._ways.values():
            for frame in way.line.due(now):
                with contextlib.suppress(OSError):  # a full queue or an interface that is down loses frames
                    way.target.send(frame)
            if way.line.next_time is not None:
                times.append(way.line.next_time)
        return max(0.0, min(times) - now) * 1000 if times else None
