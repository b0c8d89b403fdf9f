"""Clients over TCP: takes them in, moves bytes between their sockets and circuits, and runs the hooks of the core.

Whatever is called in the core, :meth:`Clients.after` afterwards looks at what the core wants: circuits with bytes to
send, hooks to run. Reading and answering happens in one callback, without a task in between.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from dataclasses import dataclass

from canet.server.core.circuit import Circuit
from canet.server.core.hooks import Job
from canet.server.core.server import Server
from canet.server.io import sockets
from canet.server.io.complaints import Complaints
from canet.server.io.seam import Backend, Event

log = logging.getLogger("canet.server")

_READ = 256 * 1024
_QUICK = 100e-6
"""Seconds within which a client that asks one thing at a time sends its next request."""
_LINGER = 50e-6
"""Seconds that such a client is waited for in place: going through the loop takes longer than that."""
_TURNS = 32
"""Requests that are taken in place before others get their turn."""
_RETRY = 0.1
"""Seconds to wait when descriptors or buffers have run out."""
_GONE = 1.5
"""Connection timeouts without an acknowledgement of what is sent, after which a client's host counts as gone."""
_SHUT = (errno.ECONNABORTED, errno.EPROTO, errno.EINTR)


@dataclass(slots=True, eq=False)
class Connection:
    """A client's socket and its circuit."""

    sock: socket.socket
    circuit: Circuit
    resumed: Event
    draining: bool = False
    """A task waits for the socket to take more."""
    closed: bool = False


class Clients:
    """The connections of one server.

    Args:
        server: the core.
        backend: the concurrency library.
        complain: told what stands in the way.
    """

    def __init__(self, server: Server, backend: Backend, complain: Complaints) -> None:
        self._server = server
        self._backend = backend
        self._complain = complain
        self._connections: dict[Circuit, Connection] = {}
        self._stopping = False
        server.wake = lambda: backend.soon(self.after)
        server.relieve = self.relieve

    def stop(self) -> None:
        """Send what the core still has to say, and close all."""
        self._stopping = True
        self._server.busy = True
        self._server.close()
        self.after()
        for connection in list(self._connections.values()):
            self._close(connection)
        # Posts that come now wake nobody: jobs that still run may make them.
        self._server.wake = lambda: None
        self._server.relieve = lambda _circuit: False

    async def accept(self, listener: socket.socket) -> None:
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

        while not self._stopping:
            starved = False
            await self._backend.watch(listener, readable)
            if not starved:
                return
            # Descriptors or memory ran out: the client waits in the backlog meanwhile.
            await self._backend.sleep(_RETRY)

    def _connected(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        """Make a circuit for a client."""
        server = self._server
        try:
            sockets.prepare_client(sock, server.config.connection_timeout)
        except OSError:  # it has gone again
            sock.close()
            return
        server.busy = True
        circuit = server.connected(peer, time.monotonic())
        connection = Connection(sock, circuit, self._backend.event())
        self._connections[circuit] = connection
        self.after()
        if not connection.closed:
            self._backend.spawn(self._serve_client, connection)

    async def _serve_client(self, connection: Connection) -> None:
        """Read from a client until it goes; pause while the core does not want more."""
        sock, circuit, server = connection.sock, connection.circuit, self._server
        receive, recv, after, now = circuit.receive, sock.recv, self.after, time.monotonic
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
            await self._backend.watch(sock, readable)
            if not connection.closed and not circuit.hungry:
                await connection.resumed.wait()

    def after(self) -> None:
        """Do what the core wants: run hooks, send, close."""
        server = self._server
        server.busy = True
        while server.dirty or server.jobs:
            jobs, server.jobs = server.jobs, []
            for job in jobs:
                self._backend.spawn(self._run_job, job)
            dirty, server.dirty = server.dirty, []
            for circuit in dirty:
                circuit.dirty = False
                connection = self._connections.get(circuit)
                if connection is not None:
                    self._flush(connection)
        server.busy = False

    def _flush(self, connection: Connection) -> None:
        """Send what the socket takes; wait for the rest in a task."""
        circuit = connection.circuit
        if not connection.draining:
            self._send(connection)
            if circuit.outbox.size and not circuit.closing:
                connection.draining = True
                self._backend.spawn(self._drain, connection)
        if circuit.closing:
            self._close(connection)
        elif circuit.hungry and not connection.resumed.is_set():
            connection.resumed.set()

    def _send(self, connection: Connection) -> None:
        """Send until the outbox is empty or the socket is full."""
        circuit, sock = connection.circuit, connection.sock
        outbox, statistics = circuit.outbox, self._server.statistics
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

    def relieve(self, circuit: Circuit) -> bool:
        """Send at once, in the middle of a core call, so that a burst does not pile up for a client that keeps up."""
        connection = self._connections.get(circuit)
        if connection is None or connection.draining:
            return False
        outbox, statistics = circuit.outbox, self._server.statistics
        try:
            while outbox.size:
                sent = connection.sock.sendmsg(outbox.buffers())
                outbox.sent(sent)
                statistics.bytes_out += sent
        except BlockingIOError:
            return False
        except OSError as error:
            circuit.close(f"cannot be sent to: {error.strerror}")
            return False
        return True

    async def _drain(self, connection: Connection) -> None:
        """Send the rest as the socket takes it."""
        circuit, server = connection.circuit, self._server

        def writable() -> bool:
            server.busy = True
            self._send(connection)
            if not circuit.outbox.size or circuit.closing:
                connection.draining = False
            server.mark(circuit)
            self.after()
            return connection.draining and not connection.closed

        await self._backend.watch(connection.sock, writable, write=True)

    def _close(self, connection: Connection) -> None:
        """Close a client's connection and release its circuit."""
        if connection.closed:
            return
        connection.closed = True
        log.debug("%s:%d closed: %s", *connection.circuit.peer, connection.circuit.closing)
        self._connections.pop(connection.circuit, None)
        self._server.disconnected(connection.circuit)
        self._backend.close(connection.sock)
        connection.resumed.set()

    async def look_for_the_gone(self) -> None:
        """Close clients whose host no longer acknowledges what was sent; see also ``prepare_client``."""
        timeout = self._server.config.connection_timeout
        while not self._stopping:
            await self._backend.sleep(min(5.0, timeout / 2))
            self._server.busy = True
            for connection in list(self._connections.values()):
                if sockets.silence(connection.sock) > _GONE * timeout:
                    connection.circuit.close("its host is gone")
            self.after()

    async def _run_job(self, job: Job) -> None:
        """Await a hook and tell the core."""
        try:
            result = await job.awaitable
        except Exception as error:  # an author's hook may raise anything; the core tells the client
            self._server.busy = True
            job.failed(error)
        else:
            self._server.busy = True
            job.done(result)
        self.after()
