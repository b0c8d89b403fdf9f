"""The driver: moves bytes between sockets and the core. The only place with tasks; it decides nothing about CA.

Whatever the driver calls in the core, it afterwards looks at what the core wants (:meth:`Driver._after`): circuits
with bytes to send, hooks to run. Reading and answering happens in one callback, without a task in between.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from canet.server.core.beacon import Beacons, Destination
from canet.server.core.binding import Plan, Search, plan
from canet.server.core.circuit import Circuit
from canet.server.core.hooks import Job
from canet.server.core.pv import PV
from canet.server.core.server import Server
from canet.server.io import sockets
from canet.server.io.addresses import resolve
from canet.server.io.interfaces import change_socket, interfaces
from canet.server.io.seam import Backend, Event

log = logging.getLogger("canet.server")

_READ = 256 * 1024
_QUICK = 100e-6
"""Seconds within which a client that asks one thing at a time sends its next request."""
_LINGER = 50e-6
"""Seconds that such a client is waited for in place: going through the loop takes longer than that."""
_TURNS = 32
"""Requests that are taken in place before others get their turn."""
_DATAGRAMS = 64
"""Datagrams that are read before others get their turn."""
_RETRY = 0.1
"""Seconds to wait when descriptors or buffers have run out."""
_GONE = 1.5
"""Connection timeouts without an acknowledgement of what is sent, after which a client's host counts as gone."""
_SHUT = (errno.ECONNABORTED, errno.EPROTO, errno.EINTR)

Trace = Callable[[str, str, bytes], None]
"""Told each datagram: from where, through which socket, its bytes."""


