"""A subscription: what of a PV's changes a client wants, and what waits for it while it is slow.

While the circuit takes bytes, each update goes out at once, in order. While it does not (flow control, or the client
is slow), updates queue here; when the queue is full the newest takes the place of the one before it, as in
``db_event.c``. So a stalled subscription holds at most :data:`QUEUE_LENGTH` updates and, of large ones, only two;
identical payloads of several subscriptions are the same bytes object. A client that reads nothing and has a thousand
subscriptions to fast numbers makes a server grow by some 5 MiB (measured, ``make bench``), whatever the rate: 256 KiB
that wait for its socket, and a thousand full queues.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from canet.server.core.encode import encode_update, payload_of
from canet.server.core.update import Update
from canet.server.protocol import eca
from canet.server.protocol.commands import Command
from canet.server.protocol.convert import ConversionError
from canet.server.protocol.message import HEADER_SIZE, header
from canet.server.protocol.payload import payload_size

if TYPE_CHECKING:
    from canet.server.core.channel import Channel
    from canet.server.core.circuit import Circuit

QUEUE_LENGTH = 16
QUEUE_BYTES = 2048
"""A queue holds no more than this, or two updates where they are larger."""


MOST_SHARED = 32
"""Different forms in which the updates of one PV are shared."""

Parts = tuple[bytes, bytes, bytes]
"""An update: twelve bytes of header, the subscription's id, the payload; or a whole header, nothing, the payload."""


class Chain(Protocol):
    """Filters of one subscription, which may remember what passed before."""

    def apply(self, update: Update) -> Update | None:
        """Return what is let through, or ``None``."""


class Subscription:
    """One EVENT_ADD; a listener of its PV."""

    __slots__ = ("_id", "_key", "chain", "channel", "circuit", "count", "dbr_type", "id", "mask", "pv", "queue")

    def __init__(
        self,
        circuit: Circuit,
        channel: Channel,
        identity: int,
        dbr_type: int,
        count: int,
        mask: int,
        chain: Chain | None,
    ) -> None:
        self.circuit = circuit
        self.channel = channel
        self.pv = channel.pv
        self.id = identity
        self.dbr_type = dbr_type
        self.count = count
        self.mask = mask
        self.chain = chain
        self.queue: deque[Parts] | None = None
        self._id = identity.to_bytes(4)
        self._key = (dbr_type, count)

    def offer(self, mask: int) -> None:
        """Send the present value of the PV, or queue it, if the mask asks for what changed."""
        if not mask & self.mask:
            return
        cache = self.pv.cache
        shared = cache.updates.get(self._key) if cache is not None else None
        if shared is not None and self.chain is None and self.channel.readable:
            head, payload, size = shared
            update: Parts = (head, self._id, payload)
        else:
            own = self._encoded() if self.chain is None else self._filtered(mask)
            if own is None:
                return
            update = own
            size = len(own[0]) + len(own[1]) + len(own[2])
        if self.queue is not None or not self.circuit.deliver(update, size):
            self._wait(update)

    def _encoded(self) -> Parts:
        """Return the parts of an update with the present value, and leave what others can use with the PV."""
        pv = self.pv
        if not self.channel.readable:
            return self._failure(eca.NORDACCESS)
        count = self.count or pv.count
        try:
            payload = payload_of(pv, self.dbr_type, count)
        except ConversionError:
            return self._failure(eca.GETFAIL)
        head = header(Command.EVENT_ADD, len(payload), self.dbr_type, count, eca.NORMAL, self.id)
        if len(head) > HEADER_SIZE:
            return head, b"", payload
        if pv.cache is not None and len(pv.cache.updates) < MOST_SHARED:
            pv.cache.updates[self._key] = (head[:12], payload, HEADER_SIZE + len(payload))
        return head[:12], self._id, payload

    def _filtered(self, mask: int) -> Parts | None:
        """Return the parts of what the filters let through."""
        channel = self.channel
        assert self.chain is not None  # offer() looked
        update = self.chain.apply(channel.pv.update(mask))
        if update is None:
            return None
        if not channel.readable:
            return self._failure(eca.NORDACCESS)
        count = self.count
        if not count:
            count = len(update.value) if channel.pv.max_count > 1 else 1
        try:
            payload = encode_update(channel.pv, update, self.dbr_type, count)
        except ConversionError:
            return self._failure(eca.GETFAIL)
        return header(Command.EVENT_ADD, len(payload), self.dbr_type, count, eca.NORMAL, self.id), b"", payload

    def _failure(self, status: int) -> Parts:
        """Return an update that carries a status, and zeros in place of a value (``no_read_access_event``)."""
        count = self.count or 1
        size = payload_size(self.dbr_type, count)
        return header(Command.EVENT_ADD, size, self.dbr_type, count, status, self.id), b"", bytes((size + 7) & ~7)

    def _wait(self, update: Parts) -> None:
        """Queue an update; the newest wins."""
        queue = self.queue
        if queue is None:
            queue = self.queue = deque()
            self.circuit.waiting[self.id] = self
        most = 1 if self.circuit.events_off else min(QUEUE_LENGTH, max(2, QUEUE_BYTES // (len(update[2]) or 1)))
        if len(queue) >= most:
            queue.pop()
            self.circuit.server.statistics.updates_replaced += 1
        queue.append(update)

    def release(self) -> bool:
        """Send the oldest update that waits; return whether more do."""
        queue = self.queue
        if queue:
            self.circuit.send(*queue.popleft())
        if queue:
            return True
        self.queue = None
        return False

    def cancel(self) -> None:
        """Hear of changes no longer."""
        listeners = self.channel.pv.listeners
        if listeners is not None and self in listeners:
            listeners.remove(self)
        self.queue = None
        self.circuit.waiting.pop(self.id, None)
