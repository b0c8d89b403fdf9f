"""The driver on each backend, over real sockets on loopback."""

import contextlib
import resource
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from canet.server.core.pv import PV
from canet.server.protocol import eca
from canet.server.protocol.commands import Command
from canet.server.protocol.message import Message, read_datagram
from canet.server.protocol.payload import decode, encode
from tests.server.live import BACKENDS, TIMEOUT, Client, Live, environment, free_port, live, search


@pytest.fixture(params=BACKENDS)
def name(request: pytest.FixtureRequest) -> str:
    """Name each backend in turn."""
    return str(request.param)


@pytest.fixture
def running(name: str) -> Iterator[Live]:
    """Run a server with a number and an array."""
    with live(name, PV("x", 1.5), PV("a", np.arange(1_250_000, dtype="f8"))) as server:
        yield server


def value_of(message: Message) -> object:
    """Return the value of an answer."""
    return decode(message.data_type, message.count, message.payload).value


def test_search_connect_read(running: Live) -> None:
    """A search is answered with the port where the PV then is."""
    (reply,) = search(running.addresses.udp[0], "nope", "x")

    assert (reply.data_type, reply.p2) == (running.port, 2)
    with running.client() as client:
        assert value_of(client.get(client.open("x"))) == 1.5


def test_searches_that_wait_together_are_answered_to_their_senders(running: Live) -> None:
    """Datagrams of several clients that are read in one go each get their own reply, in order."""
    host, _, port = running.addresses.udp[0].rpartition(":")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3)]

        def ask() -> None:
            """Send from within the loop, which reads nothing meanwhile."""
            for cid in range(5):
                for number, client in enumerate(clients):
                    message = Message(Command.SEARCH, 5, 13, cid, 10 * number + cid, b"x\0")
                    client.sendto(message.pack(), (host, int(port)))

        running.call(ask)

        for number, client in enumerate(clients):
            client.settimeout(TIMEOUT)
            got = [read_datagram(client.recv(65536))[1].p2 for _ in range(5)]
            assert got == [10 * number + cid for cid in range(5)]


def test_search_over_tcp(running: Live) -> None:
    """A name server client is answered too."""
    with running.client() as client:
        client.send(Message(Command.SEARCH, 10, 13, 1, 1, b"x\0"), Message(Command.SEARCH, 10, 13, 2, 2, b"no\0"))

        assert client.receive(Command.SEARCH).data_type == running.port
        assert client.receive(Command.NOT_FOUND).p1 == 2


def test_ten_megabytes(running: Live) -> None:
    """A large array is read and written; others are served meanwhile."""
    with running.client() as client, running.client() as other:
        sid = client.open("a")
        client.send(Message(Command.READ_NOTIFY, 6, 0, sid, 1))
        assert value_of(other.get(other.open("x"))) == 1.5
        got = value_of(client.receive(Command.READ_NOTIFY))
        assert isinstance(got, np.ndarray)
        assert got.nbytes == 10_000_000
        assert got[-1] == 1_249_999.0
        client.send(
            Message(Command.WRITE_NOTIFY, 6, len(got), sid, 2, encode(6, len(got), got[::-1], PV("y", 1.0).type))
        )
        assert client.receive(Command.WRITE_NOTIFY).p1 == eca.NORMAL
        assert running.server.names.wire[b"a"].value[0] == 1_249_999.0


def test_posts_from_a_thread_reach_subscribers(running: Live) -> None:
    """Posting in the loop, soon, is all that a thread needs."""
    pv = running.server.names.wire[b"x"]
    with running.client() as client:
        client.send(Message(Command.EVENT_ADD, 6, 0, client.open("x"), 1, bytes(12) + b"\0\1\0\0"))
        assert value_of(client.receive(Command.EVENT_ADD)) == 1.5

        for number in range(20):
            running.seam.from_thread(pv.post, float(number))

        assert [value_of(client.receive(Command.EVENT_ADD)) for _ in range(20)] == [float(n) for n in range(20)]


def test_hooks_run_in_the_backend(name: str) -> None:
    """An async putter waits with the backend's own sleep, while others are served."""
    box: list[Live] = []

    async def putter(pv: PV, value: float) -> None:
        await box[0].seam.sleep(0.05)

    with live(name, PV("slow", 0.0, putter=putter), PV("x", 1.5)) as running, running.client() as client:
        box.append(running)
        slow, x = client.open("slow"), client.open("x", 2)
        client.send(Message(Command.WRITE_NOTIFY, 6, 1, slow, 5, bytes(8)), Message(Command.READ_NOTIFY, 6, 1, x, 6))

        first = client.receive(Command.READ_NOTIFY, Command.WRITE_NOTIFY)
        second = client.receive(Command.READ_NOTIFY, Command.WRITE_NOTIFY)

    assert [first.command, second.command] == [Command.READ_NOTIFY, Command.WRITE_NOTIFY]


def test_two_servers_share_udp_and_not_tcp(name: str) -> None:
    """The second takes a TCP port of its own, and announces it."""
    port = free_port()
    with live(name, PV("one", 1.0), port=port) as one, live(name, PV("two", 2.0), port=port) as two:
        assert one.addresses.udp == two.addresses.udp
        assert one.port == port
        assert two.port != port
        with two.client() as client:
            assert value_of(client.get(client.open("two"))) == 2.0


