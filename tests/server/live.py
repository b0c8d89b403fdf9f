"""A server that really runs, in a thread of the test, on loopback and a port that is free."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from canet.server.backends import backend
from canet.server.core.config import Config
from canet.server.core.names import Directory
from canet.server.core.pv import PV
from canet.server.core.server import Server
from canet.server.io.driver import Addresses, Driver
from canet.server.io.seam import Backend
from canet.server.protocol.commands import Command
from canet.server.protocol.message import Message, Reader, read_datagram

BACKENDS = ("asyncio", "curio", "trio")
TIMEOUT = 20.0


def free_port() -> int:
    """Return a port that neither UDP nor TCP uses on loopback."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                if port > 5000:
                    return port


def environment(port: int) -> dict[str, str]:
    """Return EPICS variables for servers and clients that keep to loopback."""
    return {
        "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_BEACON_PERIOD": "0.5",
        "EPICS_CA_ADDR_LIST": "127.0.0.1",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(port),
        "EPICS_CA_REPEATER_PORT": str(free_port()),
    }


@dataclass
class Live:
    """A server that runs."""

    server: Server
    driver: Driver
    seam: Backend
    addresses: Addresses
    environment: dict[str, str]

    @property
    def port(self) -> int:
        """Its TCP port."""
        return int(self.addresses.tcp[0].rpartition(":")[2])

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the server's loop, and wait for its end."""
        done = threading.Event()
        self.seam.from_thread(function)
        self.seam.from_thread(done.set)
        assert done.wait(TIMEOUT)

    def client(self) -> Client:
        """Connect."""
        return Client(self.port)


@contextlib.contextmanager
def live(name: str, *pvs: PV, env: Mapping[str, str] | None = None, port: int | None = None) -> Iterator[Live]:
    """Run a server on a backend while the block runs."""
    variables = {**environment(port or free_port()), **(env or {})}
    ready: threading.Event = threading.Event()
    made: list[Any] = []
    failed: list[BaseException] = []

    async def main(seam: Backend) -> None:
        server = Server(Directory(pvs), config=Config.from_environment(variables))
        driver = Driver(server, seam)

        def is_ready(addresses: Addresses) -> None:
            made.append(Live(server, driver, seam, addresses, variables))
            ready.set()

        await driver.serve(is_ready)

    def run() -> None:
        try:
            backend(name).run(main)
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name=f"server on {name}")
    thread.start()
    assert ready.wait(TIMEOUT)
    if failed:
        thread.join(TIMEOUT)
        raise failed[0]
    running: Live = made[0]
    try:
        yield running
    finally:
        with contextlib.suppress(Exception):
            running.seam.from_thread(running.driver.stop)
        thread.join(TIMEOUT)
        assert not thread.is_alive()
        if failed:
            raise failed[0]


class Client:
    """A raw client over TCP."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.sock.settimeout(TIMEOUT)
        self.reader = Reader()
        self.pending: list[Message] = []
        self.send(Message(Command.VERSION, count=13))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, *messages: Message) -> None:
        """Send in one piece."""
        self.sock.sendall(b"".join(each.pack() for each in messages))

    def receive(self, *commands: Command) -> Message:
        """Return the next message that is one of these; others are dropped."""
        while True:
            while self.pending:
                message = self.pending.pop(0)
                if message.command in commands:
                    return message
            data = self.sock.recv(1 << 20)
            if not data:
                raise EOFError("the server closed the connection")
            self.pending += self.reader.feed(data)

    def open(self, name: str, cid: int = 1) -> int:
        """Create a channel and return its SID."""
        self.send(Message(Command.CREATE_CHAN, p1=cid, p2=13, payload=name.encode() + b"\0"))
        answer = self.receive(Command.CREATE_CHAN, Command.CREATE_CH_FAIL)
        assert answer.command == Command.CREATE_CHAN
        return answer.p2

    def get(self, sid: int, dbr_type: int = 6, count: int = 0) -> Message:
        """Read and return the answer."""
        self.send(Message(Command.READ_NOTIFY, dbr_type, count, sid, 1))
        return self.receive(Command.READ_NOTIFY)


def search(address: str, *names: str) -> list[Message]:
    """Search by UDP and return the replies to these names; wait for all of them."""
    host, _, port = address.rpartition(":")
    data = b"".join(
        Message(Command.SEARCH, 5, 13, cid, cid, name.encode() + b"\0").pack() for cid, name in enumerate(names, 1)
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT)
        sock.sendto(data, (host, int(port)))
        return [each for each in read_datagram(sock.recv(65536)) if each.command == Command.SEARCH]
