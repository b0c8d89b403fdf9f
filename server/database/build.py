"""Records → process variables: the native type, the first value and the metadata of each.

A record becomes one PV of the type that ``VAL`` has; a field (``NAME.SCAN``) becomes a PV when a client asks for it.
No record is processed: what a client writes is kept as written, alarms follow the record's limits, and a record whose
files give it no value starts as UDF/INVALID, as it does in an IOC that has read nothing yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canet.server.core.json5 import Json5Error, parse
from canet.server.core.names import Directory
from canet.server.core.problem import DatabaseError, Problem
from canet.server.core.pv import PV
from canet.server.database.load import Database, Record
from canet.server.database.record_fields import NATIVE, Fields, is_number, number_of, types_of
from canet.server.database.record_types import ARRAY_TYPES, STATES
from canet.server.protocol.alarm import Condition, Severity
from canet.server.protocol.dbr import CHAR, DOUBLE, ENUM, FLOAT, LONG, MAX_STATE, SHORT, STRING, Native
from canet.server.protocol.metadata import PLAIN, Metadata

_ELEMENT: Mapping[str, Native] = {
    "STRING": STRING, "CHAR": CHAR, "UCHAR": CHAR, "SHORT": SHORT, "USHORT": LONG, "LONG": LONG, "ULONG": DOUBLE,
    "INT64": DOUBLE, "UINT64": DOUBLE, "FLOAT": FLOAT, "DOUBLE": DOUBLE, "ENUM": ENUM,
}  # fmt: skip
"""What Channel Access makes of a menuFtype (``db_access.c``, ``dbDBRnewToDBRold``)."""
_FTYPES = tuple(_ELEMENT)
_SEVERITIES: Mapping[str, Severity] = {s.name: s for s in Severity} | {str(int(s)): s for s in Severity} | {
    "": Severity.NO_ALARM
}  # fmt: skip
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
                read_only=record.type == "sel",  # selRecord.dbd: VAL is SPC_NOMOD
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
        return number_of(fields.get(name, ""))

    low, high = number("DRVL"), number("DRVH")
    limits: dict[str, Any] = {}
    for name, severity, key in (("HIHI", "HHSV", "hihi"), ("HIGH", "HSV", "high"), ("LOW", "LSV", "low"),
                                ("LOLO", "LLSV", "lolo")):  # fmt: skip
        # A limit without a severity is no limit: get_alarm_double says NaN then, except that of int64inRecord.c.
        limits[f"{key}_severity"] = _severity(fields.get(severity, ""))
        if limits[f"{key}_severity"] or record.type in ("int64in", "int64out"):
            limits[key] = number(name)
    if types_of(record).get("MDEL") is not None and record.type != "histogram":
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
            return DOUBLE, max(1, int(number_of(fields.get("NSAM", "1"))))
        count = max(1, int(number_of(fields.get("MALM" if kind == "subArray" else "NELM", "1"))))
        if kind == "histogram":
            return DOUBLE, count
        ftype = fields.get("FTVL", "STRING")
        return _ELEMENT[_FTYPES[int(ftype)] if ftype.isdigit() else ftype], count
    if _is_multibit(record) and not any(fields.get(s + "ST") or fields.get(s + "VL") for s in STATES):
        return LONG, 1  # mbbiRecord.c cvt_dbaddr: without states VAL is a DBF_USHORT
    found = types_of(record).get("VAL")
    if found is None:  # a record type that we know nothing of
        text = fields.get("VAL", "")
        return (DOUBLE if not text or is_number(text) else STRING), 1
    return NATIVE[found.kind], 1


def _first_value(record: Record, native: Native, count: int) -> tuple[Any, bool]:
    """Return the value to start with, and whether the files give one (in VAL, or as a constant link)."""
    get = record.fields.get
    given: Any = get("VAL") or _constant(get("INP") or get("DOL") or "", native)
    if record.type in ARRAY_TYPES:
        values = _list(given)
        if record.type == "histogram":
            values = [0] * count
        elif count == 1 and not values:
            values = ["" if native == STRING else 0]
        return (values if count > 1 else values[0]), bool(given)
    if given is None or given == "":
        return ("" if native == STRING else 0), False
    if native == STRING:
        return str(given), True
    if native == ENUM:
        return (int(number_of(given)) if is_number(given) else given), True
    return number_of(given), True


def _constant(link: str, native: Native) -> Any:
    """Return the value of a link that is a constant: a number, ``[…]`` or ``{const: …}``; ``None`` for all others."""
    if link[:1] not in ("[", "{"):
        return link if native != STRING and is_number(link) else None
    try:
        value = parse(link)
    except Json5Error as error:
        raise ValueError(f"first value: {error}") from None
    if isinstance(value, dict):
        return value["const"] if list(value) == ["const"] else None
    return value


def _list(given: Any) -> list[Any]:
    """Return the elements of an array's first value, which may be text."""
    if isinstance(given, str):
        try:
            given = parse(given)
        except Json5Error as error:
            raise ValueError(f"first value: {error}") from None
    return given if isinstance(given, list) else [] if given is None else [given]


def _is_multibit(record: Record) -> bool:
    return record.type in ("mbbi", "mbbo")


def _string_length(record: Record) -> int:
    size = record.fields.get("SIZV")
    return max(40, int(number_of(size))) if size else 41 if record.type in ("lsi", "lso", "printf") else 40


def _severity(text: str) -> Severity:
    return _SEVERITIES.get(text, Severity.NO_ALARM)


def _cut(text: str, size: int) -> str:
    """Cut a text to fit into ``size`` bytes with its terminating zero."""
    return text.encode("utf-8", "surrogateescape")[: size - 1].decode("utf-8", "replace")
