"""Begin and end subscriptions."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from canet.server.core import hooks
from canet.server.core.requests.reads import readable_type, refused
from canet.server.core.subscription import Chain, Subscription
from canet.server.core.update import ALARM, LOG, PROPERTY, VALUE
from canet.server.protocol import eca
from canet.server.protocol.commands import Command
from canet.server.protocol.dbr import CLASS_NAME
from canet.server.protocol.message import Message, header

if TYPE_CHECKING:
    from canet.server.core.circuit import Circuit

_MASK = Struct(">12xH")
"""Three floats that nobody uses (low, high, to) and the mask."""
_ALL = VALUE | LOG | ALARM | PROPERTY


def add(circuit: Circuit, message: Message) -> None:
    """Subscribe, and send the present value at once (``event_add_action``)."""
    channel = circuit.channels.get(message.p1)
    if channel is None:
        circuit.error(message, eca.BADCHID, f"no channel has the server id {message.p1}")
        return
    pv = channel.pv
    if not readable_type(message.data_type):
        circuit.error(message, eca.BADTYPE, f"DBR type {message.data_type} cannot be watched", channel.cid)
        return
    mask = _MASK.unpack_from(message.payload)[0] & _ALL if len(message.payload) >= _MASK.size else 0
    if not mask:
        circuit.error(message, eca.BADMASK, "the event mask selects nothing", channel.cid)
        return
    if refused(circuit, channel, message):
        return
    if message.p2 in circuit.subscriptions:
        circuit.error(message, eca.BADMONID, f"subscription id {message.p2} is in use", channel.cid)
        return
    chain: Chain | None = None
    if channel.filters:
        from canet.server.core.filters import parse

        chain = parse(channel.filters)
    count = message.count or (0 if circuit.dynamic else pv.max_count)
    if message.data_type == CLASS_NAME:
        count = 1
    subscription = Subscription(circuit, channel, message.p2, message.data_type, count, mask, chain)
    circuit.subscriptions[message.p2] = subscription
    if channel.subscriptions is None:
        channel.subscriptions = {}
    channel.subscriptions[message.p2] = subscription

    def first(_status: int) -> None:
        """Send the first value; what a getter that failed left is still the present one."""
        if circuit.subscriptions.get(message.p2) is subscription:
            if pv.listeners is None:
                pv.listeners = []
            pv.listeners.append(subscription)
            subscription.offer(mask)

    if pv.getter is None:
        first(eca.NORMAL)
    else:
        hooks.read(pv, circuit.start, first)


def cancel(circuit: Circuit, message: Message) -> None:
    """Unsubscribe; the reply is an EVENT_ADD without payload (``event_cancel_reply``)."""
    channel = circuit.channels.get(message.p1)
    subscription = circuit.subscriptions.get(message.p2)
    if channel is None or subscription is None or subscription.channel is not channel:
        circuit.error(message, eca.BADMONID, f"no subscription has the id {message.p2} on channel {message.p1}")
        return
    subscription.cancel()
    del circuit.subscriptions[message.p2]
    if channel.subscriptions is not None:
        channel.subscriptions.pop(message.p2, None)
    circuit.send(header(Command.EVENT_ADD, 0, message.data_type, message.count, message.p1, message.p2))


HANDLERS = {Command.EVENT_ADD: add, Command.EVENT_CANCEL: cancel}
