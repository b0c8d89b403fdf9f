"""Search for PVs: which datagrams ask, and what the answers mean. No socket, no clock."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from canet.server.protocol.commands import DONT_REPLY, MINOR_VERSION, Command
from canet.server.protocol.message import Message, read_datagram

MAX_DATAGRAM = 1024
"""libca packs searches into datagrams of at most so many bytes (``caProto.h`` MAX_UDP_SEND)."""
UNKNOWN_ADDRESS = 0xFFFFFFFF
"""In an answer: connect to where this datagram came from."""


@dataclass(frozen=True, slots=True)
class Found:
    """One answer: the PV with that CID is served at ``announced``."""

    cid: int
    announced: str
    """``A:PORT``."""


def datagrams(names: Iterable[tuple[int, str]]) -> Iterator[bytes]:
    """Yield datagrams that search the names, each a pair of CID and name; each begins with a version message."""
    version = Message(Command.VERSION, count=MINOR_VERSION).pack()
    waiting = b""
    for cid, name in names:
        each = Message(Command.SEARCH, DONT_REPLY, MINOR_VERSION, cid, cid, name.encode() + b"\0").pack()
        if waiting and len(version) + len(waiting) + len(each) > MAX_DATAGRAM:
            yield version + waiting
            waiting = b""
        waiting += each
    if waiting:
        yield version + waiting


def answers(data: bytes, source: str) -> Iterator[Found]:
    """Yield what a datagram answers, if it is one.

    Args:
        data: the datagram.
        source: IPv4 address that it came from; it stands in for an announced 0xFFFFFFFF. Servers before 4.8 could
            not announce an address, but those are gone.
    """
    for message in read_datagram(data):
        if message.command == Command.SEARCH:
            yield Found(message.p2, announced(message, source))


def announced(message: Message, source: str) -> str:
    """Return the ``A:PORT`` that an answer announces.

    >>> announced(Message(Command.SEARCH, 5064, 0, 0xFFFFFFFF, 1), "10.1.0.2")
    '10.1.0.2:5064'
    """
    address = source if message.p1 == UNKNOWN_ADDRESS else str(IPv4Address(struct.pack(">I", message.p1)))
    return f"{address}:{message.data_type}"
