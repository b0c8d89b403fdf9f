"""The driver: opens the sockets that the core plans, answers searches, and follows changes of the interfaces.

With :mod:`canet.server.io.clients` and :mod:`canet.server.io.announcer`, this is the only place with tasks. It decides
nothing about Channel Access.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from canet.server.core.binding import Plan, Search, plan
from canet.server.core.pv import PV
from canet.server.core.server import Server
from canet.server.io import sockets
from canet.server.io.addresses import resolve
from canet.server.io.announcer import Announcer
from canet.server.io.clients import Clients
from canet.server.io.complaints import Complaints
from canet.server.io.interfaces import change_socket, interfaces
from canet.server.io.seam import Backend

log = logging.getLogger("canet.server")

_DATAGRAMS = 64
"""Datagrams that are read before others get their turn."""
Trace = Callable[[str, str, bytes], None]
"""Told each datagram: from where, through which socket, its bytes."""


@dataclass(slots=True)
class Addresses:
    """What a running server is bound to, as ``A:PORT``."""

    udp: list[str] = field(default_factory=list)
    tcp: list[str] = field(default_factory=list)


PV.clock = time.time_ns
"""Whoever can drive a server has the real time."""


class Driver:
    """Runs a :class:`Server` on a backend.

    Args:
        server: the core.
        backend: the concurrency library.
        trace: told each datagram that was read.
    """

    def __init__(self, server: Server, backend: Backend, *, trace: Trace | None = None) -> None:
        self.server = server
        self.backend = backend
        self.trace = trace
        self.stopping = backend.event()
        self._searches: dict[Search, socket.socket] = {}
        self._listeners: list[socket.socket] = []
        self._complain = Complaints()
        self._clients = Clients(server, backend, self._complain)
        self._announcer: Announcer | None = None
        self._buffer = bytearray(65536)

    @property
    def addresses(self) -> Addresses:
        """What the server is bound to."""
        return Addresses(
            ["{}:{}".format(*sock.getsockname()) for sock in self._searches.values()],
            ["{}:{}".format(*sock.getsockname()) for sock in self._listeners],
        )

    async def serve(self, ready: Callable[[Addresses], object] | None = None) -> None:
        """Serve until :attr:`stopping` is set; call ``ready`` when all sockets are open.

        Raises:
            OSError: if nothing at all can be bound.
        """
        server, backend = self.server, self.backend
        server.config = resolve(server.config)
        for warning in server.config.warnings:
            log.warning("%s", warning)
        changes = self._open_changes()
        try:
            self._open(plan(server.config, interfaces()))
            if changes is not None:
                backend.spawn(self._follow_changes, changes)
            backend.spawn(self._clients.look_for_the_gone)
            if ready is not None:
                ready(self.addresses)
            await self.stopping.wait()
        finally:
            self._close_all(changes)

    def stop(self) -> None:
        """Make :meth:`serve` return: beacons stop, then circuits are closed."""
        self.stopping.set()

    # Opening and closing.

    def _open(self, first: Plan) -> None:
        """Open listeners and search sockets."""
        server = self.server
        tcp = list(first.tcp)
        while True:
            try:
                listeners = sockets.listen(tcp, server.config.server_port)
                break
            except OSError as error:
                missing = [each for each in tcp if not _bindable(each)]
                if error.errno != errno.EADDRNOTAVAIL or not missing or len(missing) == len(tcp):
                    raise
                log.warning("not served, no interface has the address: %s", ", ".join(missing))
                tcp = [each for each in tcp if each not in missing]
        self._add_listeners(listeners)
        port = listeners[0].getsockname()[1]
        server.responder.port = port
        os.environ["RSRV_SERVER_PORT"] = str(port)
        self._announcer = Announcer(self.backend, self._complain, port, server.config)
        self.backend.spawn(self._announcer.run)
        self._apply(first)
        if not self._searches:
            raise OSError(errno.EADDRNOTAVAIL, "none of the addresses to search on can be bound")

    def _apply(self, wanted: Plan) -> None:
        """Open the search sockets that are missing, and bring beacons up to date."""
        for search in wanted.searches:
            bound = next((each for each in self._searches if each.bind == search.bind), None)
            if bound is not None:
                self._join(self._searches[bound], search)
                continue
            try:
                sock = sockets.search_socket(search, self.server.config)
            except OSError as error:
                self._complain(f"cannot listen for searches at {search.bind}", error)
                continue
            self._searches[search] = sock
            self.backend.spawn(self._answer_searches, sock)
        port = self.server.responder.port
        missing = set(wanted.tcp) - {listener.getsockname()[0] for listener in self._listeners}
        for address in missing:
            try:
                self._add_listeners([sockets.listener(address, port)])
            except OSError as error:
                self._complain(f"cannot take clients at {address}:{port}", error)
        if self._announcer is not None:
            self._announcer.send_to(wanted.beacons)

    def _add_listeners(self, listeners: list[socket.socket]) -> None:
        """Take clients in at these sockets."""
        for listener in listeners:
            self._listeners.append(listener)
            self.backend.spawn(self._clients.accept, listener)

    def _join(self, sock: socket.socket, search: Search) -> None:
        """Join the groups of a socket that is open, on interfaces that may be new."""
        for group, source in search.groups:
            try:
                sockets.join(sock, group, source)
            except OSError as error:
                self._complain(f"cannot join {group} on {source}", error)

    def _close_all(self, changes: socket.socket | None) -> None:
        """Close everything: first what lets new clients in, then the circuits with what they still have to send."""
        for sock in (*self._searches.values(), *self._listeners, *([changes] if changes else ())):
            self.backend.close(sock)
        if self._announcer is not None:
            self._announcer.stop()
        self._clients.stop()
        self._searches.clear()
        self._listeners.clear()

    # Interfaces.

    def _open_changes(self) -> socket.socket | None:
        """Open the socket that tells of changes, where the kernel lets us."""
        try:
            return change_socket()
        except OSError as error:
            log.warning("interfaces that appear later will not be noticed: %s", error)
            return None

    async def _follow_changes(self, changes: socket.socket) -> None:
        """Look at the interfaces again whenever the kernel says that one changed."""

        def changed() -> bool:
            try:
                while True:
                    changes.recv(65536)
            except BlockingIOError:
                pass
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # word was lost, but it is enough to know that there was some
                    return False
            self._apply(plan(self.server.config, interfaces()))
            return not self.stopping.is_set()

        await self.backend.watch(changes, changed)

    # Searches.

    async def _answer_searches(self, sock: socket.socket) -> None:
        """Answer datagrams through the socket they came by."""
        server, buffer, trace = self.server, self._buffer, self.trace
        view = memoryview(buffer)
        name = "{}:{}".format(*sock.getsockname())

        def readable() -> bool:
            # First all that wait are read, then all are answered: the queue is short and overflows less easily so, and
            # what a client sent in one go is answered in one go.
            waiting: list[tuple[tuple[str, int], list[bytes]]] = []
            last = None
            for _ in range(_DATAGRAMS):
                try:
                    size, sender = sock.recvfrom_into(buffer)
                except BlockingIOError:
                    break
                except OSError as error:
                    if sock.fileno() < 0:
                        return False
                    self._complain(f"reading searches at {name}", error)
                    break
                data = bytes(view[:size])
                if trace is not None:
                    trace("{}:{}".format(*sender), name, data)
                if sender != last:
                    waiting.append((sender, []))
                    last = sender
                waiting[-1][1].append(data)
            for sender, datagrams in waiting:
                for reply in server.datagrams(datagrams, sender[0]):
                    try:
                        sock.sendto(reply, sender)
                    except OSError as error:
                        # The address is not part of what is remembered: there may be any number of them.
                        self._complain(f"cannot answer searches from {name}", error, f" (first to {sender[0]})")
            return True

        await self.backend.watch(sock, readable)

    def send_datagram(self, data: bytes, to: tuple[str, int], through: str) -> None:
        """Send a reply that comes later than its search, by the search socket (``A:PORT``) that the search came by."""
        for sock in self._searches.values():
            if "{}:{}".format(*sock.getsockname()) == through:
                try:
                    sock.sendto(data, to)
                except OSError as error:
                    self._complain(f"cannot answer {to[0]} from {through}", error)


def _bindable(address: str) -> bool:
    """Return whether this host has the address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((address, 0))
        except OSError:
            return False
        return True
