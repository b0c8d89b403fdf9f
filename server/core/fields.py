"""Fields of a PV (``NAME.EGU``, ``NAME.HIHI`` …) and long strings (``NAME$``), as PVs that mirror their owner.

Each field is a row of a table: its type, how it is read from the owner, how it is written. A field's PV is made when
a client first asks for it, and follows its owner from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from canet.server.core.hooks import write
from canet.server.core.pv import PV, STORED
from canet.server.protocol.alarm import Condition, Severity
from canet.server.protocol.dbr import CHAR, DOUBLE, ENUM, FLOAT, LONG, SHORT, STRING, Native
from canet.server.protocol.metadata import PLAIN, Metadata

SEVERITIES = Metadata(states=("NO_ALARM", "MINOR", "MAJOR", "INVALID"))
CONDITIONS = Metadata(states=tuple(each.name for each in Condition)[:16])
YES_NO = Metadata(states=("NO", "YES"))
TYPES = Metadata(
    states=("STRING", "CHAR", "UCHAR", "SHORT", "USHORT", "LONG", "ULONG", "INT64", "UINT64", "FLOAT", "DOUBLE", "ENUM")
)
_FTVL = {STRING: 0, CHAR: 2, SHORT: 3, LONG: 5, FLOAT: 9, DOUBLE: 10, ENUM: 11}
_STATE_NAMES = ("ZR", "ON", "TW", "TH", "FR", "FV", "SX", "SV", "EI", "NI", "TE", "EL", "TV", "TT", "FT", "FF")


@dataclass(frozen=True, slots=True)
class Field:
    """How one field is served."""

    type: Native | None
    """``None``: the type of the owner's value, where that is a number."""
    read: Callable[[PV], Any]
    write: Callable[[PV, Any], object] | None = None
    """``None``: read-only."""
    metadata: Metadata = PLAIN
    applies: Callable[[PV], bool] = lambda pv: True  # noqa: ARG005 - a default that looks at nothing


def _number(pv: PV) -> bool:
    return pv.type not in (STRING, ENUM)


def _float(pv: PV) -> bool:
    return pv.type in (FLOAT, DOUBLE)


def _enum(pv: PV) -> bool:
    return pv.type == ENUM


def _array(pv: PV) -> bool:
    return pv.max_count > 1


def _property(name: str, kind: Native | None, metadata: Metadata = PLAIN) -> Field:
    """Return a field that is a number of the metadata."""

    def read(pv: PV) -> Any:
        value = getattr(pv.metadata, name)
        return 0.0 if value is None else value

    def write(pv: PV, value: Any) -> None:
        pv.configure(**{name: Severity(value) if metadata is SEVERITIES else value})

    return Field(kind, read, write, metadata, _float if name == "precision" else _number)


def _describe(pv: PV, value: Any) -> None:
    pv.description = value


def _units(pv: PV, value: Any) -> None:
    pv.configure(units=value)


def _state(index: int) -> Field:
    """Return the field that names an enum state."""

    def read(pv: PV) -> str:
        states = pv.metadata.states
        return states[index] if index < len(states) else ""

    def write(pv: PV, value: Any) -> None:
        states = list(pv.metadata.states) + [""] * (index + 1 - len(pv.metadata.states))
        states[index] = value
        pv.configure(states=tuple(states))

    return Field(STRING, read, write, PLAIN, _enum)


FIELDS: dict[str, Field] = {
    "NAME": Field(STRING, lambda pv: pv.name),
    "DESC": Field(STRING, lambda pv: pv.description, _describe),
    "RTYP": Field(STRING, lambda pv: pv.record_type or record_type_of(pv)),
    "ASG": Field(STRING, lambda pv: "" if pv.group == "DEFAULT" else pv.group),
    "EGU": Field(STRING, lambda pv: pv.metadata.units, _units, PLAIN, _number),
    "PREC": _property("precision", SHORT),
    "HOPR": _property("high_display", None),
    "LOPR": _property("low_display", None),
    "DRVH": _property("high_control", None),
    "DRVL": _property("low_control", None),
    "HIHI": _property("hihi", None),
    "HIGH": _property("high", None),
    "LOW": _property("low", None),
    "LOLO": _property("lolo", None),
    "HHSV": _property("hihi_severity", ENUM, SEVERITIES),
    "HSV": _property("high_severity", ENUM, SEVERITIES),
    "LSV": _property("low_severity", ENUM, SEVERITIES),
    "LLSV": _property("lolo_severity", ENUM, SEVERITIES),
    "HYST": _property("hysteresis", None),
    "MDEL": _property("monitor_deadband", None),
    "ADEL": _property("archive_deadband", None),
    "STAT": Field(ENUM, lambda pv: pv.status, None, CONDITIONS),
    "SEVR": Field(ENUM, lambda pv: pv.severity, None, SEVERITIES),
    "ACKS": Field(ENUM, lambda pv: pv.unacknowledged, lambda pv, value: pv.acknowledge(value), SEVERITIES),
    "ACKT": Field(
        ENUM,
        lambda pv: int(pv.acknowledge_transient),
        lambda pv, value: pv.set_acknowledge_transient(bool(value)),
        YES_NO,
    ),
    "NORD": Field(DOUBLE, lambda pv: pv.count, None, PLAIN, _array),
    "NELM": Field(LONG, lambda pv: pv.max_count, None, PLAIN, _array),
    "FTVL": Field(ENUM, lambda pv: _FTVL[pv.type], None, TYPES, _array),
    "ZNAM": _state(0),
    "ONAM": _state(1),
    **{f"{name}ST": _state(index) for index, name in enumerate(_STATE_NAMES)},
}
"""Field name → how it is served, for PVs of any kind. A database record brings its own through ``PV.record``."""