def test_beacons_are_heard(name: str) -> None:
    """They come at once, ever more seldom, and name the TCP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(TIMEOUT)
        where = {"EPICS_CAS_BEACON_ADDR_LIST": f"127.0.0.1:{listener.getsockname()[1]}"}
        with live(name, PV("x", 1.0), env=where) as running:
            beacons = [read_datagram(listener.recv(1000))[0] for _ in range(4)]

            assert [each.p1 for each in beacons] == [0, 1, 2, 3]
            assert {(each.command, each.count, each.p2) for each in beacons} == {
                (Command.RSRV_IS_UP, running.port, 0x7F000001)
            }


def test_stopping_closes_circuits(name: str) -> None:
    """Clients see the end of the connection, and a subscription is forgotten."""
    pv = PV("x", 1.0)
    with live(name, pv) as running:
        client = running.client()
        client.send(Message(Command.EVENT_ADD, 6, 0, client.open("x"), 1, bytes(12) + b"\0\1\0\0"))
        client.receive(Command.EVENT_ADD)
    with client, pytest.raises((EOFError, ConnectionResetError)):
        client.receive(Command.ECHO)
    assert not pv.listeners


def test_client_that_goes_is_forgotten(running: Live) -> None:
    """Nothing of it stays."""
    pv = running.server.names.wire[b"x"]
    with running.client() as client:
        client.send(Message(Command.EVENT_ADD, 6, 0, client.open("x"), 1, bytes(12) + b"\0\1\0\0"))
        client.receive(Command.EVENT_ADD)
    deadline = time.monotonic() + TIMEOUT
    while running.server.circuits and time.monotonic() < deadline:
        running.call(lambda: None)

    assert not running.server.circuits
    assert not pv.listeners


def test_client_that_does_not_read_is_bounded(running: Live) -> None:
    """It is not read from either, its memory stays, and others are served."""
    with running.client() as stuck, running.client() as other:
        sid = stuck.open("a")
        request = Message(Command.READ_NOTIFY, 6, 0, sid, 1).pack()
        stuck.sock.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 64 << 20:
                sent += stuck.sock.send(request * 1000)
        assert value_of(other.get(other.open("x"))) == 1.5
        running.call(lambda: None)
        waiting = max(each.outbox.size for each in running.server.circuits)
        assert waiting < 25_000_000


@pytest.mark.parametrize("junk", [b"", b"\0", b"\xff" * 64, b"\0\6\xff\xff" + bytes(12), bytes(60000)], ids=len)
def test_malformed_datagrams_are_survived(running: Live, junk: bytes) -> None:
    """The next search is answered."""
    host, _, port = running.addresses.udp[0].rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(junk, (host, int(port)))
    assert len(search(running.addresses.udp[0], "x")) == 1


def test_sender_that_closes_before_the_reply(running: Live) -> None:
    """The refusal that comes back does not stop the server."""
    host, _, port = running.addresses.udp[0].rpartition(":")
    for _ in range(3):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(Message(Command.SEARCH, 5, 13, 1, 1, b"x\0").pack(), (host, int(port)))
    assert len(search(running.addresses.udp[0], "x")) == 1


def test_nothing_to_bind_is_an_error(name: str) -> None:
    """A server that can hear nobody says so."""
    with pytest.raises((OSError, ExceptionGroup)), live(name, env={"EPICS_CAS_INTF_ADDR_LIST": "192.0.2.77"}):
        pass


def test_missing_interface_is_left_out(name: str) -> None:
    """The others are served."""
    listed = {"EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1 192.0.2.77"}
    with live(name, PV("x", 1.0), env=listed) as running:
        assert [each.partition(":")[0] for each in running.addresses.udp] == ["127.0.0.1"]
        assert len(search(running.addresses.udp[0], "x")) == 1


def test_two_loopback_addresses(name: str) -> None:
    """One TCP port serves all addresses; a reply leaves by the socket that was searched."""
    with live(name, PV("x", 1.0), env={"EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1 127.0.0.9"}) as running:
        assert len({each.rpartition(":")[2] for each in running.addresses.tcp}) == 1
        host, _, port = running.addresses.udp[1].rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(TIMEOUT)
            sock.sendto(Message(Command.SEARCH, 5, 13, 1, 1, b"x\0").pack(), (host, int(port)))
            assert sock.recvfrom(1000)[1] == (host, int(port))


def test_settings_that_keep_to_loopback() -> None:
    """What tests start neither searches nor beacons elsewhere."""
    variables = environment(free_port())

    assert variables["EPICS_CAS_AUTO_BEACON_ADDR_LIST"] == variables["EPICS_CA_AUTO_ADDR_LIST"] == "NO"


def test_too_many_clients_wait_and_are_served_later(name: str) -> None:
    """Out of descriptors, the server waits; clients that were there are served, the others when there is room."""
    with live(name, PV("x", 1.5)) as running, running.client() as first:
        sid = first.open("x")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        held: list[socket.socket] = []
        late = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            used = late.fileno()
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
            with contextlib.suppress(OSError):
                while True:
                    held.append(socket.socket())
            late.connect(("127.0.0.1", running.port))
            assert value_of(first.get(sid)) == 1.5
            running.call(lambda: None)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for each in held:
                each.close()
        with late:
            late.settimeout(TIMEOUT)
            assert late.recv(16) == Message(Command.VERSION, count=13).pack()


def test_many_clients_at_once(running: Live) -> None:
    """Clients come and go side by side."""
    errors: list[BaseException] = []

    def come_and_go() -> None:
        try:
            for _ in range(5):
                with Client(running.port) as client:
                    assert value_of(client.get(client.open("x"))) == 1.5
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(TIMEOUT)

    assert errors == []
