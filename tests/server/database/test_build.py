"""Records → process variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from canet.server.core.fields import find_field
from canet.server.core.pv import PV
from canet.server.database import DatabaseError, load
from canet.server.database.build import build
from canet.server.protocol.dbr import CHAR, DOUBLE, ENUM, FLOAT, LONG, SHORT, STRING, Native

DATA = Path(__file__).parents[2] / "data"


def pv_of(text: str) -> PV:
    return next(iter(build(load("x.db", read=lambda _: text))))


@pytest.mark.parametrize(
    ("record", "native", "count", "value"),
    [
        ('ai, x) { field(VAL, "1.5") }', DOUBLE, 1, 1.5),
        ('ai, x) { field(INP, "2.5") }', DOUBLE, 1, 2.5),
        ('ai, x) { field(INP, "other CP") }', DOUBLE, 1, 0.0),
        ('ao, x) { field(DOL, "0x10") }', DOUBLE, 1, 16.0),
        ('longin, x) { field(VAL, "-3") }', LONG, 1, -3),
        ('int64in, x) { field(VAL, "3") }', DOUBLE, 1, 3.0),
        ('bo, x) { field(ZNAM, "a") field(ONAM, "b") field(VAL, "b") }', ENUM, 1, 1),
        ('bi, x) { field(VAL, "1") }', ENUM, 1, 1),
        ('mbbi, x) { field(ZRST, "a") field(VAL, "0") }', ENUM, 1, 0),
        ('mbbi, x) { field(VAL, "7") }', LONG, 1, 7),
        ('stringin, x) { field(VAL, "hello") }', STRING, 1, "hello"),
        ('lso, x) { field(SIZV, "100") field(VAL, "' + "y" * 60 + '") }', STRING, 1, "y" * 60),
        ('waveform, x) { field(FTVL, "UCHAR") field(NELM, "5") }', CHAR, 5, []),
        ('waveform, x) { field(FTVL, "SHORT") field(NELM, "5") field(INP, [1, 2,]) }', SHORT, 5, [1, 2]),
        ('aao, x) { field(FTVL, "FLOAT") field(NELM, "2") field(VAL, "[.5]") }', FLOAT, 2, [0.5]),
        ('waveform, x) { field(NELM, "2") field(INP, ["a", \'b\']) }', STRING, 2, ("a", "b")),
        ('waveform, x) { field(FTVL, "10") field(NELM, "1") }', DOUBLE, 1, 0.0),
        ('lsi, x) { field(INP, {const: "' + "z" * 50 + '"}) field(SIZV, "100") }', STRING, 1, "z" * 50),
        ('longin, x) { field(INP, {const: 5}) }', LONG, 1, 5),
        ('ai, x) { field(INP, {pva: {pv: "other"}}) }', DOUBLE, 1, 0.0),
        ('compress, x) { field(NSAM, "9") }', DOUBLE, 9, []),
        ('subArray, x) { field(FTVL, "ULONG") field(MALM, "9") field(NELM, "3") }', DOUBLE, 9, []),
        ('motor, x) { field(VAL, "1.25") }', DOUBLE, 1, 1.25),
        ('ownType, x) { field(VAL, "text") }', STRING, 1, "text"),
    ],
)  # fmt: skip
def test_types_and_first_values(record: str, native: Native, count: int, value: Any) -> None:
    """The native type, count and first value are those of EPICS Base."""
    pv = pv_of(f"record({record}")

    assert (pv.type, pv.max_count) == (native, count)
    assert np.array_equal(pv.value, value) if count > 1 else pv.value == value


def test_metadata() -> None:
    """Units, limits, precision, alarm limits with a severity, deadbands; drive limits are the control limits."""
    pv = pv_of(
        'record(ao, x) { field(EGU, "mm") field(PREC, "3") field(HOPR, "9") field(LOPR, "-9") field(DRVH, "5")'
        ' field(DRVL, "-5") field(HIHI, "8") field(HHSV, "MAJOR") field(HIGH, "7") field(MDEL, "0.1") field(ASG, "g")'
        ' field(DESC, "d") field(VAL, "8.5") }'
    )
    metadata = pv.metadata

    assert (metadata.units, metadata.precision, metadata.high_display, metadata.low_display) == ("mm", 3, 9, -9)
    assert (metadata.high_control, metadata.low_control) == (5, -5)
    assert (metadata.hihi, metadata.high, metadata.monitor_deadband) == (8, None, 0.1)
    assert (pv.group, pv.level, pv.description, pv.record_type) == ("g", 0, "d", "ao")
    assert (pv.status, pv.severity) == (3, 2)


@pytest.mark.parametrize(
    ("fields", "states"),
    [
        ('field(ZRST, "a") field(TWST, "c")', ("a", "", "c")),
        ('field(ZRVL, "4")', ()),
    ],
)
def test_states_of_mbbi(fields: str, states: tuple[str, ...]) -> None:
    """States end with the last that has a name."""
    assert pv_of(f"record(mbbi, x) {{ {fields} }}").metadata.states == states


def test_a_record_without_value_is_undefined() -> None:
    """Nothing was read yet: UDF, INVALID."""
    pv = pv_of('record(ai, x) { field(HIHI, "-1") field(HHSV, "MINOR") }')

    assert (pv.status, pv.severity) == (17, 3)


@pytest.mark.parametrize(
    ("name", "native", "value", "level"),
    [
        ("SCAN", ENUM, 6, 1),
        ("PINI", ENUM, 0, 1),
        ("INP", STRING, "@asyn(PORT,0)" + "x" * 40, 1),
        ("SIOL", STRING, "other.B CP NMS", 1),
        ("FLNK", STRING, "next", 1),
        ("DTYP", ENUM, 5, 1),
        ("SSCN", ENUM, 65535, 1),
        ("UDF", CHAR, 1, 1),
        ("PHAS", SHORT, 0, 1),
        ("DISV", SHORT, 1, 1),
        ("RVAL", LONG, 0, 1),
        ("ASLO", DOUBLE, 1.0, 1),
        ("NAME", STRING, "x", 1),
        ("RTYP", STRING, "ai", 1),
    ],
)
def test_fields_are_made_on_request(name: str, native: Native, value: Any, level: int) -> None:
    """A field has its own type, its value or the initial one, and its access level."""
    pv = pv_of(
        f'record(ai, x) {{ field(SCAN, "1 second") field(INP, "@asyn(PORT,0){"x" * 40}")'
        ' field(SIOL, "other.B CP") field(FLNK, "next") field(DTYP, "asynFloat64") }'
    )
    assert pv.record is not None

    field = pv.record.field(pv, name)

    assert field is not None
    assert (field.type, field.value, field.level) == (native, value, level)


def test_fields_that_the_core_knows_are_left_to_it() -> None:
    """What is in the metadata is served, written and kept up to date by the core; the rest by the record."""
    pv = pv_of('record(ai, x) { field(EGU, "mm") field(HIHI, "9") field(HIGH, "8") field(HSV, "MINOR") }')
    assert pv.record is not None

    assert pv.record.field(pv, "EGU") is None
    assert pv.record.field(pv, "HIGH") is None
    values = {name: find_field(pv, name) for name in ("EGU", "HIGH", "HIHI", "HHSV", "HSV", "NAME", "SEVR", "DTYP")}
    assert {name: field and field.value for name, field in values.items()} == {
        "EGU": "mm", "HIGH": 8, "HIHI": 9, "HHSV": 0, "HSV": 1, "NAME": "x", "SEVR": 3, "DTYP": 0,
    }  # fmt: skip


def test_unknown_fields_are_none() -> None:
    """A field that the record type does not have is not served; an unknown type has what its file gives."""
    pv = pv_of('record(motor, x) { field(VELO, "1.5") field(DTYP, "asynMotor") }')
    assert pv.record is not None

    assert pv.record.field(pv, "NOPE") is None
    velocity = pv.record.field(pv, "VELO")
    assert velocity is not None
    assert velocity.value == 1.5


def test_values_that_do_not_fit_are_told() -> None:
    """All of them, with file and line."""
    with pytest.raises(DatabaseError) as caught:
        build(load("x.db", read=lambda _: 'record(bo, a) { field(VAL, "up") }\nrecord(aai, b) { field(INP, [1) }'))

    assert "x.db:2" in str(caught.value)


def test_the_beamline_is_built() -> None:
    """A whole database: more than a thousand records of every type, aliases, all natively typed."""
    database = load(DATA / "beamline.db")
    directory = build(database, "lab:")

    assert len(database.records) >= 1000
    assert directory.find("lab:RING:CURRENT") is directory.find("lab:BL7:ring:current") is not None
    assert {pv.type for pv in directory} == set(Native)
