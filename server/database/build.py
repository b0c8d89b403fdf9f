"""Records → process variables: the native type, the first value and the metadata of each, and its fields on request.

A record becomes one PV of the type that ``VAL`` has; a field (``NAME.SCAN``) becomes a PV when a client asks for it.
No record is processed: what a client writes is kept as written, alarms follow the record's limits, and a record whose
files give it no value starts as UDF/INVALID, as it does in an IOC that has read nothing yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canet.server.core.fields import FIELDS
from canet.server.core.json5 import Json5Error, parse
from canet.server.core.names import Directory
from canet.server.core.problem import DatabaseError, Problem
from canet.server.core.pv import PV
from canet.server.database.load import Database, Record
from canet.server.database.record_types import ARRAY_TYPES, COMMON, RECORD_TYPES, STATES, FieldType
from canet.server.protocol.alarm import Condition, Severity
from canet.server.protocol.dbr import CHAR, DOUBLE, ENUM, FLOAT, LONG, MAX_STATE, SHORT, STRING, Native
from canet.server.protocol.metadata import PLAIN, Metadata

_NATIVE: Mapping[str, Native] = {
    "s": STRING, "l": STRING, "c": CHAR, "h": SHORT, "i": LONG, "f": FLOAT, "d": DOUBLE, "e": ENUM, "m": ENUM,
}  # fmt: skip
_ELEMENT: Mapping[str, Native] = {
    "STRING": STRING, "CHAR": CHAR, "UCHAR": CHAR, "SHORT": SHORT, "USHORT": LONG, "LONG": LONG, "ULONG": DOUBLE,
    "INT64": DOUBLE, "UINT64": DOUBLE, "FLOAT": FLOAT, "DOUBLE": DOUBLE, "ENUM": ENUM,
}  # fmt: skip
"""What Channel Access makes of a menuFtype (``db_access.c``, ``dbDBRnewToDBRold``)."""
_FTYPES = tuple(_ELEMENT)
_SEVERITIES: Mapping[str, Severity] = {s.name: s for s in Severity} | {str(int(s)): s for s in Severity} | {
    "": Severity.NO_ALARM
}  # fmt: skip
_LONG = 1024
"""Bytes that a text field may have; more than 40 are read as ``NAME.FIELD$``."""
_OWN = frozenset({"NAME", "RTYP", "ASG", "DRVH", "DRVL", "FTVL", "NELM"})
"""Fields that a record tells more exactly than a PV."""
_META_FIELDS = frozenset((
    "EGU", "PREC", "HOPR", "LOPR", "DRVH", "DRVL", "HIHI", "HIGH", "LOW", "LOLO", "HHSV", "HSV", "LSV", "LLSV", "HYST",
    "MDEL", "ADEL", "ZNAM", "ONAM", "ZSV", "OSV", *(state + suffix for state in STATES for suffix in ("ST", "SV")),
))  # fmt: skip
"""Fields that a PV's metadata is made of."""


def build(database: Database, prefix: str = "") -> Directory:
    """Make a PV of each record.

    Args:
        database: What :func:`canet.server.database.load` gave.
        prefix: What all names shall begin with.

    Returns:
        PVs by name; an alias is one more name of the same PV.

    Raises:
        DatabaseError: First values that do not fit their records; all of them are listed.
    """
    directory = Directory()
    add_to(directory, database, prefix)
    return directory


def add_to(directory: Directory, database: Database, prefix: str = "") -> None:
    """Do as :func:`build`, into a directory that exists.

    Raises:
        ValueError: A name is served there already.
    """
    builder = _Builder(prefix)
    pvs = {name: pv for name, record in database.records.items() if (pv := builder.pv(record)) is not None}
    if builder.problems:
        raise DatabaseError(builder.problems)
    aliases: dict[str, list[str]] = {}
    for alias, name in database.aliases.items():
        aliases.setdefault(name, []).append(prefix + alias)
    for name, pv in pvs.items():
        directory.add(pv, *aliases.get(name, ()))


