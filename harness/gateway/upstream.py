"""The client's side on the seam of the server's backends: one search socket, and one circuit to each server.

Decisions are in :mod:`canet.harness.gateway.seeking` and :mod:`canet.harness.client.circuit`; this only moves bytes.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Callable

from canet.harness.client.circuit import Channel, Circuit, Event
from canet.harness.gateway.seeking import Seeker
from canet.server.io.seam import Backend

log = logging.getLogger("canet.gateway")

CONNECT_SECONDS = 5.0
ECHO_SECONDS = 15.0
"""Seconds between two questions to a silent server whether it is alive; unanswered, its circuit is given up."""


class Search:
    """Searches names by UDP until they are found.

    Args:
        backend: the concurrency library.
        destinations: where searches go.
        found: told each name and the ``A:PORT`` of its server.
    """

    def __init__(
        self,
        backend: Backend,
        destinations: tuple[tuple[str, int], ...],
        found: Callable[[str, str], None],
        seeker: Seeker | None = None,
    ) -> None:
        self.seeker = seeker or Seeker()
        self._backend = backend
        self._destinations = destinations
        self._found = found
        self._wanted = backend.event()
        self._complained: set[tuple[str, int | None]] = set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.socket.bind(("", 0))
        self.port: int = self.socket.getsockname()[1]

    def start(self) -> None:
        """Begin; call it once, in the loop."""
        self._backend.spawn(self._backend.watch, self.socket, self._readable)
        self._backend.spawn(self._send)

    def want(self, name: str) -> None:
        """Search a name, the first time at once."""
        if self.seeker.want(name, time.monotonic()):
            self._send_due()
            self._wanted.set()

    def close(self) -> None:
        """Stop searching."""
        self._backend.close(self.socket)

    async def _send(self) -> None:
        while self.socket.fileno() >= 0:
            due = self.seeker.next
            if due is None:
                self._wanted.clear()
                await self._wanted.wait()
            elif (left := due - time.monotonic()) > 0:
                await self._backend.sleep(left)
            else:
                self._send_due()

    def _send_due(self) -> None:
        for data in self.seeker.due(time.monotonic()):
            for to in self._destinations:
                try:
                    self.socket.sendto(data, to)
                except OSError as error:
                    if (to[0], error.errno) not in self._complained:
                        self._complained.add((to[0], error.errno))
                        log.warning("cannot search at %s:%d: %s", *to, error.strerror)

    def _readable(self) -> bool:
        while True:
            try:
                data, (address, _port) = self.socket.recvfrom(65536)
            except BlockingIOError:
                return True
            except OSError:
                return self.socket.fileno() >= 0
            for name, where in self.seeker.answered(data, address):
                self._found(name, where)


class Line:
    """A circuit to one server.

    Args:
        backend: the concurrency library.
        address: ``A:PORT``.
        happened: told each event of the circuit.
        lost: told once, with the reason, when the circuit is gone or could not be made.
    """

    def __init__(
        self,
        backend: Backend,
        address: str,
        happened: Callable[[Line, Event], None],
        lost: Callable[[Line, str], None],
    ) -> None:
        self.address = address
        self.circuit = Circuit("gateway", socket.gethostname())
        self.names: dict[int, str] = {}
        """CID → name of each channel."""
        self._backend = backend
        self._happened = happened
        self._lost = lost
        self._out = bytearray()
        self._up = False
        self._gone = False
        self._draining = False
        self._heard = True
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)

    def open(self, name: str) -> Channel:
        """Open a channel."""
        channel = self.circuit.create(name)
        self.names[channel.cid] = name
        self.flush()
        return channel

    async def run(self) -> None:
        """Connect, and serve the circuit until it ends."""
        host, _, port = self.address.rpartition(":")
        status = self._socket.connect_ex((host, int(port)))
        if status not in (0, errno.EINPROGRESS):
            self._end(f"cannot be connected to: {errno.errorcode.get(status, status)}")
            return
        self._backend.spawn(self._give_up, CONNECT_SECONDS)
        await self._backend.watch(self._socket, _once, write=True)
        if self._gone:
            return
        status = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status:
            self._end(f"cannot be connected to: {errno.errorcode.get(status, status)}")
            return
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._up = True
        self.flush()
        self._backend.spawn(self._ask)
        await self._backend.watch(self._socket, self._readable)

    def flush(self) -> None:
        """Send what the circuit has to say."""
        self._out += self.circuit.outgoing()
        if not self._up or self._draining or self._gone:
            return
        self._push()
        if self._out and not self._gone:
            self._draining = True
            self._backend.spawn(self._drain)

    def close(self) -> None:
        """Close without telling anybody."""
        if not self._gone:
            self._gone = True
            self._backend.close(self._socket)

    def _push(self) -> None:
        try:
            while self._out:
                del self._out[: self._socket.send(self._out)]
        except BlockingIOError:
            pass
        except OSError as error:
            self._end(str(error.strerror))

    async def _drain(self) -> None:
        def writable() -> bool:
            self._push()
            return bool(self._out) and not self._gone

        await self._backend.watch(self._socket, writable, write=True)
        self._draining = False

    def _readable(self) -> bool:
        try:
            data = self._socket.recv(1 << 18)
        except BlockingIOError:
            return True
        except OSError as error:
            self._end(str(error.strerror))
            return False
        if not data:
            self._end("the server closed the connection")
            return False
        self._heard = True
        for event in self.circuit.receive(data):
            self._happened(self, event)
        self.flush()
        return not self._gone

    async def _give_up(self, seconds: float) -> None:
        await self._backend.sleep(seconds)
        if not self._up:
            self._end("does not answer")

    async def _ask(self) -> None:
        """Ask a silent server whether it is alive."""
        while not self._gone:
            self._heard = False
            await self._backend.sleep(ECHO_SECONDS)
            if self._gone or self._heard:
                continue
            self.circuit.echo()
            self.flush()
            await self._backend.sleep(ECHO_SECONDS)
            if not self._heard:
                self._end("is silent")

    def _end(self, reason: str) -> None:
        if not self._gone:
            self.close()
            self._lost(self, reason)


def _once() -> bool:
    """Let a watch end when it has seen its socket ready once."""
    return False
