"""The server on real networks: layouts, interfaces that come late, beacons, clients whose host is gone."""

import json
import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from canet.netns import Address, Host, Interface, Network, Segment, Topology, Unavailable
from canet.netns.change import AddAddress, Cut
from canet.netns.process import Process
from canet.server.protocol.commands import Command
from canet.server.protocol.message import Message, Reader, read_datagram
from tests.server.live import BACKENDS, TIMEOUT

PORT, BEACON = 5064, 5065
SEARCH = Message(Command.SEARCH, 5, 13, 1, 1, b"x\0").pack()


def address(text: str) -> Address:
    """Return an address with its broadcast address."""
    return Address.parse(f"{text}/24")


LAN = Topology(
    segments=(Segment(name="one"), Segment(name="two")),
    hosts=(
        Host(
            name="ioc",
            interfaces=(
                Interface(name="e0", segment="one", addresses=(address("10.1.0.2"),)),
                Interface(name="e1", segment="two"),
            ),
        ),
        Host(name="client", interfaces=(Interface(name="e0", segment="one", addresses=(address("10.1.0.1"),)),)),
        Host(name="other", interfaces=(Interface(name="e0", segment="two", addresses=(address("10.2.0.1"),)),)),
    ),
)


@pytest.fixture
def net() -> Iterator[Network]:
    """Bring the network up."""
    try:
        network = Network(LAN)
    except Unavailable as error:
        pytest.skip(f"this machine gives no namespaces: {error}")
    with network:
        yield network


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Name each backend in turn."""
    return str(request.param)


def start(net: Network, backend: str, layout: str = "literal", **env: str) -> tuple[Process, dict[str, Any]]:
    """Start a server on the host ``ioc`` and return what it is bound to."""
    config = {"backend": backend, "pvs": {"x": 1.5}, "layout": layout}
    process = net["ioc"].spawn(
        target="canet.server.process:serve",
        args=[config],
        env={f"EPICS_{name}": value for name, value in {"CAS_BEACON_PERIOD": "0.2", **env}.items()},
    )
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        lines = [line for line in process.output_text().splitlines() if line.startswith("{")]
        if lines:
            return process, json.loads(lines[0])
        time.sleep(0.005)
    raise AssertionError(f"not ready: {process.output_text()}")


def udp(net: Network, host: str, port: int = 0) -> socket.socket:
    """Return a UDP socket of a host."""
    sock = net[host].socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.settimeout(TIMEOUT)
    sock.bind(("", port))
    return sock


def heard(net: Network, *destinations: str) -> list[str]:
    """Search at each destination and return where replies came from; the last destination is one that answers.

    It is asked again when it has answered: what its server had to read before, it then has read, by any socket.
    """
    answers: list[tuple[int, str]] = []
    last = len(destinations) - 1
    with udp(net, "client") as sock:
        for number, destination in (*enumerate(destinations), (last + 1, destinations[last])):
            sock.sendto(Message(Command.SEARCH, 5, 13, number, number, b"x\0").pack(), (destination, PORT))
            while number >= last and number not in (each for each, _ in answers):
                data, (source, _) = sock.recvfrom(1000)
                answers += [(each.p2, source) for each in read_datagram(data) if each.command == Command.SEARCH]
    return [f"{destinations[number]} from {source}" for number, source in sorted(answers) if number <= last]


@pytest.mark.parametrize(
    ("layout", "listed", "expected"),
    [
        ("literal", "", ["10.1.0.2 from 10.1.0.2", "10.1.0.255 from 10.1.0.2"]),
        ("rsrv", "10.1.0.2", ["10.1.0.2 from 10.1.0.2", "10.1.0.255 from 10.1.0.2"]),
        ("literal", "10.1.0.255", ["10.1.0.255 from 10.1.0.2"]),
    ],
)
def test_layouts_on_the_wire(net: Network, backend: str, layout: str, listed: str, expected: list[str]) -> None:
    """Who hears unicasts and broadcasts follows from the binding; each is answered once, from the host's address."""
    start(net, backend, layout, CAS_INTF_ADDR_LIST=listed)

    assert heard(net, "10.1.0.2", "10.1.0.255") == expected


