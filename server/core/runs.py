"""Runs: the messages that clients send in masses, taken many at a time in loops that do little else.

A run function gets the circuit, its buffer and the range that is left, handles as many whole messages from the start
as it can without anything special, and returns where it stopped; where it returns its start, the message goes the
ordinary way (:mod:`canet.server.core.requests`), which decides everything that is not plain. What is here must give
the same bytes as the ordinary way: a property test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Any

from canet.server.core.channel import Channel
from canet.server.core.pv import PV
from canet.server.protocol.commands import Command
from canet.server.protocol.dbr import CHAR, DOUBLE, ENUM, FLOAT, LONG, SHORT, Native
from canet.server.protocol.message import HEADER, MARK
from canet.server.protocol.metadata import PLAIN

if TYPE_CHECKING:
    from canet.server.core.circuit import Circuit

_READ = Struct(">QI4s")
"""The eight bytes that decide the reply, SID, IOID."""

_MOST = 4096
"""Messages of one run: bounds what a run may add to the outbox (4 MiB with the largest payload that is cached)."""


def read_run(circuit: Circuit, buffer: bytes | bytearray, position: int, end: int) -> int:
    """Answer READ_NOTIFY requests whose reply is cached."""
    channels = circuit.channels
    parts: list[bytes] = []
    stop = min(position + ((end - position) & ~15), position + 16 * _MOST)
    try:
        for request, sid, ioid in _READ.iter_unpack(memoryview(buffer)[position:stop]):
            head, payload = channels[sid].replies[request]
            parts += (head, ioid, payload)
    except KeyError:  # a channel or a reply that is not there: the ordinary way
        pass
    if parts:
        circuit.send(b"".join(parts))
        number = len(parts) // 3
        circuit.server.statistics.reads += number
        position += 16 * number
    return position


def _form(native: Native, value: str) -> tuple[int, tuple[Struct, Native]]:
    """Return the first eight bytes of a WRITE of one element, and the form of the whole message."""
    first = HEADER.pack(Command.WRITE, 8, native, 1, 0, 0)[:8]
    return int.from_bytes(first), (Struct(f">QII{value}"), native)


_WRITES = dict(
    (
        _form(DOUBLE, "d"),
        _form(FLOAT, "f4x"),
        _form(LONG, "i4x"),
        _form(SHORT, "h6x"),
        _form(ENUM, "H6x"),
        _form(CHAR, "B7x"),
    )
)


def write_run(circuit: Circuit, buffer: bytes | bytearray, position: int, end: int) -> int:
    """Take writes without reply of one number; of several to a PV that nobody watches, only the last is stored."""
    first = int.from_bytes(buffer[position : position + 8])
    form = _WRITES.get(first)
    if form is None or circuit.server.security.traps:
        return position
    struct, native = form
    latest: dict[int, Any] = {}
    channels = circuit.channels
    number = 0
    stop = position + (end - position) // 24 * 24
    for request, sid, _ioid, value in struct.iter_unpack(memoryview(buffer)[position:stop]):
        if request != first:
            break
        if sid in latest:
            latest[sid] = value
        else:
            channel = channels.get(sid)
            if channel is None or not channel.writable:
                break
            pv = channel.pv
            if pv.type != native or pv.max_count > 1 or pv.putter is not None:
                break
            if quiet(pv):
                latest[sid] = value
            else:
                pv.accept(value)
        number += 1
    for sid, value in latest.items():
        channels[sid].pv.accept(value)
    circuit.server.statistics.writes += number
    return position + 24 * number


def quiet(pv: PV) -> bool:
    """Return whether nobody could tell several writes from their last: no watcher, no alarm limits."""
    if pv.listeners or pv.watched:
        return False
    metadata = pv.metadata
    return metadata is PLAIN or not (metadata.watches_limits or metadata.state_severities)


_HEAD = Struct(">HHII")
_CREATE_CHAN, _ACCESS_RIGHTS = int(Command.CREATE_CHAN), int(Command.ACCESS_RIGHTS)
_CREATED = Struct(">HHHHIIHHHHII")
"""ACCESS_RIGHTS and CREATE_CHAN in one."""


def create_run(circuit: Circuit, buffer: bytes | bytearray, position: int, end: int) -> int:
    """Open channels by plain names that the directory knows."""
    server = circuit.server
    known = server.names.wire
    channels = circuit.channels
    start, sid, last = position, circuit.next_sid, end - 16
    rights: dict[tuple[str, int], tuple[bool, bool]] = {}
    parts: list[bytes] = []
    while position <= last and len(parts) < _MOST:
        command, size, _, cid = _HEAD.unpack_from(buffer, position)
        stop = position + 16 + size
        if command != _CREATE_CHAN or stop > end or size >= MARK:
            break
        pv = known.get(bytes(buffer[position + 16 : stop].rstrip(b"\0")))
        if pv is None or pv.max_count >= MARK:
            break
        group = (pv.group, pv.level)
        if group not in rights:
            rights[group] = _rights(circuit, pv)
        channels[sid] = channel = Channel(sid, cid, pv)
        allowed = channel.set_rights(*rights[group], circuit)
        parts.append(_CREATED.pack(_ACCESS_RIGHTS, 0, 0, 0, cid, allowed, command, 0, pv.type, pv.max_count, cid, sid))
        sid += 1
        position = stop
    if position != start:
        circuit.next_sid = sid
        server.statistics.channels += len(parts)
        circuit.send(b"".join(parts))
    return position


def _rights(circuit: Circuit, pv: PV) -> tuple[bool, bool]:
    """Ask security once for all PVs of a group."""
    security = circuit.server.security
    host = circuit.peer[0] if security.check_client_ip else circuit.host
    return security.rights(pv.group, pv.level, circuit.user, host)


RUNS: dict[int, Callable[[Circuit, bytes | bytearray, int, int], int]] = {
    Command.READ_NOTIFY: read_run,
    Command.WRITE: write_run,
    Command.CREATE_CHAN: create_run,
}
"""Command number → run."""
