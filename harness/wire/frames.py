"""Read the headers of a captured frame (Ethernet, ARP, IPv4, ICMP, UDP, TCP) with ``struct``, in microseconds.

The hot paths (is that the datagram I wait for? where did this client search?) use this; words for people come from
:mod:`canet.harness.packets`. Layouts: IEEE 802.3, RFC 791, RFC 768, RFC 9293, RFC 826, RFC 792.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from canet.harness.observation import Frame

ETH_P_IP: Final = 0x0800
ETH_P_ARP: Final = 0x0806
CA_SERVER_PORT: Final = 5064
CA_REPEATER_PORT: Final = 5065
SEARCH: Final = 6

_ETHERNET: Final = struct.Struct("!6s6sH")
_IP: Final = struct.Struct("!BBHHHBBH4s4s")
_UDP: Final = struct.Struct("!HHHH")
_TCP: Final = struct.Struct("!HHIIBBHHH")
_CA: Final = struct.Struct("!HHHHII")

SYN: Final = 0x02
ACK: Final = 0x10
FIN: Final = 0x01
RST: Final = 0x04
PSH: Final = 0x08


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """What the headers of one IPv4 or ARP frame say."""

    to_mac: bytes
    mac: bytes
    proto: Literal["udp", "tcp", "icmp", "arp", "other"]
    source: str = ""
    """IPv4 address; for ARP the sender's."""
    to: str = ""
    """IPv4 address; for ARP the one that is asked for or told."""
    port: int = 0
    """Source port; for ICMP the type, for ARP the operation."""
    to_port: int = 0
    """Destination port; for ICMP the code."""
    payload: bytes = b""
    """Above UDP or TCP, without padding; for ICMP what it quotes."""
    ttl: int = 0
    ident: int = 0
    sequence: int = 0
    flags: int = 0
    fragment: bool = False
    """A later part of a fragmented datagram: it has no ports."""

    @property
    def origin(self) -> str:
        """``A:PORT`` that it came from."""
        return f"{self.source}:{self.port}"

    @property
    def target(self) -> str:
        """``A:PORT`` that it goes to."""
        return f"{self.to}:{self.to_port}"


def _address(four: bytes) -> str:
    return ".".join(map(str, four))


def read(data: bytes) -> Headers | None:
    """Read a frame from its Ethernet header on; ``None`` if it is neither IPv4 nor ARP, or is cut short."""
    if len(data) < 34:
        return None
    to_mac, mac, kind = _ETHERNET.unpack_from(data)
    if kind == ETH_P_ARP:
        if len(data) < 42:
            return None
        return Headers(
            to_mac=to_mac,
            mac=mac,
            proto="arp",
            source=_address(data[28:32]),
            to=_address(data[38:42]),
            port=int.from_bytes(data[20:22], "big"),
        )
    if kind != ETH_P_IP:
        return None
    version, _tos, total, ident, offset, ttl, proto, _sum, source, to = _IP.unpack_from(data, 14)
    start, end = 14 + 4 * (version & 15), min(len(data), 14 + total)
    common = {"source": _address(source), "to": _address(to), "ttl": ttl, "ident": ident}
    if offset & 0x1FFF:
        return Headers(to_mac=to_mac, mac=mac, proto="other", fragment=True, payload=data[start:end], **common)
    if proto == 17 and end >= start + 8:
        port, to_port, _length, _check = _UDP.unpack_from(data, start)
        return Headers(
            to_mac=to_mac, mac=mac, proto="udp", port=port, to_port=to_port, payload=data[start + 8 : end], **common
        )
    if proto == 6 and end >= start + 20:
        port, to_port, sequence, _ack, size, flags, *_rest = _TCP.unpack_from(data, start)
        return Headers(
            to_mac=to_mac,
            mac=mac,
            proto="tcp",
            port=port,
            to_port=to_port,
            payload=data[start + 4 * (size >> 4) : end],
            sequence=sequence,
            flags=flags,
            **common,
        )
    if proto == 1 and end >= start + 8:
        return Headers(
            to_mac=to_mac,
            mac=mac,
            proto="icmp",
            port=data[start],
            to_port=data[start + 1],
            payload=data[start + 8 : end],
            **common,
        )
    return Headers(to_mac=to_mac, mac=mac, proto="other", payload=data[start:end], **common)


def messages(payload: bytes) -> Iterator[tuple[int, int, int, int, int, bytes]]:
    """Yield (command, type, count, p1, p2, payload) of each whole CA message; stop at the first that is not whole."""
    place = 0
    while place + 16 <= len(payload):
        command, size, kind, count, p1, p2 = _CA.unpack_from(payload, place)
        place += 16
        if size == 0xFFFF:
            if place + 8 > len(payload):
                return
            size, count = struct.unpack_from("!II", payload, place)
            place += 8
        if place + size > len(payload):
            return
        yield command, kind, count, p1, p2, payload[place : place + size]
        place += size


def searched_names(payload: bytes) -> tuple[str, ...]:
    """Return the PV names that a datagram searches for; a reply searches for none."""
    return tuple(
        body.split(b"\0", 1)[0].decode("ascii", "backslashreplace")
        for command, kind, _count, p1, p2, body in messages(payload)
        if command == SEARCH and kind in (5, 10) and p1 == p2
    )


def searches(frames: Iterable[Frame], host: str) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Return (source ``A:PORT``, destination ``A:PORT``, names) of each search datagram that a host sent, in order."""
    found = []
    for frame in frames:
        if frame.host == host and frame.direction == "out":
            headers = read(frame.data)
            if headers is not None and headers.proto == "udp" and (names := searched_names(headers.payload)):
                found.append((headers.origin, headers.target, names))
    return tuple(found)


def checksum(data: bytes) -> int:
    """Return the Internet checksum of ``data`` (RFC 1071)."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    total = (total & 0xFFFF) + (total >> 16)
    return int(~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
