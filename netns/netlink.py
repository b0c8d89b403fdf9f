"""Requests to the kernel as values, and a socket that sends them in batches and says which one the kernel refused.

pyroute2 encodes requests and decodes answers: messages, fields and attributes have its names, which are those of the
kernel's headers. This is the only file that imports it, and not before a socket is opened: that takes a quarter of a
second, once in a process.

Its sockets are not used. A batch has to name every step that was refused, and ``nlm_request_batch`` of pyroute2 0.9
either raises the first error, without saying whose it is and without reading the answers that follow, or none. And
each of its sockets has an event loop of its own: half a millisecond and three more descriptors for each host.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

NETLINK_ROUTE: Final = 0
NETLINK_NETFILTER: Final = 12

NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
NLM_F_APPEND: Final = 0x800
NLM_F_DUMP: Final = 0x300

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3

_NFTABLES: Final = 10
"""The subsystem of netfilter (linux/netfilter/nfnetlink.h)."""

_BATCH_BYTES: Final = 16384
"""Sent at once: the kernel answers each message before it takes the next batch, so the receive queue stays short."""

_TRANSACTION_BYTES: Final = 1 << 24
"""A transaction goes in one piece, so that the send buffer bounds how many rules a host can have."""
_SO_SNDBUFFORCE: Final = 32

_ANSWER_SECONDS: Final = 60.0
"""The kernel does all such work under one lock: on a busy machine an answer may take its time."""

Attribute = tuple[str, Any] | tuple[str, Any, int]
"""Name, value as pyroute2 takes it, and flags of the type where it needs some; :func:`nest` makes nested values."""


def nest(*attributes: Attribute, **fields: object) -> dict[str, Any]:
    """Return attributes, and the fields before them, as the value of an attribute."""
    return {**fields, "attrs": list(attributes)}


@dataclass(frozen=True, slots=True)
class Message:
    """One request: the name of its type, what it is for (in words), its fields and its attributes."""

    kind: str
    """``RTM_…``, ``NFT_MSG_…`` or ``NFNL_MSG_…``."""
    purpose: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)
    attributes: Sequence[Attribute] = ()
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that the kernel refused."""

    message: Message
    errno: int

    def __str__(self) -> str:
        return f"{self.message.purpose}: {os.strerror(self.errno)} ({errno.errorcode.get(self.errno, self.errno)})"


_importing = threading.Lock()


@cache
def _load() -> None:
    """Import what is needed of pyroute2, in one thread: its modules import each other.

    Two threads that begin at two ends of such a circle deadlock, or see half a module (measured: networks that were
    the first of a process and built side by side).
    """
    with _importing:
        import pyroute2.netlink.marshal
        import pyroute2.netlink.nfnetlink.nftsocket
        import pyroute2.netlink.rtnl.marshal  # noqa: F401 - imported to be there


@cache
def _layout(kind: str) -> tuple[int, Any]:
    """Return the number of a message type and pyroute2's class for it."""
    _load()
    if kind.startswith("RTM_"):
        from pyroute2.netlink import rtnl
        from pyroute2.netlink.rtnl.marshal import MarshalRtnl

        number = getattr(rtnl, kind)
        return number, MarshalRtnl.msg_map[number]
    from pyroute2.netlink.nfnetlink import nfgen_msg, nftsocket

    if kind.startswith("NFNL_MSG_BATCH_"):
        return {"BEGIN": 0x10, "END": 0x11}[kind.rpartition("_")[2]], nfgen_msg
    what = kind.removeprefix("NFT_MSG_NEW").removeprefix("NFT_MSG_DEL").lower()
    return _NFTABLES << 8 | getattr(nftsocket, kind), getattr(nftsocket, f"nft_{what}_msg")


def encode(message: Message, sequence: int, flags: int = NLM_F_ACK) -> bytes:
    """Encode a request with this sequence number."""
    number, layout = _layout(message.kind)
    made = layout()
    made.update(message.fields)
    made["attrs"] = list(message.attributes)
    made["header"] = {
        "type": number,
        "flags": NLM_F_REQUEST | flags | message.flags,
        "sequence_number": sequence,
    }
    made.encode()
    return bytes(made.data)


class Netlink:
    """A netlink socket of the namespace that the calling thread is in when it is made."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        _load()
        from pyroute2.netlink.marshal import Marshal
        from pyroute2.netlink.rtnl.marshal import MarshalRtnl

        self._reader = MarshalRtnl() if protocol == NETLINK_ROUTE else Marshal()
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _TRANSACTION_BYTES)
        except PermissionError:  # an ordinary user gets what wmem_max lets
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _TRANSACTION_BYTES)
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
        batch = b""
        pending: dict[int, Message] = {}
        for message in messages:
            batch += self._encode(message, pending)
            if len(batch) > _BATCH_BYTES:
                refused += self._exchange(batch, pending)
                batch, pending = b"", {}
        if batch:
            refused += self._exchange(batch, pending)
        return refused

    def transaction(self, messages: Sequence[Message]) -> list[Refusal]:
        """Send messages to nftables of which all take effect, or none; return those that the kernel refused.

        Raises:
            OSError: the kernel refuses nftables as a whole.
        """
        pending: dict[int, Message] = {}
        edges = [
            encode(Message(f"NFNL_MSG_BATCH_{edge}", fields={"res_id": _NFTABLES}), 0, 0) for edge in ("BEGIN", "END")
        ]
        inner = b"".join([self._encode(message, pending) for message in messages])
        return self._exchange(edges[0] + inner + edges[1], pending)

    def _encode(self, message: Message, pending: dict[int, Message]) -> bytes:
        self._sequence += 1
        pending[self._sequence] = message
        return encode(message, self._sequence)

    def _exchange(self, data: bytes, pending: dict[int, Message]) -> list[Refusal]:
        self._socket.send(data)
        refused: list[Refusal] = []
        while pending:
            for answer in self._answers():
                if answer["header"]["type"] != NLMSG_ERROR:
                    continue
                code = -answer["error"]
                message = pending.pop(answer["header"]["sequence_number"], None)
                if message is None and code:  # the frame around a transaction: nothing of it was done
                    raise OSError(code, os.strerror(code), "netlink")
                if message is not None and code:
                    refused.append(Refusal(message, code))
        return refused

    def _answers(self) -> Iterator[Any]:
        return self._reader.parse(self._socket.recv(1 << 17))  # type: ignore[no-any-return]

    def dump(self, message: Message) -> list[Any]:
        """Ask for a dump and return its messages: mappings of fields, with ``get_attr(name)`` for attributes."""
        self._sequence += 1
        sequence = self._sequence
        self._socket.send(encode(message, sequence, NLM_F_DUMP))
        found: list[Any] = []
        while True:
            for answer in self._answers():
                if answer["header"]["sequence_number"] != sequence:
                    continue
                if answer["header"]["type"] == NLMSG_DONE:
                    return found
                if answer["header"]["type"] == NLMSG_ERROR:
                    code = -answer["error"]
                    raise OSError(code, os.strerror(code), message.purpose)
                found.append(answer)
