"""The layer itself: which class reads a message, what a datagram holds, and the ports where UDP and TCP meet it."""

# mypy: disable-error-code="misc,no-untyped-call"
# scapy's classes carry no types that mypy could follow.

from __future__ import annotations

import struct
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Final

from scapy.fields import PacketListField, StrLenField
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw, bind_layers

from canet.harness.packets.message import CAMessage
from canet.harness.packets.messages import REPLIES, REQUESTS, CAEventAdd, CASearch, CAVersion
from canet.harness.packets.names import (
    CA_REPEATER_PORT,
    CA_SERVER_PORT,
    DO_REPLY,
    DONT_REPLY,
    ECA_NORMAL,
    EXTENDED,
    HEADER,
    MINOR,
)

_ONE_WAY: Final = {
    **{c: REQUESTS for c in REQUESTS if c not in REPLIES},
    **{c: REPLIES for c in REPLIES if c not in REQUESTS},
}


def message_class(data: bytes, to_server: bool | None) -> type[CAMessage] | None:
    """Choose the class for the message at the head of ``data``; ``None`` if it is not all there.

    A header does not say which way it goes. ``to_server`` does, where it is known; else the message's shape decides:
    a search repeats its id and asks with 5 or 10, a request to read or to create carries no value, and so on.
    """
    if len(data) < HEADER:
        return None
    command, size, kind, _count16, p1, p2 = struct.unpack_from("!HHHHII", data)
    start = HEADER
    if size == EXTENDED:
        if len(data) < HEADER + 8:
            return None
        size, start = struct.unpack_from("!I", data, HEADER)[0], HEADER + 8
    if len(data) < start + size:
        return None
    if command == 6:  # A server may itself search (gateways), from and to any port: only the shape is sure.
        request = kind in (DO_REPLY, DONT_REPLY) and p1 == p2 and p1 != 0xFFFFFFFF
        to_server = request and not (to_server is False and p1 == 0xFFFFFFFF)
    elif command in _ONE_WAY:
        to_server = _ONE_WAY[command] is REQUESTS
    elif to_server is None:
        to_server = {1: size == 16 and p1 != ECA_NORMAL, 3: size == 0, 15: size == 0, 18: size > 0, 19: size > 0}.get(
            command, True
        )
    found = (REQUESTS if to_server else REPLIES).get(command, CAMessage)
    if found is CAEventAdd and size != 16:
        return CAMessage  # Not a subscription as the specification knows it: show the header, keep every byte.
    if size and found not in _CARRIERS:
        return CAMessage
    return found


_CARRIERS: Final = frozenset(
    each
    for each in (*REQUESTS.values(), *REPLIES.values(), CAMessage)
    if each is CAEventAdd or isinstance(getattr(each, "fields_desc")[-1], StrLenField)  # noqa: B009  # unknown to mypy
)
"""Messages that may have a payload; any other with one is shown by its header, and keeps every byte."""


class CA(Packet):
    """The messages of one datagram or of a piece of a stream; bytes that are no whole message follow as Raw."""

    name = "Channel Access"
    fields_desc = [  # noqa: RUF012  # scapy's way
        PacketListField("messages", [], next_cls_cb=lambda pkt, _list, _last, remain: pkt.next_class(remain))
    ]
    to_server: bool | None = None

    def next_class(self, remain: bytes) -> type[CAMessage] | None:
        """Choose the class of the next message, by port where one is CA's."""
        return message_class(remain, self._direction())

    def _direction(self) -> bool | None:
        below = self.underlayer
        if below is None or not hasattr(below, "dport"):
            return self.to_server
        if below.dport == CA_SERVER_PORT:
            return True
        return False if below.sport == CA_SERVER_PORT else self.to_server

    def words(self) -> tuple[str, ...]:
        """Say each message in words, and how many bytes are none."""
        said = tuple(each.words() for each in self.messages)
        rest = len(bytes(self.payload))
        return said + ((f"{rest} bytes that are no whole message",) if rest else ())

    def mysummary(self) -> str:
        """Join the words for scapy's ``summary``."""
        return "CA " + "; ".join(self.words())


class _ToServer(CA):
    """Messages that a client sent."""

    name = "Channel Access (client to server)"
    to_server = True


class _ToClient(CA):
    """Messages that a server sent."""

    name = "Channel Access (server to client)"
    to_server = False


bind_layers(UDP, CA, dport=CA_SERVER_PORT)
bind_layers(UDP, CA, sport=CA_SERVER_PORT)
bind_layers(UDP, CA, dport=CA_REPEATER_PORT)
bind_layers(UDP, CA, sport=CA_REPEATER_PORT)
bind_layers(TCP, CA, dport=CA_SERVER_PORT)
bind_layers(TCP, CA, sport=CA_SERVER_PORT)


def dissect(payload: bytes, to_server: bool | None = None) -> CA:
    """Read the messages of a UDP or TCP payload.

    Args:
        payload: The bytes above UDP or TCP.
        to_server: Which way they went, or ``None`` to decide by each message's shape.
    """
    if to_server is None:
        return CA(payload)
    return (_ToServer if to_server else _ToClient)(payload)


@lru_cache(maxsize=4096)
def words(payload: bytes, to_server: bool | None = None) -> tuple[str, ...]:
    """Say each message of a UDP or TCP payload in words; never raises."""
    try:
        return dissect(payload, to_server).words()
    except Exception as error:  # scapy raises what it likes on damaged bytes
        return (f"{len(payload)} bytes that cannot be read ({error})",)


def search_payload(names: tuple[str, ...], first_cid: int = 0, version: int = MINOR) -> bytes:
    """Build a search datagram's payload: VERSION, then a SEARCH for each name with ids counting from ``first_cid``.

    libca sends the same (``udpiiu.cpp``: each datagram starts with a version message).
    """
    searches = [CASearch(version=version, cid=first_cid + place, pv=each) for place, each in enumerate(names)]
    return bytes(CA(messages=[CAVersion(version=version), *searches]))


def udp_frame(
    payload: bytes,
    *,
    mac: str,
    to_mac: str,
    source: IPv4Address,
    source_port: int,
    to: IPv4Address,
    port: int,
    ttl: int = 64,
    ident: int = 1,
) -> bytes:
    """Build a complete Ethernet frame around ``payload``, with every address given and both checksums right."""
    return bytes(
        Ether(src=mac, dst=to_mac, type=0x0800)
        / IP(src=str(source), dst=str(to), ttl=ttl, id=ident, flags="DF")
        / UDP(sport=source_port, dport=port)
        / Raw(payload)
    )