def test_address_binding_is_deaf_to_broadcasts(net: Network, backend: str) -> None:
    """The unicast that follows the broadcast is answered, and nothing else."""
    start(net, backend, CAS_INTF_ADDR_LIST="10.1.0.2")

    assert heard(net, "10.1.0.255", "10.1.0.2") == ["10.1.0.2 from 10.1.0.2"]


def test_group_is_joined(net: Network, backend: str) -> None:
    """A search to the group is answered, once."""
    start(net, backend, CAS_INTF_ADDR_LIST="224.0.2.9")
    with udp(net, "client") as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, IPv4Address("10.1.0.1").packed)
        sock.sendto(SEARCH, ("224.0.2.9", PORT))
        assert sock.recvfrom(1000)[1][0] == "10.1.0.2"


def test_late_interface_gets_beacons_and_is_served(net: Network, backend: str) -> None:
    """An address that appears after the start is bound, beacons follow, and clients there connect."""
    start(net, backend, "rsrv", CAS_INTF_ADDR_LIST="10.1.0.2 10.2.0.2")
    with udp(net, "other", BEACON) as listener, udp(net, "client", BEACON) as first:
        beacon = read_datagram(first.recv(1000))[0]
        assert (beacon.command, beacon.p2) == (Command.RSRV_IS_UP, int(IPv4Address("10.1.0.2")))

        net.change(AddAddress(host="ioc", interface="e1", address=address("10.2.0.2")))

        data, (source, _) = listener.recvfrom(1000)
        beacon = read_datagram(data)[0]
        assert (source, beacon.p1, beacon.p2) == ("10.2.0.2", 0, int(IPv4Address("10.2.0.2")))
    with udp(net, "other") as sock:
        sock.sendto(SEARCH, ("10.2.0.255", PORT))
        reply = read_datagram(sock.recv(1000))[1]
    with net["other"].socket(socket.AF_INET, socket.SOCK_STREAM) as circuit:
        circuit.settimeout(TIMEOUT)
        circuit.connect(("10.2.0.2", reply.data_type))
        assert circuit.recv(16) == Message(Command.VERSION, count=13).pack()


def test_late_interface_of_a_wildcard_server(net: Network, backend: str) -> None:
    """Beacons go to the new link too; the address is left to the receiver."""
    start(net, backend)
    net.change(AddAddress(host="ioc", interface="e1", address=address("10.2.0.2")))

    with udp(net, "other", BEACON) as listener:
        data, (source, _) = listener.recvfrom(1000)

    assert (source, read_datagram(data)[0].p2) == ("10.2.0.2", 0)


@pytest.mark.parametrize("busy", [False, True])
def test_client_whose_host_is_gone_is_closed(net: Network, backend: str, busy: bool) -> None:
    """Idle or with bytes underway, it is closed after the timeout; the server's descriptor count shows it."""
    process, ready = start(net, backend, CA_CONN_TMO="1")
    port = int(ready["tcp"][0].rpartition(":")[2])
    with net["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as circuit:
        circuit.settimeout(TIMEOUT)
        circuit.connect(("10.1.0.2", port))
        circuit.sendall(Message(Command.CREATE_CHAN, p1=1, p2=13, payload=b"x\0").pack())
        reader = Reader()
        messages: list[Message] = []
        while len(messages) < 3:
            messages += reader.feed(circuit.recv(1000))
        assert connections(process) == 1
        if busy:
            circuit.sendall(Message(Command.READ_NOTIFY, 6, 1, messages[2].p2, 1).pack() * 100_000)
        for direction in ("in", "out"):
            net.change(Cut(host="client", interface="e0", direction=direction))
        deadline = time.monotonic() + TIMEOUT
        while connections(process) and time.monotonic() < deadline:
            time.sleep(0.05)

        assert connections(process) == 0


def connections(process: Process) -> int:
    """Return the number of established circuits in the server's namespace."""
    with Path(f"/proc/{process.pid}/net/tcp").open() as table:
        return sum(line.split()[3] == "01" for line in list(table)[1:])
