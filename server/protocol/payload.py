"""Whole payloads of every DBR type: encode what a PV holds, decode what came over the wire.

The server encodes with :func:`encode`; clients decode with :func:`decode` into a :class:`Reading`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from struct import Struct
from typing import Any

import numpy as np

from canet.server.protocol.alarm import Severity
from canet.server.protocol.convert import ConversionError, decode_text, encode_text, from_wire, to_wire
from canet.server.protocol.dbr import (
    CHAR,
    CLASS_NAME,
    DOUBLE,
    ENUM,
    FLOAT,
    ITEM_SIZE,
    LAST_TYPE,
    LONG,
    MAX_STATE,
    MAX_STRING,
    PUT_ACKT,
    SHORT,
    STRING,
    STSACK_STRING,
    Layout,
    Native,
    layout_of,
    native_of,
)
from canet.server.protocol.layout import ACKNOWLEDGE, HEADS, head_size, pack_head, stamp_fields, stamp_of
from canet.server.protocol.metadata import PLAIN, Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A value as it came over the wire, with all that its DBR type tells."""

    dbr_type: int
    value: Any
    """One element: a scalar. More, or none: a ``list`` of ``str``, or an ``ndarray``."""
    status: int | None = None
    severity: int | None = None
    stamp: int | None = None
    """Nanoseconds since 1970."""
    metadata: Metadata | None = None
    acknowledge_transient: bool | None = None
    unacknowledged: int | None = None


def encode(
    dbr_type: int,
    count: int,
    value: Any,
    native: Native,
    *,
    status: int = 0,
    severity: int = 0,
    stamp: int = 0,
    metadata: Metadata = PLAIN,
    acknowledge: tuple[bool, int] = (True, 0),
    class_name: str = "",
) -> bytes:
    """Return the payload of a DBR type, padded to eight bytes.

    Args:
        dbr_type: 0–34, STSACK_STRING or CLASS_NAME.
        count: elements to write.
        value: what a PV of type ``native`` holds.
        native: the PV's type.
        status: alarm condition.
        severity: alarm severity.
        stamp: nanoseconds since 1970.
        metadata: units, limits, precision, states.
        acknowledge: ACKT and ACKS, for STSACK_STRING.
        class_name: record type, for CLASS_NAME.

    Raises:
        ConversionError: if the value has no counterpart in the type.
    """
    if dbr_type == CLASS_NAME:
        body = encode_text(class_name).ljust(MAX_STRING, b"\0")
    elif dbr_type == STSACK_STRING:
        transient, highest = acknowledge
        body = ACKNOWLEDGE.pack(status, severity, transient, highest)
        body += to_wire(value, native, STRING, count, metadata.precision, metadata.states)
    elif dbr_type <= LAST_TYPE - 4:
        body = pack_head(dbr_type, status, severity, stamp, metadata)
        body += to_wire(value, native, native_of(dbr_type), count, metadata.precision, metadata.states)
        if dbr_type == STRING and count == 1:
            # A plain single string is sent no longer than it is (``read_reply`` in camessage.c).
            body = body[: body.index(0) + 1]
    else:
        raise ConversionError(f"DBR type {dbr_type} cannot be read")
    rest = -len(body) & 7
    return body + bytes(rest) if rest else body


_NUMBERS = {SHORT: "h6x", FLOAT: "f4x", ENUM: "H6x", CHAR: "B7x", LONG: "i4x", DOUBLE: "d"}
_TIMED = {SHORT: "2xh", FLOAT: "f", ENUM: "2xH", CHAR: "3xB", LONG: "i", DOUBLE: "4xd"}
_PLAIN: dict[int, Struct] = {int(native): Struct(">" + form) for native, form in _NUMBERS.items()}
_TIME: dict[int, Struct] = {native + 14: Struct(">HHII" + form) for native, form in _TIMED.items()}


def encode_number(dbr_type: int, value: Any, status: int, severity: int, stamp: int) -> bytes | None:
    """Return what :func:`encode` gives for one number as its own type, plain or with time; ``None`` for others.

    This is what clients ask for nearly always, and here it is one ``pack``.
    """
    form = _PLAIN.get(dbr_type)
    if form is not None:
        return form.pack(value)
    form = _TIME.get(dbr_type)
    if form is not None:
        return form.pack(status, severity, *stamp_fields(stamp), value)
    return None


def payload_size(dbr_type: int, count: int) -> int:
    """Return the bytes of a full payload before padding (``dbr_size_n``)."""
    return head_size(dbr_type) + count * (ITEM_SIZE[native_of(dbr_type)] if dbr_type < 35 else MAX_STRING)


def decode(dbr_type: int, count: int, payload: bytes) -> Reading:
    """Return what a payload tells.

    Raises:
        ConversionError: if the payload is too short for its type and count.
    """
    if not 0 <= dbr_type <= LAST_TYPE or PUT_ACKT <= dbr_type < STSACK_STRING:
        raise ConversionError(f"DBR type {dbr_type} carries no value to read")
    native = native_of(dbr_type)
    size = head_size(dbr_type)
    if len(payload) < size:
        raise ConversionError(f"DBR type {dbr_type} needs {size} bytes before its value, got {len(payload)}")
    items = from_wire(payload[size:], native, native, count) if count else np.array([]) if native else []
    value = items if count != 1 else items[0] if native == STRING else items[0].item()
    reading = Reading(dbr_type=dbr_type, value=value)
    if dbr_type == STSACK_STRING:
        status, severity, transient, highest = ACKNOWLEDGE.unpack_from(payload)
        return replace(
            reading,
            status=status,
            severity=severity,
            acknowledge_transient=bool(transient),
            unacknowledged=highest,
        )
    if dbr_type == CLASS_NAME or dbr_type < 7:
        return reading
    layout = layout_of(dbr_type)
    fields = HEADS[layout][native].unpack_from(payload)
    reading = replace(reading, status=fields[0], severity=fields[1])
    if layout == Layout.TIME:
        return replace(reading, stamp=stamp_of(fields[2], fields[3]))
    if layout == Layout.STS or native == STRING:
        return reading
    return replace(reading, metadata=_metadata(native, fields[2:]))


def _metadata(native: Native, fields: tuple[Any, ...]) -> Metadata:
    """Return what a GR or CTRL head says after the alarm."""
    if native == ENUM:
        number, names = fields
        starts = range(0, min(number, 16) * MAX_STATE, MAX_STATE)
        return Metadata(states=tuple(decode_text(names[at : at + MAX_STATE]) for at in starts))
    precision = 0
    if isinstance(fields[0], int):
        precision, *rest = fields
    else:
        rest = list(fields)
    units, high_display, low_display, hihi, high, low, lolo, *control = rest
    return Metadata(
        units=decode_text(units),
        precision=precision,
        high_display=high_display,
        low_display=low_display,
        hihi=hihi,
        high=high,
        low=low,
        lolo=lolo,
        high_control=control[0] if control else 0.0,
        low_control=control[1] if control else 0.0,
        hihi_severity=Severity.NO_ALARM,
        high_severity=Severity.NO_ALARM,
        low_severity=Severity.NO_ALARM,
        lolo_severity=Severity.NO_ALARM,
    )
