"""Messages and their bytes: the header, the extended header, and reading whole messages out of a stream.

A message is sixteen bytes of header and a payload, padded to a multiple of eight. Where payload or count need more
than sixteen bits, the payload size is 0xFFFF, the count 0, and both follow as thirty-two bit numbers (CA 4.9).
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from canet.server.protocol.commands import Command

HEADER = Struct(">HHHHII")
EXTENDED = Struct(">HHHHIIII")
HEADER_SIZE = 16
EXTENDED_SIZE = 24
_NAMES = {int(each): each.name for each in Command}
MARK = 0xFFFF
"""Payload size that says that the extended header follows (``camessage`` in ``camessage.c`` looks at nothing else)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message; what the fields mean is in :data:`canet.server.protocol.commands.FORMS`."""

    command: int
    data_type: int = 0
    count: int = 0
    p1: int = 0
    p2: int = 0
    payload: bytes = b""

    def pack(self) -> bytes:
        """Return the bytes, padded; the extended header is used where it is needed."""
        return header(self.command, len(self.payload), self.data_type, self.count, self.p1, self.p2) + padded(
            self.payload
        )

    def __str__(self) -> str:
        name = _NAMES.get(self.command, f"command {self.command}")
        return f"{name} type={self.data_type} count={self.count} p1={self.p1} p2={self.p2} +{len(self.payload)} bytes"


def header(command: int, size: int, data_type: int, count: int, p1: int, p2: int) -> bytes:
    """Return a header for a payload of ``size`` bytes before padding."""
    size = (size + 7) & ~7
    if size < MARK and count < MARK:
        return HEADER.pack(command, size, data_type, count, p1, p2)
    return EXTENDED.pack(command, MARK, data_type, 0, p1, p2, size, count)


def padded(payload: bytes) -> bytes:
    """Return the payload with zeros up to the next multiple of eight."""
    rest = -len(payload) & 7
    return payload + bytes(rest) if rest else payload


def read_message(buffer: bytes | bytearray | memoryview, start: int, end: int) -> tuple[Message, int] | int:
    """Read one message at ``start``.

    Returns:
        The message and where the next one begins; or, if it is not all there, how many bytes from ``start`` on are
        needed before it makes sense to try again (a lower bound).
    """
    if end - start < HEADER_SIZE:
        return HEADER_SIZE
    command, size, data_type, count, p1, p2 = HEADER.unpack_from(buffer, start)
    body = start + HEADER_SIZE
    if size == MARK:
        if end - start < EXTENDED_SIZE:
            return EXTENDED_SIZE
        *_, size, count = EXTENDED.unpack_from(buffer, start)
        body = start + EXTENDED_SIZE
    stop = body + size
    if stop > end:
        return int(stop - start)
    payload = bytes(memoryview(buffer)[body:stop]) if size else b""
    return Message(command, data_type, count, p1, p2, payload), stop


def read_datagram(data: bytes) -> list[Message]:
    """Return the messages of a datagram; what is cut off at its end is left out (as ``cast_server.c`` does)."""
    messages: list[Message] = []
    position = 0
    while True:
        result = read_message(data, position, len(data))
        if isinstance(result, int):
            return messages
        message, position = result
        messages.append(message)


class Reader:
    """Reads messages from a stream that comes in pieces; any cut gives the same messages.

    >>> reader = Reader()
    >>> data = Message(Command.ECHO).pack()
    >>> reader.feed(data[:5]), reader.feed(data[5:])
    ([], [Message(command=23, data_type=0, count=0, p1=0, p2=0, payload=b'')])
    """

    __slots__ = ("_buffer", "_needed")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = HEADER_SIZE

    def feed(self, data: bytes) -> list[Message]:
        """Take the next piece, and return the messages that are whole now."""
        buffer = self._buffer
        buffer += data
        messages: list[Message] = []
        if len(buffer) < self._needed:
            return messages
        position = 0
        while True:
            result = read_message(buffer, position, len(buffer))
            if isinstance(result, int):
                self._needed = result
                break
            message, position = result
            messages.append(message)
        del buffer[:position]
        return messages

    @property
    def pending(self) -> int:
        """Bytes of a message that is not whole yet."""
        return len(self._buffer)
