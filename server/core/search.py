"""Searches: which of many names are served here, answered in as few datagrams as will fit.

Over UDP, only names that are served are answered (rsrv never says no there); over TCP, an unknown name is answered
with NOT_FOUND if the client asked for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import TYPE_CHECKING

from canet.server.protocol.commands import DO_REPLY, MINOR_VERSION, Command
from canet.server.protocol.convert import decode_text
from canet.server.protocol.message import HEADER, HEADER_SIZE, Message, header, read_datagram

if TYPE_CHECKING:
    from canet.server.core.circuit import Circuit
    from canet.server.core.names import Names

MAX_DATAGRAM = 1024
"""Bytes of a reply datagram (``MAX_UDP_SEND``): within the MTU of every link that clients search over."""
HERE = 0xFFFFFFFF
"""Announced instead of an address: connect to where the reply came from."""

_ITEM = Struct(">HH8x4s")
"""Command, payload size and the client's id of a search."""
_FIRST = Struct(">IHHIII")
"""VERSION, its first four bytes in one, and the first four bytes of the message that follows."""
_REPLY = Struct(">HHHHI")
_REPLY_SIZE = 24
_TAIL = MINOR_VERSION.to_bytes(2) + bytes(6)
_MOST = (MAX_DATAGRAM - HEADER.size) // _REPLY_SIZE

_UNKNOWN = b"?"
"""Stands for a name that was not looked up yet."""

REMEMBERED = 8192
"""Names whose answer is remembered, as they came: clients search for the same names again and again."""
_LONGEST = 128
"""Bytes of a name that is remembered."""


_ALIKE = {
    Command.SEARCH << 16 | size: Struct(f">12x4s{size}s")  # the client's id, the name
    for size in range(8, _LONGEST + 1, 8)
}
"""First four bytes of a search (command, payload size) → form of the search."""

Asked = Iterable[tuple[bytes, bytes]]
"""The client's id, and the name as it came, of each search."""


class Responder:
    """Answers search datagrams.

    Args:
        names: what is served.
        port: the TCP port that is announced.
    """

    __slots__ = ("_answers", "_generation", "_here", "_port", "found", "names", "searches")

    def __init__(self, names: Names, port: int) -> None:
        self.names = names
        self._answers: dict[bytes, bytes | None] = {}
        self.port = port
        self._generation = names.generation
        self.searches = 0
        """Names that were asked for."""
        self.found = 0
        """Names that were answered."""

    @property
    def port(self) -> int:
        """The TCP port that is announced."""
        return self._port

    @port.setter
    def port(self, port: int) -> None:
        self._port = port
        self._here = _REPLY.pack(Command.SEARCH, 8, port, 0, HERE)
        self._answers.clear()

    def answer(self, data: bytes) -> list[bytes]:
        """Return the reply datagrams to a datagram, whatever it holds; none if no name in it is served."""
        answers, here = self._answers, self._here
        if self._generation != self.names.generation:
            answers.clear()
            self._generation = self.names.generation
        own: list[bytes] = []
        """Ids of the client for names that are served here: the only thing in which their replies differ."""
        others: list[bytes] = []
        get, add, unknown = answers.get, own.append, _UNKNOWN
        unserved = 0
        asked, sequence = read_searches(data)
        for cid, raw in asked:
            reply = get(raw, unknown)
            if reply is unknown:
                reply = self._look_up(raw)
            if reply is here:
                add(cid)
            elif reply is None:
                unserved += 1
            else:
                others.append(reply + cid + _TAIL)
        self.searches += unserved + len(own) + len(others)
        self.found += len(own) + len(others)
        if not own and not others:
            return []
        head = HEADER.pack(Command.VERSION, 0, int(sequence is not None), MINOR_VERSION, sequence or 0, 0)
        if others:
            others += [here + cid + _TAIL for cid in own]
            return [head + b"".join(others[at : at + _MOST]) for at in range(0, len(others), _MOST)]
        between = _TAIL + here
        return [head + here + between.join(own[at : at + _MOST]) + _TAIL for at in range(0, len(own), _MOST)]

    def _look_up(self, raw: bytes) -> bytes | None:
        """Return the reply for a name up to the client's id, and remember it where it can be; ``None``: no reply."""
        name = raw.partition(b"\0")[0]
        reply = None
        if self.names.knows(name):
            place = self.names.place(name)
            reply = self._here if place is None else _REPLY.pack(Command.SEARCH, 8, place[1], 0, place[0])
        if self._generation >= 0 and len(raw) <= _LONGEST:
            if len(self._answers) >= REMEMBERED:
                self._answers.clear()
            self._answers[raw] = reply
        return reply


def read_searches(data: bytes) -> tuple[Asked, int | None]:
    """Return the searches in a datagram, and the datagram's number if the client numbers them (4.11).

    The usual datagram, a VERSION and searches for names of one length, is taken apart in one go; all others message
    by message, with the same result.
    """
    if len(data) < _FIRST.size:
        return _read_each(data)
    version, numbered, _, number, _, first = _FIRST.unpack_from(data)
    form = _ALIKE.get(first)
    if version or form is None:
        return _read_each(data)
    step = form.size
    many, rest = divmod(len(data) - HEADER_SIZE, step)
    if rest:
        return _read_each(data)
    for each in range(HEADER_SIZE, HEADER_SIZE + 4):
        if data[each::step].count(data[each]) != many:
            return _read_each(data)
    return form.iter_unpack(memoryview(data)[HEADER_SIZE:]), number if numbered == 1 else None


def _read_each(data: bytes) -> tuple[list[tuple[bytes, bytes]], int | None]:
    """Do as :func:`read_searches` with any datagram; what is cut off or comes after that is no search."""
    found: list[tuple[bytes, bytes]] = []
    sequence: int | None = None
    position, end = 0, len(data)
    last = end - HEADER_SIZE
    add, unpack = found.append, _ITEM.unpack_from
    while position <= last:
        command, size, cid = unpack(data, position)
        start = position + 16
        position = start + size
        if position > end:
            break
        if command == 6:
            add((cid, data[start:position]))
        elif command == 0:
            _, _, numbered, _, number, _ = HEADER.unpack_from(data, start - HEADER_SIZE)
            # The reply repeats the number (cas_send_dg_msg).
            sequence = number if numbered == 1 else sequence
    return found, sequence


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
