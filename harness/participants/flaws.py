"""The datagrams at which fragile servers stopped reading searches, as servers in the field did."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from canet.server.protocol.commands import Command
from canet.server.protocol.message import read_datagram

FLAWS: Mapping[str, Callable[[bytes], bool]] = {
    "truncated": lambda data: sum(16 + len(each.payload) for each in read_datagram(data)) < len(data),
    "empty": lambda data: not data,
    "unnamed": lambda data: any(
        each.command == Command.SEARCH and not text(each.payload) for each in read_datagram(data)
    ),
    "unknown": lambda data: any(each.command > Command.SERVER_DISCONN for each in read_datagram(data)),
}
"""What a fragile server stumbles over → whether a datagram is such a one."""


def text(payload: bytes) -> str:
    """Return the name in a payload, up to its zero byte.

    >>> text(b"ioc:x" + bytes(3))
    'ioc:x'
    """
    return payload.split(b"\0", 1)[0].decode("latin-1")