@dataclass(slots=True, eq=False)
class _Connection:
    """A client's socket and its circuit."""

    sock: socket.socket
    circuit: Circuit
    resumed: Event
    draining: bool = False
    """A task waits for the socket to take more."""
    closed: bool = False


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
        self._connections: dict[Circuit, _Connection] = {}
        self._searches: dict[Search, socket.socket] = {}
        self._listeners: list[socket.socket] = []
        self._beacon_sockets: dict[str, socket.socket] = {}
        self._beacons: Beacons | None = None
        self._beacons_changed = backend.event()
        self._complained: set[tuple[str, int | None]] = set()
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
        server.wake = lambda: backend.soon(self._after)
        server.relieve = self._relieve
        changes = self._open_changes()
        try:
            self._open(plan(server.config, interfaces()))
            if changes is not None:
                backend.spawn(self._follow_changes, changes)
            backend.spawn(self._send_beacons)
            backend.spawn(self._look_for_the_gone)
            if ready is not None:
                ready(self.addresses)
            await self.stopping.wait()
        finally:
            self._close_all(changes)

    def stop(self) -> None:
        """Make :meth:`serve` return: beacons stop, then circuits are closed."""
        self.stopping.set()
        self._beacons_changed.set()

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
        self._beacons = Beacons(port, server.config.beacon_period)
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
        assert self._beacons is not None  # _open() made them
        self._beacons.send_to(wanted.beacons, time.monotonic())
        self._beacons_changed.set()

    def _add_listeners(self, listeners: list[socket.socket]) -> None:
        """Take clients in at these sockets."""
        for listener in listeners:
            self._listeners.append(listener)
            self.backend.spawn(self._accept, listener)

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
        for sock in self._beacon_sockets.values():
            sock.close()
        self.server.busy = True
        self.server.close()
        self._after()
        for connection in list(self._connections.values()):
            self._close(connection)
        self.server.wake = self.server.relieve = _ignore  # type: ignore[assignment]  # nobody is left to be woken
        self._searches.clear()
        self._listeners.clear()

    def _complain(self, what: str, error: OSError, detail: str = "") -> None:
        """Log a fault of the network once, until it is another one."""
        if (what, error.errno) not in self._complained:
            self._complained.add((what, error.errno))
            log.warning("%s: %s%s", what, error.strerror or error, detail)

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

    # Searches and beacons.

    async def _answer_searches(self, sock: socket.socket) -> None:
        """Answer datagrams through the socket they came by."""
        server, buffer, trace = self.server, self._buffer, self.trace
        view = memoryview(buffer)
        name = "{}:{}".format(*sock.getsockname())

        def readable() -> bool:
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
                for reply in server.datagram(data, sender[0]):
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

    async def _send_beacons(self) -> None:
        """Send beacons when they are due."""
        beacons = self._beacons
        assert beacons is not None  # _open() made them
        while not self.stopping.is_set():
            for datagram, destination in beacons.take(time.monotonic()):
                self._send_beacon(datagram, destination)
            due = beacons.next()
            if due is None:
                self._beacons_changed.clear()
                await self._beacons_changed.wait()
            else:
                # A change waits a beacon period at most: no timer needs to be cancelled for it.
                await self.backend.sleep(min(max(0.0, due - time.monotonic()), 1.0))

    def _send_beacon(self, datagram: bytes, destination: Destination) -> None:
        """Send one beacon; what stands in the way is logged once, and tried again next time."""
        source = destination.source
        try:
            sock = self._beacon_sockets.get(source)
            if sock is None:
                sock = self._beacon_sockets[source] = sockets.beacon_socket(source, self.server.config.multicast_ttl)
            sock.sendto(datagram, (destination.to.host, destination.to.port))
        except BlockingIOError:
            pass
        except OSError as error:
            self._complain(f"cannot send beacons to {destination.to} from {source}", error)

    # Circuits.

    async def _accept(self, listener: socket.socket) -> None:
        """Take clients in."""
        starved = False

        def readable() -> bool:
            nonlocal starved
            try:
                while True:
                    sock, peer = listener.accept()
                    self._connected(sock, peer)
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno in _SHUT:
                    return True
                starved = listener.fileno() >= 0
                if starved:
                    self._complain("no more clients can be taken for now", error)
                return False

        while not self.stopping.is_set():
            starved = False
            await self.backend.watch(listener, readable)
            if not starved:
                return
            # Descriptors or memory ran out: the client waits in the backlog meanwhile.
            await self.backend.sleep(_RETRY)

    def _connected(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        """Make a circuit for a client."""
        server = self.server
        try:
            sockets.prepare_client(sock, server.config.connection_timeout)
        except OSError:  # it has gone again
            sock.close()
            return
        server.busy = True
        circuit = server.connected(peer, time.monotonic())
        connection = _Connection(sock, circuit, self.backend.event())
        self._connections[circuit] = connection
        self._after()
        if not connection.closed:
            self.backend.spawn(self._serve_client, connection)

    async def _serve_client(self, connection: _Connection) -> None:
        """Read from a client until it goes; pause while the core does not want more."""
        sock, circuit, server = connection.sock, connection.circuit, self.server
        receive, recv, after, now = circuit.receive, sock.recv, self._after, time.monotonic
        answered = 0.0

        def take() -> bool:
            """Read once and answer; return whether there was something."""
            try:
                data = recv(_READ)
            except BlockingIOError:
                return False
            except OSError:
                data = b""
            server.busy = True
            if data:
                receive(data, now())
            else:
                circuit.close("the client closed")
                circuit.outbox.clear()
            after()
            return True

        def readable() -> bool:
            nonlocal answered
            quick = now() - answered < _QUICK
            take()
            answered = now()
            turns = _TURNS if quick else 0
            while turns and circuit.hungry and now() - answered < _LINGER:
                if take():
                    answered = now()
                    turns -= 1
            return circuit.hungry

        while not connection.closed:
            connection.resumed.clear()
            await self.backend.watch(sock, readable)
            if not connection.closed and not circuit.hungry:
                await connection.resumed.wait()

    def _after(self) -> None:
        """Do what the core wants: run hooks, send, close."""
        server = self.server
        server.busy = True
        while server.dirty or server.jobs:
            jobs, server.jobs = server.jobs, []
            for job in jobs:
                self.backend.spawn(self._run_job, job)
            dirty, server.dirty = server.dirty, []
            for circuit in dirty:
                circuit.dirty = False
                connection = self._connections.get(circuit)
                if connection is not None:
                    self._flush(connection)
        server.busy = False

    def _flush(self, connection: _Connection) -> None:
        """Send what the socket takes; wait for the rest in a task."""
        circuit = connection.circuit
        if not connection.draining:
            self._send(connection)
            if circuit.outbox.size and not circuit.closing:
                connection.draining = True
                self.backend.spawn(self._drain, connection)
        if circuit.closing:
            self._close(connection)
        elif circuit.hungry and not connection.resumed.is_set():
            connection.resumed.set()

    def _send(self, connection: _Connection) -> None:
        """Send until the outbox is empty or the socket is full."""
        circuit, sock = connection.circuit, connection.sock
        outbox, statistics = circuit.outbox, self.server.statistics
        try:
            while outbox.size:
                buffers = outbox.buffers()
                sent = sock.send(buffers[0]) if len(buffers) == 1 else sock.sendmsg(buffers)
                outbox.sent(sent)
                statistics.bytes_out += sent
                if circuit.waiting or not outbox.size:
                    circuit.drained()
        except BlockingIOError:
            pass
        except OSError as error:
            outbox.clear()
            circuit.close(f"cannot be sent to: {error.strerror}")

    def _relieve(self, circuit: Circuit) -> bool:
        """Send at once, in the middle of a core call, so that a burst does not pile up for a client that keeps up."""
        connection = self._connections.get(circuit)
        if connection is None or connection.draining:
            return False
        outbox = circuit.outbox
        try:
            while outbox.size:
                outbox.sent(connection.sock.sendmsg(outbox.buffers()))
        except BlockingIOError:
            return False
        except OSError as error:
            circuit.close(f"cannot be sent to: {error.strerror}")
            return False
        return True

    async def _drain(self, connection: _Connection) -> None:
        """Send the rest as the socket takes it."""
        circuit, server = connection.circuit, self.server

        def writable() -> bool:
            server.busy = True
            self._send(connection)
            if not circuit.outbox.size or circuit.closing:
                connection.draining = False
            server.mark(circuit)
            self._after()
            return connection.draining and not connection.closed

        await self.backend.watch(connection.sock, writable, write=True)

    def _close(self, connection: _Connection) -> None:
        """Close a client's connection and release its circuit."""
        if connection.closed:
            return
        connection.closed = True
        log.debug("%s:%d closed: %s", *connection.circuit.peer, connection.circuit.closing)
        self._connections.pop(connection.circuit, None)
        self.server.disconnected(connection.circuit)
        self.backend.close(connection.sock)
        connection.resumed.set()

    async def _look_for_the_gone(self) -> None:
        """Close clients whose host no longer acknowledges what was sent; see also ``prepare_client``."""
        timeout = self.server.config.connection_timeout
        while not self.stopping.is_set():
            await self.backend.sleep(min(5.0, timeout / 2))
            self.server.busy = True
            for connection in list(self._connections.values()):
                if sockets.silence(connection.sock) > _GONE * timeout:
                    connection.circuit.close("its host is gone")
            self._after()

    async def _run_job(self, job: Job) -> None:
        """Await a hook and tell the core."""
        try:
            result = await job.awaitable
        except Exception as error:  # an author's hook may raise anything; the core tells the client
            self.server.busy = True
            job.failed(error)
        else:
            self.server.busy = True
            job.done(result)
        self._after()


def _bindable(address: str) -> bool:
    """Return whether this host has the address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((address, 0))
        except OSError:
            return False
        return True


def _ignore(*_: object) -> bool:
    """Do nothing."""
    return False
