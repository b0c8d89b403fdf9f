"""Write values: WRITE_NOTIFY is answered when the putter has finished, WRITE only if it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from canet.server.core import hooks
from canet.server.core.channel import Channel
from canet.server.core.pv import PV
from canet.server.protocol import eca
from canet.server.protocol.commands import Command
from canet.server.protocol.convert import ITEM, ConversionError, from_wire
from canet.server.protocol.dbr import DOUBLE, ENUM, PUT_ACKS, PUT_ACKT, STRING, Native
from canet.server.protocol.message import Message, header

if TYPE_CHECKING:
    from canet.server.core.circuit import Circuit


def write(circuit: Circuit, message: Message) -> None:
    """Check what can be checked at once, then hand the value to the putter."""
    channel = circuit.channels.get(message.p1)
    if channel is None:
        circuit.error(message, eca.BADCHID, f"no channel has the server id {message.p1}")
        return
    pv = channel.pv
    dbr_type = message.data_type
    if dbr_type > DOUBLE and dbr_type not in (PUT_ACKT, PUT_ACKS):
        circuit.error(message, eca.BADTYPE, f"DBR type {dbr_type} cannot be written", channel.cid)
        return
    if not channel.writable:
        _done(circuit, channel, message, eca.NOWTACCESS)
        return
    if message.count > pv.max_count or (message.count == 0 and pv.max_count == 1):
        _done(circuit, channel, message, eca.BADCOUNT)
        return
    try:
        if dbr_type > DOUBLE:
            _acknowledge(pv, dbr_type, message.payload)
            _done(circuit, channel, message, eca.NORMAL)
            return
        value = value_of(pv, dbr_type, message.count, message.payload)
    except (ConversionError, ValueError, TypeError):
        _done(circuit, channel, message, eca.PUTFAIL)
        return
    security = circuit.server.security
    if security.traps:
        security.wrote(pv, circuit.user, circuit.peer[0] if security.check_client_ip else circuit.host, value)
    if pv.putter is None:
        pv.accept(value)
        _done(circuit, channel, message, eca.NORMAL)
    else:
        hooks.submit(pv, value, circuit.start, lambda status: _done(circuit, channel, message, status))


def value_of(pv: PV, dbr_type: int, count: int, payload: bytes) -> Any:
    """Return what a client sent in the form that the PV holds.

    Raises:
        ConversionError, ValueError: if it has no counterpart there.
    """
    native = Native(dbr_type)
    if count == 1 and pv.max_count == 1 and native != STRING:
        form = ITEM[native]
        if len(payload) < form.size:
            raise ConversionError("the payload is shorter than its count says")
        (value,) = form.unpack_from(payload)
        if native == pv.type:
            return value
        if pv.type != STRING:
            return pv.coerce(value)
    items = from_wire(payload, native, pv.type, count, pv.metadata.states)
    return pv.coerce(items if pv.max_count > 1 else items[0] if pv.type == STRING else items[0].item())


def _acknowledge(pv: PV, dbr_type: int, payload: bytes) -> None:
    """Write ACKT or ACKS; both come as an unsigned short."""
    form = ITEM[ENUM]
    if len(payload) < form.size:
        raise ConversionError("the payload is shorter than its count says")
    (number,) = form.unpack_from(payload)
    if dbr_type == PUT_ACKT:
        pv.set_acknowledge_transient(bool(number))
    else:
        pv.acknowledge(number)


def _done(circuit: Circuit, channel: Channel, message: Message, status: int) -> None:
    """Tell the client how its write ended."""
    if message.command == Command.WRITE_NOTIFY:
        circuit.send(header(Command.WRITE_NOTIFY, 0, message.data_type, message.count, status, message.p2))
    elif status != eca.NORMAL:
        circuit.error(message, status, f"{channel.pv.name} was not written", channel.cid)


HANDLERS = {Command.WRITE_NOTIFY: write, Command.WRITE: write}
