"""Searches: which of many names are served here, answered in as few datagrams as will fit.

Over UDP, only names that are served are answered (rsrv never says no there); over TCP, an unknown name is answered
with NOT_FOUND if the client asked for that.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from canet.server.protocol.commands import DO_REPLY, MINOR_VERSION, Command
from canet.server.protocol.convert import decode_text
from canet.server.protocol.message import HEADER, Message, header, read_datagram

if TYPE_CHECKING:
    from canet.server.core.circuit import Circuit
    from canet.server.core.names import Names

MAX_DATAGRAM = 1024
"""Bytes of a reply datagram (``MAX_UDP_SEND``): within the MTU of every link that clients search over."""
HERE = 0xFFFFFFFF
"""Announced instead of an address: connect to where the reply came from."""

_ITEM = Struct(">HHHHI4s")
_REPLY = Struct(">HHHHI4sH6x")
_MOST = (MAX_DATAGRAM - HEADER.size) // _REPLY.size


class Responder:
    """Answers search datagrams.

    Args:
        names: what is served.
        port: the TCP port that is announced.
    """

    __slots__ = ("found", "names", "port", "searches")

    def __init__(self, names: Names, port: int) -> None:
        self.names = names
        self.port = port
        self.searches = 0
        """Names that were asked for."""
        self.found = 0
        """Names that were answered."""

    def answer(self, data: bytes) -> list[bytes]:
        """Return the reply datagrams to a datagram, whatever it holds; none if no name in it is served."""
        position, end = 0, len(data)
        parts: list[bytes] = []
        sequence: int | None = None
        unpack, known, knows = _ITEM.unpack_from, self.names.wire, self.names.knows
        searches = 0
        while end - position >= 16:
            command, size, kind, _count, first, second = unpack(data, position)
            position += 16
            stop = position + size
            if stop > end:
                break
            if command == 6:
                searches += 1
                name = data[position:stop].rstrip(b"\0")
                if name in known or knows(name):
                    parts.append(self._reply(name, second))
            elif command == 0 and kind == 1:
                # The client numbers its datagrams (4.11); the reply repeats the number (cas_send_dg_msg).
                sequence = first
            position = stop
        self.searches += searches
        if not parts:
            return []
        self.found += len(parts)
        head = HEADER.pack(Command.VERSION, 0, int(sequence is not None), MINOR_VERSION, sequence or 0, 0)
        return [head + b"".join(parts[at : at + _MOST]) for at in range(0, len(parts), _MOST)]

    def _reply(self, name: bytes, cid: bytes) -> bytes:
        """Return the reply for one name."""
        address, port = self.names.place(name) or (HERE, self.port)
        return _REPLY.pack(Command.SEARCH, 8, port, 0, address, cid, MINOR_VERSION)


def searched_names(data: bytes) -> list[str]:
    """Return the names that a datagram asks for."""
    return [decode_text(each.payload) for each in read_datagram(data) if each.command == Command.SEARCH]


def answer_tcp(circuit: Circuit, message: Message) -> None:
    """Answer a search that came over a circuit (``search_reply_tcp``)."""
    server = circuit.server
    server.responder.searches += 1
    name = message.payload.partition(b"\0")[0]
    if server.names.knows(name):
        server.responder.found += 1
        address, port = server.names.place(name) or (HERE, server.responder.port)
        circuit.send(HEADER.pack(Command.SEARCH, 0, port, 0, address, message.p2))
    elif message.data_type == DO_REPLY:
        circuit.send(header(Command.NOT_FOUND, 0, DO_REPLY, message.count, message.p1, message.p2))
