"""A circuit: one client's TCP connection as the core sees it. Bytes in, bytes out, no socket.

The driver hands over what it read (:meth:`Circuit.receive`), takes what is to be written from :attr:`Circuit.outbox`,
and closes when :attr:`Circuit.closing` says so. What each command does is in the files of
:mod:`canet.server.core.requests`; runs of the commands that clients send in masses are handled in
:mod:`canet.server.core.runs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from canet.server.core.channel import Channel
from canet.server.core.hooks import Job
from canet.server.core.outbox import Outbox
from canet.server.core.requests import HANDLERS
from canet.server.core.runs import RUNS
from canet.server.core.subscription import Subscription
from canet.server.protocol import eca
from canet.server.protocol.commands import MINOR_VERSION, Command
from canet.server.protocol.convert import encode_text
from canet.server.protocol.dbr import ITEM_SIZE
from canet.server.protocol.message import (
    EXTENDED,
    EXTENDED_SIZE,
    HEADER,
    HEADER_SIZE,
    MARK,
    Message,
    header,
    padded,
    read_message,
)

if TYPE_CHECKING:
    from canet.server.core.server import Server

CONGESTED = 256 * 1024
"""Bytes that wait for a client beyond which subscriptions queue instead of adding to them."""
FULL = 1024 * 1024
"""Bytes that wait for a client beyond which none of its requests is taken: TCP then slows it down."""
MOST_JOBS = 256
"""Requests of one client that may wait for hooks at a time; more are not taken until some are done."""
SMALL = 16 * 1024
"""Largest payload of a request that is not a write (``MAX_TCP``): names, masks, echoes."""


class Circuit:
    """One client. ``peer`` is its (address, port)."""

    __slots__ = (
        "_rest",
        "_skip",
        "channels",
        "closing",
        "dirty",
        "dynamic",
        "events_off",
        "heard",
        "host",
        "jobs",
        "minor",
        "next_sid",
        "outbox",
        "peer",
        "priority",
        "server",
        "subscriptions",
        "user",
        "waiting",
    )

    def __init__(self, server: Server, peer: tuple[str, int], now: float) -> None:
        self.server = server
        self.peer = peer
        self.heard = now
        """When bytes last came."""
        self.minor = MINOR_VERSION
        self.dynamic = True
        """The client knows arrays whose count varies (4.13)."""
        self.priority = 0
        self.user = ""
        self.host = ""
        self.channels: dict[int, Channel] = {}
        self.subscriptions: dict[int, Subscription] = {}
        self.next_sid = 1
        self.outbox = Outbox()
        self.dirty = False
        """It stands in the server's list of circuits that have something to send."""
        self.closing = ""
        """Why the driver shall send what it can and close; empty: go on."""
        self.events_off = False
        self.waiting: dict[int, Subscription] = {}
        """Subscriptions with queued updates, in the order in which they began to wait."""
        self.jobs = 0
        self._rest: bytes | bytearray = b""
        self._skip = 0
        self.send(HEADER.pack(Command.VERSION, 0, 0, MINOR_VERSION, 0, 0))

    # What the driver calls.

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the client and act on all whole messages; afterwards look at outbox and closing."""
        self.heard = now
        statistics = self.server.statistics
        statistics.bytes_in += len(data)
        if self._skip:
            cut = min(self._skip, len(data))
            self._skip -= cut
            data = data[cut:]
        if self._rest:
            if not isinstance(self._rest, bytearray):
                self._rest = bytearray(self._rest)
            self._rest += data
        else:
            self._rest = data
        self.process()

    def process(self) -> None:
        """Act on what was received, until it ends or the client must wait."""
        buffer, position, end = self._rest, 0, len(self._rest)
        self._rest = b""  # what handlers set off must not take the same messages again
        while end - position >= HEADER_SIZE and self.hungry:
            run = RUNS.get(buffer[position + 1]) if not buffer[position] else None
            if run is not None:
                reached = run(self, buffer, position, end)
                if reached != position:
                    position = reached
                    continue
            if buffer[position + 2] >= SMALL >> 8:
                skip = self._oversized(buffer, position, end)
                if skip:
                    cut = min(skip, end - position)
                    self._skip = skip - cut
                    position += cut
                    continue
            result = read_message(buffer, position, end)
            if isinstance(result, int):
                break
            message, position = result
            self._handle(message)
        if position < end:
            self._rest = buffer[position:] if position else buffer

    @property
    def hungry(self) -> bool:
        """Whether the driver may read on."""
        return self.outbox.size < FULL and self.jobs < MOST_JOBS and not self.closing

    def deliver(self, update: tuple[bytes, bytes, bytes], size: int) -> bool:
        """Add the parts of an update, ``size`` bytes, if updates may go out at once; return whether they may."""
        outbox = self.outbox
        if self.waiting or self.events_off or (outbox.size >= CONGESTED and not self.server.relieve(self)):
            return False
        outbox.chunks += update
        outbox.size += size
        if not self.dirty:
            self._mark()
        return True

    def drained(self) -> None:
        """Go on after bytes were sent: queued updates first, then requests that were left."""
        self.release()
        if self._rest and self.hungry:
            self.process()

    def release(self) -> None:
        """Send updates that were queued, as far as there is room."""
        while self.waiting and not self.events_off and self.outbox.size < CONGESTED:
            identity, subscription = next(iter(self.waiting.items()))
            del self.waiting[identity]
            if subscription.release():
                self.waiting[identity] = subscription

    def close(self, why: str) -> None:
        """Ask the driver to close after what is in the outbox."""
        if not self.closing:
            self.closing = why
            self._mark()

    def closed(self) -> None:
        """Release everything; the driver has closed the connection."""
        self.closing = self.closing or "closed"
        for subscription in list(self.subscriptions.values()):
            subscription.cancel()
        self.server.statistics.channels -= len(self.channels)
        self.subscriptions.clear()
        self.channels.clear()
        self.waiting.clear()
        self.outbox.clear()
        self._rest = b""

    # What handlers call.

    def send(self, *chunks: bytes) -> None:
        """Add bytes for the client."""
        outbox = self.outbox
        outbox.chunks += chunks
        for chunk in chunks:
            outbox.size += len(chunk)
        if not self.dirty:
            self._mark()

    def _mark(self) -> None:
        """Have the driver look at this circuit."""
        if not self.dirty:
            self.dirty = True
            self.server.mark(self)

    def error(self, message: Message, status: int, text: str, cid: int = 0xFFFFFFFF) -> None:
        """Send ERROR with the header of the offending message (``send_err``)."""
        size = (len(message.payload) + 7) & ~7
        if size >= MARK or message.count >= MARK:
            offending = EXTENDED.pack(
                message.command, MARK, message.data_type, 0, message.p1, message.p2, size, message.count
            )
        else:
            offending = HEADER.pack(message.command, size, message.data_type, message.count, message.p1, message.p2)
        payload = offending + encode_text(text, 512) + b"\0"
        self.send(header(Command.ERROR, len(payload), 0, 0, cid, status), padded(payload))

    def start(self, job: Job) -> None:
        """Have the driver run a job for this client; it counts against what one client may have underway."""
        self.jobs += 1

        def done(result: object) -> None:
            job.done(result)
            self._settled()

        def failed(error: BaseException) -> None:
            job.failed(error)
            self._settled()

        self.server.start(Job(job.awaitable, done, failed))

    def _settled(self) -> None:
        """One job is done."""
        self.jobs -= 1
        if self._rest and self.jobs == MOST_JOBS - 1:
            self.process()
        self._mark()

    def renew_rights(self, channel: Channel, *, announce: bool = True) -> None:
        """Ask security what the client may do on a channel; announce it, and tell subscriptions, if it changed."""
        pv = channel.pv
        security = self.server.security
        host = self.peer[0] if security.check_client_ip else self.host
        before = channel.rights
        channel.set_rights(*security.rights(pv.group, pv.level, self.user, host), self)
        if not announce or channel.rights == before:
            return
        self.send(HEADER.pack(Command.ACCESS_RIGHTS, 0, 0, 0, channel.cid, channel.rights))
        if (channel.rights ^ before) & 1:
            for subscription in (channel.subscriptions or {}).values():
                subscription.offer(subscription.mask)

    def renew_all_rights(self) -> None:
        """The client said who it is, or the rules changed."""
        for channel in self.channels.values():
            self.renew_rights(channel)

    # Inside.

    def _handle(self, message: Message) -> None:
        """Act on one message."""
        handler = HANDLERS.get(message.command)
        if handler is None:
            # rsrv does the same (bad_tcp_cmd_action): what follows an unknown command cannot be trusted.
            self.error(message, eca.INTERNAL, f"invalid (damaged?) request code {message.command} from TCP")
            self.close(f"sent command {message.command}, which does not exist")
            return
        handler(self, message)

    def _oversized(self, buffer: bytes | bytearray, position: int, end: int) -> int:
        """Refuse a message that is larger than its kind can be; return its bytes, which are to be skipped, else 0."""
        command, size, data_type, count, p1, p2 = HEADER.unpack_from(buffer, position)
        start = HEADER_SIZE
        if size == MARK:
            if end - position < EXTENDED_SIZE:
                return 0
            start = EXTENDED_SIZE
            *_, size, count = EXTENDED.unpack_from(buffer, position)
        most = SMALL
        if command in (Command.WRITE, Command.WRITE_NOTIFY):
            channel = self.channels.get(p1)
            if channel is not None:
                most = max(SMALL, channel.pv.max_count * ITEM_SIZE[0] + EXTENDED_SIZE)
            most = min(most, self.server.max_payload)
        if size <= most:
            return 0
        message = Message(command, data_type, count, p1, p2)
        self.error(message, eca.TOLARGE, f"payload of {size} bytes is larger than the {most} that are allowed here")
        return int(start + size)