class Fields:
    """The fields of one record, made when they are asked for."""

    __slots__ = ("record",)

    def __init__(self, record: Record) -> None:
        self.record = record

    def field(self, pv: PV, name: str) -> PV | None:
        """Return the PV of a field, or ``None`` where the record has no such field."""
        record = self.record
        mirrored = FIELDS.get(name)
        if mirrored is not None and name not in _OWN and mirrored.applies(pv) and self._known(pv, name):
            return None  # the core has it, and keeps it up to date
        text = record.fields.get(name)
        found = _types(record).get(name)
        if found is None:
            if text is None:
                return None
            found = FieldType("d" if _is_number(text) else "s")
        value = {"NAME": pv.name, "RTYP": record.type}.get(name, text if text is not None else found.initial)
        return PV(
            f"{pv.name}.{name}",
            _scalar(value, found),
            type=_NATIVE[found.kind],
            max_count=1,
            metadata=Metadata(states=found.menu) if found.menu else PLAIN,
            max_length=_LONG if found.kind in "sl" else 40,
            group=pv.group,
            level=found.level,
            read_only=name in ("NAME", "RTYP"),
            record_type=record.type,
        )

    def _known(self, pv: PV, name: str) -> bool:
        """Whether the PV's metadata has the field: an alarm limit without a severity is only in the record."""
        attribute = {"HIHI": "hihi", "HIGH": "high", "LOW": "low", "LOLO": "lolo"}.get(name)
        return attribute is None or getattr(pv.metadata, attribute) is not None


class _Builder:
    """PVs being made; metadata that many records have in common is one object."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.problems: list[Problem] = []
        self._metadata: dict[tuple[Any, ...], Metadata] = {}

    def pv(self, record: Record) -> PV | None:
        fields = record.fields
        try:
            native, count = _shape(record)
            value, defined = _first_value(record, native, count)
            pv = PV(
                self.prefix + record.name,
                value,
                type=native,
                max_count=count,
                metadata=self.metadata(record, native),
                max_length=_string_length(record),
                group=fields.get("ASG") or "DEFAULT",
                level=0,
                description=fields.get("DESC", ""),
                record_type=record.type,
                record=Fields(record),
            )
        except (ValueError, TypeError) as error:
            self.problems.append(Problem(record.file, record.line, f"record {record.name}: {error}"))
            return None
        if not defined:
            pv.status, pv.severity = int(Condition.UDF), int(Severity.INVALID)
        return pv

    def metadata(self, record: Record, native: Native) -> Metadata:
        key = (record.type, native, *(item for item in record.fields.items() if item[0] in _META_FIELDS))
        found = self._metadata.get(key)
        if found is None:
            found = self._metadata[key] = _metadata(record, native)
        return found


def _metadata(record: Record, native: Native) -> Metadata:
    """Read units, limits and states as the record type's support routines report them (``get_graphic_double`` …)."""
    if native == ENUM:
        return _enum_metadata(record)
    fields = record.fields
    if native == STRING:
        return PLAIN

    def number(name: str) -> float:
        return _number(fields.get(name, ""))

    low, high = number("DRVL"), number("DRVH")
    limits: dict[str, Any] = {}
    for name, severity, key in (("HIHI", "HHSV", "hihi"), ("HIGH", "HSV", "high"), ("LOW", "LSV", "low"),
                                ("LOLO", "LLSV", "lolo")):  # fmt: skip
        # A limit without a severity is no limit: aiRecord.c get_alarm_double says NaN then.
        limits[f"{key}_severity"] = _severity(fields.get(severity, ""))
        if limits[f"{key}_severity"]:
            limits[key] = number(name)
    if _types(record).get("MDEL") is not None and record.type != "histogram":
        limits["monitor_deadband"] = number("MDEL")
        limits["archive_deadband"] = number("ADEL")
    return Metadata(
        units=fields.get("EGU", ""),
        precision=int(number("PREC")),
        low_display=number("LOPR"),
        high_display=number("HOPR"),
        # aoRecord.c get_control_double: the drive limits, where they are a range.
        low_control=low if high > low else number("LOPR"),
        high_control=high if high > low else number("HOPR"),
        hysteresis=number("HYST"),
        **limits,
    )


