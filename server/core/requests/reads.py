"""Read values: READ_NOTIFY, and READ of clients before 4.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from canet.server.core import hooks
from canet.server.core.channel import NO_REPLIES, Channel
from canet.server.core.encode import encode_update, payload_of
from canet.server.protocol import eca
from canet.server.protocol.commands import Command
from canet.server.protocol.convert import ConversionError
from canet.server.protocol.dbr import CLASS_NAME, LAST_TYPE, PUT_ACKS, PUT_ACKT
from canet.server.protocol.message import HEADER, MARK, Message, header
from canet.server.protocol.payload import payload_size

if TYPE_CHECKING:
    from canet.server.core.circuit import Circuit

CACHE_BELOW = 1024
"""Larger payloads are not kept as ready replies: a run of them would outgrow what a client may have waiting."""


def readable_type(dbr_type: int) -> bool:
    """Return whether a value can be read as this type."""
    return dbr_type <= LAST_TYPE and dbr_type not in (PUT_ACKT, PUT_ACKS)


def read(circuit: Circuit, message: Message) -> None:
    """Answer with the value; after the getter, where there is one."""
    channel = circuit.channels.get(message.p1)
    if channel is None:
        circuit.error(message, eca.BADCHID, f"no channel has the server id {message.p1}")
        return
    if not readable_type(message.data_type):
        circuit.error(message, eca.BADTYPE, f"DBR type {message.data_type} cannot be read", channel.cid)
        return
    if refused(circuit, channel, message):
        return
    if channel.pv.getter is None or not channel.readable:
        _reply(circuit, channel, message, eca.NORMAL if channel.readable else eca.NORDACCESS)
    else:
        hooks.read(channel.pv, circuit.start, lambda status: _reply(circuit, channel, message, status))


def refused(circuit: Circuit, channel: Channel, message: Message) -> bool:
    """Refuse a request for more elements than there can be, or more bytes than may be sent; return whether it was."""
    pv = channel.pv
    if message.count > pv.max_count:
        text = f"{pv.name} has no more than {pv.max_count} elements, {message.count} were asked for"
        circuit.error(message, eca.BADCOUNT, text, channel.cid)
        return True
    size = payload_size(message.data_type, message.count or pv.count)
    if size > circuit.server.max_payload:
        text = f"{size} bytes are more than EPICS_CA_MAX_ARRAY_BYTES={circuit.server.max_payload}"
        circuit.error(message, eca.TOLARGE, text, channel.cid)
        return True
    return False


def _reply(circuit: Circuit, channel: Channel, message: Message, status: int) -> None:
    """Send the value, or zeros with the status that says why not (``read_reply``)."""
    pv = channel.pv
    dbr_type = message.data_type
    count = 1 if dbr_type == CLASS_NAME else message.count
    payload = b""
    if status == eca.NORMAL:
        try:
            if channel.filters:
                update = channel.seen()
                present = len(update.value) if pv.max_count > 1 else 1
                count = count or (present if circuit.dynamic else pv.max_count)
                payload = encode_update(pv, update, dbr_type, count)
            else:
                count = count or (pv.count if circuit.dynamic else pv.max_count)
                payload = payload_of(pv, dbr_type, count)
        except ConversionError:
            status = eca.GETFAIL
    if status != eca.NORMAL:
        if message.command == Command.READ:
            circuit.error(message, status, f"{pv.name} cannot be read", channel.cid)
            return
        count = count or 1
        payload = bytes((payload_size(dbr_type, count) + 7) & ~7)
    p1 = status if message.command == Command.READ_NOTIFY else channel.cid
    head = header(message.command, len(payload), dbr_type, count, p1, message.p2)
    circuit.send(head, payload)
    if (
        status == eca.NORMAL
        and channel.replies is not NO_REPLIES
        and message.command == Command.READ_NOTIFY
        and len(payload) < CACHE_BELOW
        and message.count < MARK
    ):
        request = HEADER.pack(message.command, 0, dbr_type, message.count, 0, 0)[:8]
        channel.replies[int.from_bytes(request)] = (head[:12], payload)


HANDLERS = {Command.READ_NOTIFY: read, Command.READ: read}
