"""What stands before the value in each DBR type: alarm, time stamp, units, limits, states (``db_access.h``)."""

from __future__ import annotations

import math
from struct import Struct

from canet.server.protocol.convert import encode_text, wrap
from canet.server.protocol.dbr import (
    CHAR,
    DOUBLE,
    ENUM,
    FLOAT,
    LONG,
    MAX_STATE,
    MAX_STATES,
    MAX_UNITS,
    SHORT,
    STRING,
    STSACK_STRING,
    Layout,
    Native,
    layout_of,
    native_of,
)
from canet.server.protocol.metadata import Metadata

EPOCH = 631152000
"""Seconds from 1970 to 1990, where EPICS time begins."""
_NANO = 1_000_000_000

ALARM = Struct(">HH")
ACKNOWLEDGE = Struct(">HHHH")

STS: dict[Native, Struct] = {
    STRING: Struct(">HH"),
    SHORT: Struct(">HH"),
    FLOAT: Struct(">HH"),
    ENUM: Struct(">HH"),
    CHAR: Struct(">HHx"),
    LONG: Struct(">HH"),
    DOUBLE: Struct(">HH4x"),
}
TIME: dict[Native, Struct] = {
    STRING: Struct(">HHII"),
    SHORT: Struct(">HHII2x"),
    FLOAT: Struct(">HHII"),
    ENUM: Struct(">HHII2x"),
    CHAR: Struct(">HHII3x"),
    LONG: Struct(">HHII"),
    DOUBLE: Struct(">HHII4x"),
}
# Limits stand in the order: display high, low; alarm hihi, high, low, lolo; control high, low.
GR: dict[Native, Struct] = {
    STRING: STS[STRING],  # dbr_gr_string was never made: the plain status stands for it
    SHORT: Struct(">HH8s6h"),
    FLOAT: Struct(">HHh2x8s6f"),
    ENUM: Struct(">HHh416s"),
    CHAR: Struct(">HH8s6Bx"),
    LONG: Struct(">HH8s6i"),
    DOUBLE: Struct(">HHh2x8s6d"),
}
CTRL: dict[Native, Struct] = {
    STRING: STS[STRING],
    SHORT: Struct(">HH8s8h"),
    FLOAT: Struct(">HHh2x8s8f"),
    ENUM: GR[ENUM],
    CHAR: Struct(">HH8s8Bx"),
    LONG: Struct(">HH8s8i"),
    DOUBLE: Struct(">HHh2x8s8d"),
}
HEADS: dict[Layout, dict[Native, Struct]] = {Layout.STS: STS, Layout.TIME: TIME, Layout.GR: GR, Layout.CTRL: CTRL}


def head_size(dbr_type: int) -> int:
    """Return the number of bytes before the value (the ``dbr_value_offset`` table)."""
    if dbr_type < 7:
        return 0
    if dbr_type < 35:
        return HEADS[layout_of(dbr_type)][native_of(dbr_type)].size
    return ACKNOWLEDGE.size if dbr_type == STSACK_STRING else 0


def stamp_fields(stamp: int) -> tuple[int, int]:
    """Return (seconds since 1990, nanoseconds) of nanoseconds since 1970; what is before 1990 is zero."""
    seconds, nanoseconds = divmod(stamp, _NANO)
    seconds -= EPOCH
    return (seconds & 0xFFFFFFFF, nanoseconds) if seconds >= 0 else (0, 0)


def stamp_of(seconds: int, nanoseconds: int) -> int:
    """Return nanoseconds since 1970 of an EPICS time stamp."""
    return (seconds + EPOCH) * _NANO + nanoseconds


def pack_head(dbr_type: int, status: int, severity: int, stamp: int, metadata: Metadata) -> bytes:
    """Return what stands before the value of a DBR type below 35."""
    if dbr_type < 7:
        return b""
    layout, native = layout_of(dbr_type), native_of(dbr_type)
    form = HEADS[layout][native]
    if layout == Layout.STS or (native == STRING and layout != Layout.TIME):
        return form.pack(status, severity)
    if layout == Layout.TIME:
        return form.pack(status, severity, *stamp_fields(stamp))
    if native == ENUM:
        states = metadata.states[:MAX_STATES]
        names = b"".join(encode_text(each, MAX_STATE).ljust(MAX_STATE, b"\0") for each in states)
        return form.pack(status, severity, len(states), names)
    units = encode_text(metadata.units, MAX_UNITS)
    limits = _limits(metadata, native, control=layout == Layout.CTRL)
    if native in (DOUBLE, FLOAT):
        return form.pack(status, severity, metadata.precision, units, *limits)
    return form.pack(status, severity, units, *limits)


def _limits(metadata: Metadata, native: Native, control: bool) -> list[float]:
    """Return the limits in wire order; an alarm limit that is not set is NaN, in integer types 0 (``dbAccess.c``)."""
    rows: list[float | None] = [
        metadata.high_display,
        metadata.low_display,
        metadata.hihi,
        metadata.high,
        metadata.low,
        metadata.lolo,
    ]
    if control:
        rows += [metadata.high_control, metadata.low_control]
    if native == DOUBLE:
        return [math.nan if each is None else each for each in rows]
    if native == FLOAT:
        return [math.nan if each is None else _within_float32(each) for each in rows]
    return [0 if each is None else wrap(native, each) for each in rows]


def _within_float32(value: float) -> float:
    """Return a float that ``struct`` packs into 32 bits without an error."""
    return value if not 3.4028235677973366e38 <= abs(value) < math.inf else math.copysign(3.4028234663852886e38, value)
