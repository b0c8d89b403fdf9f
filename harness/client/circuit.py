"""The client's side of one circuit: what to send for each wish, and what the answers mean. No socket, no clock.

Call a method, send what :meth:`Circuit.outgoing` returns, feed what arrives to :meth:`Circuit.receive`, and handle
the events that it returns. Rules: CA protocol specification, sections "Channel creation" and "Commands".
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from canet.server.protocol import eca
from canet.server.protocol.commands import MINOR_VERSION, Command
from canet.server.protocol.convert import ConversionError
from canet.server.protocol.dbr import Native
from canet.server.protocol.message import Message, Reader
from canet.server.protocol.payload import Reading, decode, encode

VALUE, LOG, ALARM, PROPERTY = 1, 2, 4, 8
"""Bits of a subscription's mask (``caeventmask.h``)."""


@dataclass(slots=True)
class Channel:
    """A PV on a circuit."""

    name: str
    cid: int
    state: Literal["creating", "open", "failed", "closed"] = "creating"
    sid: int = 0
    native: Native = Native.DOUBLE
    count: int = 0
    readable: bool = False
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Created:
    """A channel is open, or could not be opened (``channel.state`` says which)."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Rights:
    """The access rights of a channel have been told."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a read or write with that IOID."""

    ioid: int
    status: int
    """ECA code; 1 is success."""
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """A subscription's new value."""

    subscription: int
    status: int
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class Echoed:
    """The server is alive."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The server has closed a channel."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Failed:
    """The server sent an error message."""

    status: int
    text: str


Event = Created | Rights | Answer | Update | Echoed | Disconnected | Failed


class Circuit:
    """One TCP connection to a server."""

    def __init__(self, user: str = "canet", host: str = "canet", priority: int = 0) -> None:
        self.channels: dict[int, Channel] = {}
        """Channels by CID."""
        self.version: int | None = None
        """The server's minor version, when it has told it."""
        self._reader = Reader()
        self._ids = itertools.count(1)
        self._out = [
            Message(Command.VERSION, priority, MINOR_VERSION).pack(),
            Message(Command.CLIENT_NAME, payload=user.encode() + b"\0").pack(),
            Message(Command.HOST_NAME, payload=host.encode() + b"\0").pack(),
        ]

    def outgoing(self) -> bytes:
        """Return what has to be sent now; the next call returns only what is new."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def create(self, name: str) -> Channel:
        """Open a channel; :class:`Created` will tell."""
        channel = Channel(name, next(self._ids))
        self.channels[channel.cid] = channel
        self._send(Message(Command.CREATE_CHAN, 0, 0, channel.cid, MINOR_VERSION, name.encode() + b"\0"))
        return channel

    def clear(self, channel: Channel) -> None:
        """Close a channel."""
        channel.state = "closed"
        self._send(Message(Command.CLEAR_CHANNEL, p1=channel.sid, p2=channel.cid))

    def read(self, channel: Channel, dbr_type: int | None = None, count: int | None = None) -> int:
        """Ask for the value; returns the IOID that :class:`Answer` will carry. Without a type: the native one."""
        ioid = next(self._ids)
        kind = int(channel.native) if dbr_type is None else dbr_type
        elements = channel.count if count is None else count
        self._send(Message(Command.READ_NOTIFY, kind, elements, channel.sid, ioid))
        return ioid

    def write(self, channel: Channel, value: Any, *, notify: bool = True, native: Native | None = None) -> int:
        """Write a value; returns the IOID. With ``notify`` an :class:`Answer` follows, else none.

        Raises:
            ConversionError: the value has no counterpart in the channel's type.
        """
        ioid = next(self._ids)
        kind = channel.native if native is None else native
        count = len(value) if isinstance(value, (list, tuple)) or hasattr(value, "tolist") else 1
        if isinstance(value, str) and kind != Native.STRING:
            kind = Native.STRING  # the server converts, as caput lets it
        payload = encode(int(kind), count, value, kind)
        command = Command.WRITE_NOTIFY if notify else Command.WRITE
        self._send(Message(command, int(kind), count, channel.sid, ioid, payload))
        return ioid

    def subscribe(
        self, channel: Channel, dbr_type: int | None = None, count: int | None = None, mask: int = VALUE | ALARM
    ) -> int:
        """Ask for updates; returns the id that each :class:`Update` will carry."""
        subscription = next(self._ids)
        kind = int(channel.native) if dbr_type is None else dbr_type
        payload = struct.pack(">fffHH", 0.0, 0.0, 0.0, mask, 0)
        elements = channel.count if count is None else count
        self._send(Message(Command.EVENT_ADD, kind, elements, channel.sid, subscription, payload))
        return subscription

    def unsubscribe(self, channel: Channel, subscription: int, dbr_type: int | None = None) -> None:
        """End a subscription."""
        kind = int(channel.native) if dbr_type is None else dbr_type
        self._send(Message(Command.EVENT_CANCEL, kind, channel.count, channel.sid, subscription))

    def search(self, cid: int, name: str) -> None:
        """Ask a name server for a PV over this circuit; answers are read with :mod:`canet.harness.client.search`."""
        self._send(Message(Command.SEARCH, 5, MINOR_VERSION, cid, cid, name.encode() + b"\0"))

    def echo(self) -> None:
        """Ask whether the server is alive."""
        self._send(Message(Command.ECHO))

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes that arrived, in any cut, and return what they mean."""
        return [event for message in self._reader.feed(data) for event in self._handle(message)]

    def _send(self, message: Message) -> None:
        self._out.append(message.pack())

    def _handle(self, message: Message) -> list[Event]:
        handler = _HANDLERS.get(message.command)
        return [] if handler is None else handler(self, message)

    def _on_version(self, message: Message) -> list[Event]:
        self.version = message.count
        return []

    def _on_created(self, message: Message) -> list[Event]:
        channel = self.channels.get(message.p1)
        if channel is None:
            return []
        channel.state, channel.sid, channel.count = "open", message.p2, message.count
        try:
            channel.native = Native(message.data_type)
        except ValueError:
            channel.state = "failed"
        return [Created(channel)]

    def _on_failed(self, message: Message) -> list[Event]:
        channel = self.channels.get(message.p1)
        if channel is None:
            return []
        channel.state = "failed"
        return [Created(channel)]

    def _on_rights(self, message: Message) -> list[Event]:
        channel = self.channels.get(message.p1)
        if channel is None:
            return []
        channel.readable, channel.writable = bool(message.p2 & 1), bool(message.p2 & 2)
        return [Rights(channel)]

    def _on_read(self, message: Message) -> list[Event]:
        return [Answer(message.p2, *_reading(message))]

    def _on_written(self, message: Message) -> list[Event]:
        return [Answer(message.p2, message.p1)]

    def _on_update(self, message: Message) -> list[Event]:
        return [Update(message.p2, *_reading(message))]

    def _on_echo(self, _message: Message) -> list[Event]:
        return [Echoed()]

    def _on_disconnected(self, message: Message) -> list[Event]:
        channel = self.channels.get(message.p1)
        if channel is None:
            return []
        channel.state = "closed"
        return [Disconnected(channel)]

    def _on_error(self, message: Message) -> list[Event]:
        text = message.payload[16:].rstrip(b"\0").decode(errors="replace")
        return [Failed(message.p2, text or eca.describe(message.p2))]


_HANDLERS: dict[int, Callable[[Circuit, Message], list[Event]]] = {
    Command.VERSION: Circuit._on_version,
    Command.CREATE_CHAN: Circuit._on_created,
    Command.CREATE_CH_FAIL: Circuit._on_failed,
    Command.ACCESS_RIGHTS: Circuit._on_rights,
    Command.READ_NOTIFY: Circuit._on_read,
    Command.WRITE_NOTIFY: Circuit._on_written,
    Command.EVENT_ADD: Circuit._on_update,
    Command.ECHO: Circuit._on_echo,
    Command.SERVER_DISCONN: Circuit._on_disconnected,
    Command.ERROR: Circuit._on_error,
}
"""What each command of a server means to us; others are ignored, as libca does."""


def _reading(message: Message) -> tuple[int, Reading | None]:
    if message.p1 != eca.NORMAL or not message.payload:
        return message.p1, None
    try:
        return message.p1, decode(message.data_type, message.count, message.payload)
    except (ConversionError, ValueError):
        return eca.BADTYPE, None
