"""Searches: which of many names are served here, answered in as few datagrams as will fit.

Over UDP, only names that are served are answered (rsrv never says no there); over TCP, an unknown name is answered
with NOT_FOUND if the client asked for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
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
_REPLY = Struct(">HHHHI")
_REPLY_SIZE = 24
_TAIL = MINOR_VERSION.to_bytes(2) + bytes(6)
_MOST = (MAX_DATAGRAM - HEADER.size) // _REPLY_SIZE

REMEMBERED = 8192
"""Names whose answer is remembered, as they came: clients search for the same names again and again."""
_LONGEST = 128
"""Bytes of a name that is remembered."""
_UNSERVED = b""
"""The reply to a name that is not served: none."""

_MARK = b"\0\6\0"
"""How a search begins whose name has up to 255 bytes. What follows, up to the next one:"""
_SIZE = itemgetter(0)
_CID = itemgetter(slice(9, 13))
_NAME = itemgetter(slice(13, None))
_BEFORE_NAME = 13
_SIZES = bytes(max(0, length - _BEFORE_NAME) for length in range(256))
"""Length of what follows the mark → what its first byte must say then."""


class Answers(dict[bytes, bytes]):
    """Names as they came → the reply up to the client's id, looked up when first asked for; empty: no reply.

    Args:
        names: what is served.
    """

    __slots__ = ("_generation", "here", "names")

    def __init__(self, names: Names) -> None:
        super().__init__()
        self.names = names
        self.here = b""
        """The reply to a name that is served here."""
        self._generation = names.generation

    def refresh(self) -> None:
        """Forget everything if what is served has changed."""
        if self._generation != self.names.generation:
            self.clear()
            self._generation = self.names.generation

    def __missing__(self, raw: bytes) -> bytes:
        """Look a name up, and remember the reply where it can be."""
        name = raw.partition(b"\0")[0]
        reply = _UNSERVED
        if self.names.knows(name):
            place = self.names.place(name)
            reply = self.here if place is None else _REPLY.pack(Command.SEARCH, 8, place[1], 0, place[0])
        if self._generation >= 0 and len(raw) <= _LONGEST:
            if len(self) >= REMEMBERED:
                self.clear()
            self[raw] = reply
        return reply


class Responder:
    """Answers search datagrams.

    Args:
        names: what is served.
        port: the TCP port that is announced.
    """

    __slots__ = ("_answers", "_port", "found", "names", "searches")

    def __init__(self, names: Names, port: int) -> None:
        self.names = names
        self._answers = Answers(names)
        self.port = port
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
        self._answers.here = _REPLY.pack(Command.SEARCH, 8, port, 0, HERE)
        self._answers.clear()

    def answer(self, datagrams: Sequence[bytes]) -> list[bytes]:
        """Answer datagrams of one client together, in as few as will fit, as rsrv does (``cast_server.c``).

        Args:
            datagrams: what came from one address and port and waits for an answer, whatever it holds.

        Returns:
            The reply datagrams, with the number of the last datagram that has one; none if no name is served.
        """
        self._answers.refresh()
        here = self._answers.here
        served: list[bytes] = []
        """Ids of the client for names that are served here: the only thing in which their replies differ."""
        elsewhere: list[bytes] = []
        last: int | None = None
        for data in datagrams:
            cids, names, sequence = read_searches(data)
            replies = list(map(self._answers.__getitem__, names))
            self.searches += len(replies)
            if sequence is not None:
                last = sequence
            if replies.count(here) == len(replies):
                served += cids
            elif any(replies):
                both = list(zip(cids, replies, strict=True))
                served += [cid for cid, reply in both if reply is here]
                elsewhere += [
                    reply + cid + _TAIL for cid, reply in both if reply is not here and reply is not _UNSERVED
                ]
        if not served and not elsewhere:
            return []
        self.found += len(served) + len(elsewhere)
        head = HEADER.pack(Command.VERSION, 0, int(last is not None), MINOR_VERSION, last or 0, 0)
        if elsewhere:
            elsewhere += [here + cid + _TAIL for cid in served]
            return [head + b"".join(elsewhere[at : at + _MOST]) for at in range(0, len(elsewhere), _MOST)]
        between = _TAIL + here
        return [head + here + between.join(served[at : at + _MOST]) + _TAIL for at in range(0, len(served), _MOST)]


def read_searches(data: bytes) -> tuple[list[bytes], list[bytes], int | None]:
    """Take a datagram apart.

    The usual datagram, a VERSION and searches, is split where searches begin; that is wrong where the same bytes stand
    within one (in an id), which its length then shows. All others are read message by message, with the same result.

    Args:
        data: the datagram.

    Returns:
        The client's id of each search, its name as it came, and the datagram's number if the client numbers them
        (4.11).
    """
    version, *searches = data.split(_MARK)
    try:
        sizes = bytes(map(_SIZE, searches))
        lengths = bytes(map(len, searches))
        right = min(lengths, default=0) >= _BEFORE_NAME and lengths.translate(_SIZES) == sizes
    except (IndexError, ValueError):  # nothing follows a mark, or too much
        right = False
    if not right or len(version) != HEADER_SIZE or version[:4] != bytes(4):
        return _read_each(data)
    return list(map(_CID, searches)), list(map(_NAME, searches)), _number_of(version)


def _number_of(version: bytes) -> int | None:
    """Return the number of a datagram from its VERSION, which the reply repeats (``cas_send_dg_msg``)."""
    _, _, numbered, _, number, _ = HEADER.unpack(version)
    return number if numbered == 1 else None


def _read_each(data: bytes) -> tuple[list[bytes], list[bytes], int | None]:
    """Do as :func:`read_searches` with any datagram; what is cut off or comes after that is no search."""
    cids: list[bytes] = []
    names: list[bytes] = []
    sequence: int | None = None
    position, end = 0, len(data)
    while position <= end - HEADER_SIZE:
        command, size, cid = _ITEM.unpack_from(data, position)
        start = position + HEADER_SIZE
        position = start + size
        if position > end:
            break
        if command == Command.SEARCH:
            cids.append(cid)
            names.append(data[start:position])
        elif command == Command.VERSION:
            number = _number_of(data[start - HEADER_SIZE : start])
            sequence = sequence if number is None else number
    return cids, names, sequence


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
