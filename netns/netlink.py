"""Netlink messages as bytes, and a socket that sends a batch and says which message the kernel refused.

Only what building a topology needs: requests with attributes, acknowledgements, dumps (RFC 3549, linux/netlink.h).
Encoding a message here takes some ten microseconds and importing this module nothing, which is why the many small
rtnetlink messages of a topology do not go through a general library.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

NETLINK_ROUTE: Final = 0
NETLINK_NETFILTER: Final = 12

NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_REPLACE: Final = 0x100
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
NLM_F_APPEND: Final = 0x800
NLM_F_DUMP: Final = 0x300

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
NLA_F_NESTED: Final = 0x8000

_HEADER: Final = struct.Struct("=IHHII")
_BATCH_BYTES: Final = 16384
"""Sent at once: the kernel answers each message before it takes the next batch, so the receive queue stays short."""

_ANSWER_SECONDS: Final = 60.0
"""The kernel does all such work under one lock: on a busy machine an answer may take its time."""

Attribute = tuple[int, "bytes | int | str | Sequence[Attribute]"]
"""Type and value: bytes as they are, an int as native u32, text with its zero, a sequence as a nest."""


@dataclass(frozen=True, slots=True)
class Message:
    """One request: its type, the fixed header of its family, its attributes, and what it is for (in words)."""

    kind: int
    body: bytes
    attributes: Sequence[Attribute] = ()
    flags: int = 0
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that the kernel refused."""

    message: Message
    errno: int

    def __str__(self) -> str:
        return f"{self.message.purpose}: {os.strerror(self.errno)} ({errno.errorcode.get(self.errno, self.errno)})"


def encode_attributes(attributes: Sequence[Attribute]) -> bytes:
    """Encode attributes, each padded to four bytes."""
    parts: list[bytes] = []
    for kind, value in attributes:
        if isinstance(value, int):
            raw = value.to_bytes(4, "little" if _LITTLE else "big")
        elif isinstance(value, str):
            raw = value.encode() + b"\0"
        elif isinstance(value, bytes):
            raw = value
        else:
            raw = encode_attributes(value)
        parts.append(struct.pack("=HH", len(raw) + 4, kind) + raw + bytes(-len(raw) % 4))
    return b"".join(parts)


_LITTLE: Final = struct.pack("=H", 1) == b"\1\0"


def encode(message: Message, sequence: int, flags: int = NLM_F_ACK) -> bytes:
    """Encode a request with this sequence number."""
    payload = message.body + encode_attributes(message.attributes)
    head = _HEADER.pack(16 + len(payload), message.kind, NLM_F_REQUEST | flags | message.flags, sequence, 0)
    return head + payload + bytes(-len(payload) % 4)


def decode_attributes(data: bytes) -> dict[int, bytes]:
    """Return attribute values by type (flags removed); the last of equal types wins."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def decode(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield type, sequence number and payload of each message in a received buffer."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind, _flags, sequence, _port = _HEADER.unpack_from(data, offset)
        if length < 16:
            return
        yield kind, sequence, data[offset + 16 : offset + length]
        offset += (length + 3) & ~3


class Netlink:
    """A netlink socket of the namespace that the calling thread is in when it is made."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.settimeout(_ANSWER_SECONDS)
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, messages: Sequence[Message]) -> list[Refusal]:
        """Send messages in order and wait for the answer to each; return those that the kernel refused."""
        refused: list[Refusal] = []
        batch: list[bytes] = []
        pending: dict[int, Message] = {}
        for message in messages:
            self._sequence += 1
            pending[self._sequence] = message
            batch.append(encode(message, self._sequence))
            if sum(map(len, batch)) > _BATCH_BYTES:
                refused += self._exchange(b"".join(batch), pending)
                batch, pending = [], {}
        if batch:
            refused += self._exchange(b"".join(batch), pending)
        return refused

    def _exchange(self, data: bytes, pending: dict[int, Message]) -> list[Refusal]:
        self._socket.send(data)
        refused: list[Refusal] = []
        while pending:
            for kind, sequence, payload in decode(self._socket.recv(1 << 16)):
                if kind != NLMSG_ERROR:
                    continue
                (code,) = struct.unpack_from("=i", payload)
                message = pending.pop(sequence, None)
                if message is None and code:  # the frame around a transaction: nothing of it was done
                    raise OSError(-code, os.strerror(-code), "netlink")
                if message is not None and code:
                    refused.append(Refusal(message, -code))
        return refused

    def transaction(self, data: bytes, messages: dict[int, Message]) -> list[Refusal]:
        """Send a prepared batch (nftables) whose messages of these sequence numbers ask for acknowledgements."""
        return self._exchange(data, dict(messages))

    def dump(self, message: Message) -> list[bytes]:
        """Ask for a dump and return the payloads of its messages."""
        self._sequence += 1
        sequence = self._sequence
        self._socket.send(encode(message, sequence, NLM_F_DUMP))
        found: list[bytes] = []
        while True:
            for kind, number, payload in decode(self._socket.recv(1 << 17)):
                if number != sequence:
                    continue
                if kind == NLMSG_DONE:
                    return found
                if kind == NLMSG_ERROR:
                    (code,) = struct.unpack_from("=i", payload)
                    raise OSError(-code, os.strerror(-code), message.purpose)
                found.append(payload)