def _enum_metadata(record: Record) -> Metadata:
    get = record.fields.get
    if _is_multibit(record):
        names = [get(state + "ST", "") for state in STATES]
        used = max((i + 1 for i, name in enumerate(names) if name), default=0)
        severities = [get(state + "SV", "") for state in STATES]
    else:
        names = [get("ZNAM", ""), get("ONAM", "")]
        # biRecord.c get_enum_strs: two states, or one if only the first has a name.
        used = 1 if names[0] and not names[1] else 2
        severities = [get("ZSV", ""), get("OSV", "")]
    return Metadata(
        states=tuple(_cut(name, MAX_STATE) for name in names[:used]),
        state_severities=tuple(map(_severity, severities)) if any(severities) else (),
    )


def _shape(record: Record) -> tuple[Native, int]:
    """Return native type and element count of ``VAL``."""
    fields = record.fields
    kind = record.type
    if kind in ARRAY_TYPES:
        if kind == "compress":
            return DOUBLE, max(1, int(_number(fields.get("NSAM", "1"))))
        count = max(1, int(_number(fields.get("MALM" if kind == "subArray" else "NELM", "1"))))
        if kind == "histogram":
            return DOUBLE, count
        ftype = fields.get("FTVL", "STRING")
        return _ELEMENT[_FTYPES[int(ftype)] if ftype.isdigit() else ftype], count
    if _is_multibit(record) and not any(fields.get(s + "ST") or fields.get(s + "VL") for s in STATES):
        return LONG, 1  # mbbiRecord.c cvt_dbaddr: without states VAL is a DBF_USHORT
    found = _types(record).get("VAL")
    if found is None:  # a record type that we know nothing of
        text = fields.get("VAL", "")
        return (DOUBLE if not text or _is_number(text) else STRING), 1
    return _NATIVE[found.kind], 1


def _first_value(record: Record, native: Native, count: int) -> tuple[Any, bool]:
    """Return the value to start with, and whether the files give one (in VAL, or as a constant link)."""
    get = record.fields.get
    text = get("VAL", "")
    if not text and (constant := get("INP") or get("DOL")) and _is_constant(constant, native):
        text = constant
    if record.type in ARRAY_TYPES:
        values = _list(text) if text else []
        if count == 1 and not values:
            values = ["" if native == STRING else 0]
        return (values if count > 1 else values[0]), bool(text)
    if native == ENUM and not text:
        return 0, False
    if native == STRING:
        return text, bool(text)
    if native == ENUM:
        return (int(text, 0) if _is_number(text) else text), True
    return _number(text), bool(text)


def _is_constant(text: str, native: Native) -> bool:
    """Whether a link is a constant: a number, a list of values, or for strings a quoted text in a list."""
    return text.startswith("[") or (native != STRING and _is_number(text))


def _list(text: str) -> list[Any]:
    try:
        value = parse(text)
    except Json5Error as error:
        raise ValueError(f"first value: {error}") from None
    return value if isinstance(value, list) else [value]


def _types(record: Record) -> Mapping[str, FieldType]:
    return RECORD_TYPES.get(record.type, COMMON)


def _is_multibit(record: Record) -> bool:
    return record.type in ("mbbi", "mbbo")


def _string_length(record: Record) -> int:
    size = record.fields.get("SIZV")
    return max(40, int(_number(size))) if size else 41 if record.type in ("lsi", "lso", "printf") else 40


def _severity(text: str) -> Severity:
    return _SEVERITIES.get(text, Severity.NO_ALARM)


def _scalar(text: str, found: FieldType) -> Any:
    """Return the Python value of a field's text."""
    if found.kind in "sl":
        return text
    if found.kind == "m":
        return text if text in found.menu else int(_number(text))
    return _number(text) if found.kind in "fd" else int(_number(text))


def _number(text: str) -> float:
    if not text:
        return 0.0
    try:
        return float(text)
    except ValueError:
        try:
            return float(int(text, 0))
        except ValueError:
            raise ValueError(f"expected a number, found {text!r}") from None


def _is_number(text: str) -> bool:
    try:
        _number(text)
    except ValueError:
        return False
    return bool(text)


def _cut(text: str, size: int) -> str:
    """Cut a text to fit into ``size`` bytes with its terminating zero."""
    return text.encode("utf-8", "surrogateescape")[: size - 1].decode("utf-8", "replace")
