"""Create and clear channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from canet.server.core.channel import Channel
from canet.server.core.names import Target
from canet.server.protocol import eca
from canet.server.protocol.commands import Command
from canet.server.protocol.message import HEADER, Message, header

if TYPE_CHECKING:
    from canet.server.core.circuit import Circuit


def create(circuit: Circuit, message: Message) -> None:
    """Open a channel, and announce rights, type and count (``claim_ciu_action``)."""
    target = circuit.server.names.resolve(message.payload.partition(b"\0")[0])
    if target is None:
        circuit.send(HEADER.pack(Command.CREATE_CH_FAIL, 0, 0, 0, message.p1, 0))
        return
    open_channel(circuit, target, message.p1)


def open_channel(circuit: Circuit, target: Target, cid: int) -> None:
    """Open a channel for a name that was resolved."""
    sid = circuit.next_sid
    circuit.next_sid = sid + 1 & 0xFFFFFFFF
    channel = Channel(sid, cid, target.pv, target.filters)
    circuit.channels[sid] = channel
    circuit.server.statistics.channels += 1
    circuit.renew_rights(channel, announce=False)
    circuit.send(
        HEADER.pack(Command.ACCESS_RIGHTS, 0, 0, 0, cid, channel.rights)
        + header(Command.CREATE_CHAN, 0, target.pv.type, channel.count, cid, sid)
    )


def clear(circuit: Circuit, message: Message) -> None:
    """Close a channel and its subscriptions; the reply repeats the request."""
    channel = circuit.channels.pop(message.p1, None)
    if channel is None:
        circuit.error(message, eca.BADCHID, f"no channel has the server id {message.p1}")
        return
    forget(circuit, channel)
    circuit.send(header(Command.CLEAR_CHANNEL, 0, message.data_type, message.count, message.p1, message.p2))


def forget(circuit: Circuit, channel: Channel) -> None:
    """End the subscriptions of a channel that is no longer in the circuit's table."""
    circuit.server.statistics.channels -= 1
    for subscription in (channel.subscriptions or {}).values():
        subscription.cancel()
        circuit.subscriptions.pop(subscription.id, None)
    channel.subscriptions = None


HANDLERS = {Command.CREATE_CHAN: create, Command.CLEAR_CHANNEL: clear}
