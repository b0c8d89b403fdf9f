"""The fields of a record as process variables, each made when a client asks for it.

What the core keeps up to date (units, limits, alarm …) is left to :mod:`canet.server.core.fields`; all else is served
with the type that the record type gives it, from what the files say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from canet.server.core.fields import FIELDS
from canet.server.core.pv import PV
from canet.server.database.load import Record
from canet.server.database.record_types import ARRAY_TYPES, COMMON, DEVICES, RECORD_TYPES, FieldType
from canet.server.protocol.alarm import Condition
from canet.server.protocol.dbr import CHAR, DOUBLE, ENUM, FLOAT, LONG, SHORT, STRING, Native
from canet.server.protocol.metadata import PLAIN, Metadata

NATIVE: Mapping[str, Native] = {
    "s": STRING, "l": STRING, "c": CHAR, "h": SHORT, "i": LONG, "f": FLOAT, "d": DOUBLE, "e": ENUM, "m": ENUM,
    "D": ENUM,
}  # fmt: skip
"""Kind of a field → its DBR type."""
_LONG = 1024
"""Bytes that a text field may have; more than 40 are read as ``NAME.FIELD$``."""
_OWN = frozenset({"NAME", "RTYP", "ASG", "DRVH", "DRVL", "FTVL", "NELM"})
"""Fields that a record tells more exactly than a PV."""
_OWN_OF_ARRAYS = frozenset({"HOPR", "LOPR", "MDEL"})
"""Those that a record of an array has in a type of their own."""
_LAST = frozenset({"LALM", "ALST", "MLST", "OVAL", "PVAL"})
"""Fields that hold a former value."""
_LINK = re.compile(
    r"(?P<pv>[^\s@#\[{][^\s]*)(?P<process>(?:\s+(?:N?PP|CA|CPP?))?)(?P<severity>(?:\s+(?:NMS|MS[SI]?))?)\s*"
)


class Fields:
    """The fields of one record, made when they are asked for."""

    __slots__ = ("record",)

    def __init__(self, record: Record) -> None:
        self.record = record

    def field(self, pv: PV, name: str) -> PV | None:
        """Return the PV of a field, or ``None`` where the record has no such field."""
        record = self.record
        mirrored = FIELDS.get(name)
        if mirrored is not None and name not in self._own() and mirrored.applies(pv) and self._known(pv, name):
            return None  # the core has it, and keeps it up to date
        text = record.fields.get(name)
        found = types_of(record).get(name)
        if found is None:
            if text is None:
                return None
            found = FieldType("d" if is_number(text) else "s")
        menu = _devices(record) if found.kind == "D" else found.menu
        return PV(
            f"{pv.name}.{name}",
            self._value(pv, name, text, found, menu),
            type=NATIVE[found.kind],
            max_count=1,
            metadata=Metadata(states=menu) if menu else PLAIN,
            max_length=_LONG if found.kind in "sl" else 40,
            group=pv.group,
            level=found.level,
            read_only=found.read_only,
            record_type=record.type,
        )

    def _value(self, pv: PV, name: str, text: str | None, found: FieldType, menu: tuple[str, ...]) -> Any:
        """Return the first value of a field: what the files say, what follows from it, or the initial value."""
        if name == "NAME":
            return pv.name
        if name == "RTYP":
            return self.record.type
        if name == "UDF":
            return int(pv.status == Condition.UDF)
        if name in _LAST and pv.max_count == 1:
            return pv.value
        if text is None:
            text = found.initial
        if found.kind == "l" and name != "FLNK" and self.record.type != "fanout":
            return _link(text)
        if menu:
            return menu.index(text) if text in menu else int(number_of(text))
        return _scalar(text, found)

    def _own(self) -> frozenset[str]:
        return _OWN | _OWN_OF_ARRAYS if self.record.type in ARRAY_TYPES else _OWN

    def _known(self, pv: PV, name: str) -> bool:
        """Whether the PV's metadata has the field: an alarm limit without a severity is only in the record."""
        attribute = {"HIHI": "hihi", "HIGH": "high", "LOW": "low", "LOLO": "lolo"}.get(name)
        return attribute is None or getattr(pv.metadata, attribute) is not None


def types_of(record: Record) -> Mapping[str, FieldType]:
    """Return what is known of the fields of a record."""
    return RECORD_TYPES.get(record.type, COMMON)


def _devices(record: Record) -> tuple[str, ...]:
    """Return the choices of DTYP: those of EPICS Base, and what the record says."""
    known, own = DEVICES.get(record.type, ()), record.fields.get("DTYP")
    return known if own is None or own in known else (*known, own)


def _link(text: str) -> str:
    """Write a link as EPICS Base shows it, with all its options (``dbGetString``)."""
    found = _LINK.fullmatch(text)
    if found is None or is_number(text):
        return text
    return f"{found['pv']} {found['process'].strip() or 'NPP'} {found['severity'].strip() or 'NMS'}"


def _scalar(text: str, found: FieldType) -> Any:
    """Return the Python value of a field's text."""
    if found.kind in "sl":
        return text
    return number_of(text) if found.kind in "fd" else int(number_of(text))


def number_of(given: Any) -> float:
    """Return the number that a text, or a value of JSON, stands for; no text at all is 0."""
    if given == "":
        return 0.0
    try:
        return float(given)
    except (ValueError, TypeError):
        try:
            return float(int(given, 0))
        except (ValueError, TypeError):
            raise ValueError(f"expected a number, found {given!r}") from None


def is_number(given: Any) -> bool:
    """Return whether a text, or a value of JSON, stands for a number."""
    try:
        number_of(given)
    except ValueError:
        return False
    return bool(given != "")
