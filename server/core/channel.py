"""A channel: one client's view of a PV, with its rights and, where the name has filters, what they let through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from canet.server.core.pv import PV, Encodings
from canet.server.core.update import Update
from canet.server.protocol.commands import READ_RIGHT, WRITE_RIGHT

if TYPE_CHECKING:
    from canet.server.core.circuit import Circuit
    from canet.server.core.subscription import Subscription

Replies = dict[int, tuple[bytes, bytes]]
NO_REPLIES: Replies = {}
"""For channels whose reads must not be answered from the cache; always empty."""


class Channel:
    """A channel of a circuit."""

    __slots__ = ("cid", "filters", "pv", "readable", "replies", "sid", "subscriptions", "writable")

    def __init__(self, sid: int, cid: int, pv: PV, filters: str = "") -> None:
        self.sid = sid
        self.cid = cid
        self.pv = pv
        self.filters = filters
        self.readable = True
        self.writable = True
        self.replies: Replies = NO_REPLIES
        """Replies to READ_NOTIFY that are ready to be sent, by the first eight bytes of the request."""
        self.subscriptions: dict[int, Subscription] | None = None

    def set_rights(self, read: bool, write: bool, circuit: Circuit) -> int:
        """Take note of what the client may do, and return it as ACCESS_RIGHTS announces it."""
        pv = self.pv
        self.readable = read
        self.writable = write and not pv.read_only
        if read and pv.getter is None and not self.filters and circuit.dynamic:
            if pv.cache is None:
                pv.cache = Encodings()
            self.replies = pv.cache.replies
        else:
            self.replies = NO_REPLIES
        return (READ_RIGHT if read else 0) | (WRITE_RIGHT if self.writable else 0)

    @property
    def rights(self) -> int:
        """Rights as ACCESS_RIGHTS announces them."""
        return (READ_RIGHT if self.readable else 0) | (WRITE_RIGHT if self.writable else 0)

    @property
    def count(self) -> int:
        """Element count to announce: a filter may leave less of an array."""
        if self.filters:
            from canet.server.core.filters import parse

            return max(1, parse(self.filters).count(self.pv.max_count))
        return self.pv.max_count

    def seen(self) -> Update:
        """Return the present value as a read through the filters gives it.

        A filter that drops monitor updates (``dbnd``, ``dec``, ``sync``) does not hinder reads.
        """
        update = self.pv.update(0)
        if self.filters:
            from canet.server.core.filters import parse

            return parse(self.filters).read(update)
        return update
