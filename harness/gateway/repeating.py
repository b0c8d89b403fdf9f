"""What a relay of broadcasts repeats, and how: rules and packets, without sockets.

Rules, in order. A datagram is repeated if it came to a watched port, if it was a broadcast, and if its source address
belongs to the subnet that it came from. The last one makes loops impossible, however many relays there are: what a
relay has sent bears an address of another subnet than the one on which it is heard. The price is that a search passes
one relay and not two.

The repeated datagram keeps source address and port, so that replies, and connections, go to the client directly: the
networks must have routes to each other. A beacon says "the address that I come from", and stays true as well.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

SEARCHES, BEACONS = 5064, 5065
_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
TTL = 64


@dataclass(frozen=True, slots=True)
class Side:
    """One interface of the relay."""

    interface: str
    address: IPv4Address
    network: IPv4Network
    broadcast: IPv4Address


@dataclass(frozen=True, slots=True)
class Datagram:
    """A UDP datagram in an IPv4 packet."""

    source: IPv4Address
    source_port: int
    to: IPv4Address
    to_port: int
    payload: bytes


def read(packet: bytes) -> Datagram | None:
    """Read an IPv4 packet from its header on; ``None`` if it is no whole UDP datagram."""
    if len(packet) < 28 or packet[0] >> 4 != 4:
        return None
    start = 4 * (packet[0] & 15)
    _v, _tos, total, _id, offset, _ttl, proto, _sum, source, to = _IP.unpack_from(packet)
    if proto != 17 or offset & 0x3FFF or start < 20 or total < start + 8 or total > len(packet):
        return None
    source_port, to_port, length, _check = _UDP.unpack_from(packet, start)
    if not 8 <= length <= total - start:
        return None
    payload = packet[start + 8 : start + length]
    return Datagram(IPv4Address(source), source_port, IPv4Address(to), to_port, payload)


def build(datagram: Datagram) -> bytes:
    """Return the IPv4 packet of a datagram; the kernel fills in checksum, length and id (raw(7), IP_HDRINCL)."""
    length = 8 + len(datagram.payload)
    # A UDP checksum of zero means that there is none (RFC 768).
    udp = _UDP.pack(datagram.source_port, datagram.to_port, length, 0)
    head = _IP.pack(0x45, 0, 20 + length, 0, 0, TTL, 17, 0, datagram.source.packed, datagram.to.packed)
    return head + udp + datagram.payload


class Repeater:
    """Decides what is repeated where.

    Args:
        sides: the interfaces between which broadcasts are repeated.
        ports: UDP ports that are watched.
        keep_source: keep the sender's address; without it the relay's own is used, and replies come to the relay.
    """

    def __init__(
        self, sides: Iterable[Side], ports: Iterable[int] = (SEARCHES, BEACONS), *, keep_source: bool = True
    ) -> None:
        self.sides = {each.interface: each for each in sides}
        self.ports = frozenset(ports)
        self.keep_source = keep_source
        self.repeated = 0

    def hear(self, interface: str, packet: bytes) -> Iterator[tuple[str, Datagram]]:
        """Yield (interface, datagram) that must be sent because of an IPv4 packet that came by ``interface``."""
        here, heard = self.sides.get(interface), read(packet)
        if here is None or heard is None or heard.to_port not in self.ports:
            return
        if heard.to not in (here.broadcast, IPv4Address("255.255.255.255")):
            return
        if heard.source not in here.network or heard.source == here.address:
            return
        for side in self.sides.values():
            if side is here or heard.source in side.network:
                continue
            self.repeated += 1
            source = heard.source if self.keep_source else side.address
            yield (
                side.interface,
                Datagram(source, heard.source_port, side.broadcast, heard.to_port, heard.payload),
            )
