"""A small network for tests: two segments, a router between them, and a cable."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from canet.harness.wire import frames
from canet.netns import Network, enter
from canet.netns.topology import Address, Host, Interface, Route, Segment, Topology


def _port(name: str, segment: str, *addresses: str) -> Interface:
    return Interface(name=name, segment=segment, addresses=tuple(map(Address.parse, addresses)))


def _via(gateway: str) -> tuple[Route, ...]:
    return (Route(to=IPv4Network("0.0.0.0/0"), via=IPv4Address(gateway)),)


TOPOLOGY = Topology(
    segments=(Segment(name="office"), Segment(name="controls")),
    hosts=(
        Host(name="client", interfaces=(_port("eth0", "office", "10.1.0.1/24"),), routes=_via("10.1.0.254")),
        Host(name="ioc", interfaces=(_port("eth0", "office", "10.1.0.2/24"),), routes=_via("10.1.0.254")),
        Host(
            name="router",
            interfaces=(_port("eth0", "office", "10.1.0.254/24"), _port("eth1", "controls", "10.2.0.254/24")),
            sysctls=(("net.ipv4.ip_forward", "1"),),
        ),
        Host(
            name="far",
            interfaces=(
                _port("eth0", "controls", "10.2.0.2/24"),
                Interface(name="eth1", link="box.eth0", addresses=(Address.parse("10.3.0.1/24"),)),
            ),
            routes=_via("10.2.0.254"),
        ),
        Host(
            name="box",
            interfaces=(Interface(name="eth0", link="far.eth1", addresses=(Address.parse("10.3.0.2/24"),)),),
        ),
    ),
)


def network() -> Iterator[Network]:
    """Build it; for a fixture to yield from."""
    enter()
    with Network(TOPOLOGY) as net:
        yield net


def answerer(net: Network, host: str, address: str = "", group: str | None = None) -> socket.socket:
    """Open a UDP socket on port 5064 of a host, as a server would."""
    sock = net[host].socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, 5064))
    sock.settimeout(5)
    if group is not None:
        own = str(TOPOLOGY.host(host).addresses[0].ip)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(own))
    return sock


def answer(sock: socket.socket, tcp_port: int) -> tuple[tuple[str, ...], tuple[str, int]]:
    """Read one search datagram and answer it; return the names and where it came from."""
    from canet.harness import packets

    data, source = sock.recvfrom(65536)
    cids = [cid for command, *_, cid, _body in frames.messages(data) if command == frames.SEARCH]
    replies = [packets.CASearchReply(port=tcp_port, cid=cid) for cid in cids]
    sock.sendto(bytes(packets.CA(messages=replies)), source)
    return frames.searched_names(data), source