def record_type_of(pv: PV) -> str:
    """Return the record type that a PV resembles, for ``.RTYP`` and CLASS_NAME.

    >>> record_type_of(PV("x", 1.0)), record_type_of(PV("y", [1, 2]))
    ('ai', 'waveform')
    """
    if pv.max_count > 1:
        return "waveform"
    if pv.type == ENUM:
        return "bi" if len(pv.metadata.states) <= 2 else "mbbi"
    return "stringin" if pv.type == STRING else "ai" if _float(pv) else "longin"


def find_field(pv: PV, name: str) -> PV | None:
    """Return the PV that serves a field of ``pv``, or ``None`` if there is no such field.

    Args:
        pv: the owner.
        name: the field in upper case; ``VAL`` is the owner itself, ``$`` its text as a long string.
    """
    if name == "VAL":
        return pv
    if pv.fields is not None and name in pv.fields:
        return pv.fields[name]
    made = pv.record.field(pv, name) if pv.record is not None else None
    if made is None:
        made = _long_string(pv) if name == "$" else _table_field(pv, name)
    if made is not None:
        pv.fields = {**(pv.fields or {}), name: made}
    return made


def _table_field(pv: PV, name: str) -> PV | None:
    """Make the PV of a field in the table."""
    row = FIELDS.get(name)
    if row is None or not row.applies(pv):
        return None
    native = row.type if row.type is not None else pv.type if _float(pv) else LONG
    metadata = row.metadata
    if row.type is None:
        metadata = replace(
            PLAIN,
            units=pv.metadata.units,
            precision=pv.metadata.precision,
        )
    field = PV(
        f"{pv.name}.{name}",
        row.read(pv),
        type=native,
        metadata=metadata,
        group=pv.group,
        level=1,
        read_only=row.write is None,
        putter=None if row.write is None else partial(_write_field, row.write, pv),
        stamp=pv.stamp,
    )
    return _mirror(pv, field, row.read)


def _write_field(write: Callable[[PV, Any], object], pv: PV, _field: PV, value: Any) -> object:
    """Write a field to its owner, which then brings the field's PV up to date."""
    write(pv, value)
    pv.touched()
    return STORED


def _long_string(pv: PV) -> PV | None:
    """Make the char array that shows the text of a string PV in full (``dbChannel.c``, modifier ``$``)."""
    if pv.type != STRING or pv.max_count > 1:
        return None

    def read(owner: PV) -> bytes:
        text: str = owner.value
        return text.encode("utf-8", "surrogateescape") + b"\0"

    def put(_field: PV, value: Any) -> object:
        raw = bytes(value)
        return write(pv, raw.partition(b"\0")[0].decode("utf-8", "surrogateescape"))

    field = PV(
        f"{pv.name}$",
        read(pv),
        type=CHAR,
        max_count=max(2, pv.max_length),
        group=pv.group,
        level=pv.level,
        read_only=pv.read_only,
        putter=put,
        stamp=pv.stamp,
    )
    return _mirror(pv, field, read)


def _mirror(pv: PV, field: PV, read: Callable[[PV], Any]) -> PV:
    """Make ``field`` follow ``pv``: value, alarm and time."""
    field.status, field.severity = pv.status, pv.severity
    field.record_type = pv.record_type or record_type_of(pv)
    pv.watched = [*(pv.watched or ()), partial(_follow, field, read)]
    return field


def _follow(field: PV, read: Callable[[PV], Any], pv: PV) -> None:
    """Bring a field up to date; subscribers hear of it only if its value or alarm changed."""
    value = field.coerce(read(pv))
    same = bytes(value) == bytes(field.value) if field.max_count > 1 and field.type == CHAR else value == field.value
    if same and (field.status, field.severity) == (pv.status, pv.severity):
        field.stamp = pv.stamp
        if field.cache is not None:
            field.cache.clear()
        return
    field.accept(value, pv.stamp, pv.status, pv.severity)
