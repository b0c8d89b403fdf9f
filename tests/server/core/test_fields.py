"""Fields of PVs, and their text as long strings."""

import pytest

from canet.server.core.fields import find_field, record_type_of
from canet.server.core.pv import PV
from canet.server.protocol import eca
from canet.server.protocol.dbr import CHAR, ENUM, STRING
from canet.server.protocol.metadata import Metadata
from tests.server.wire import Wire, serve

META = Metadata(units="mm", precision=2, high_display=9.0, low_display=-9.0, high_control=8.0, hihi=7.0)


def number(value: float = 1.5) -> PV:
    """Return a PV with properties."""
    return PV("x", value, metadata=META, description="a length", group="ops")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("NAME", "x"),
        ("DESC", "a length"),
        ("EGU", "mm"),
        ("PREC", 2),
        ("HOPR", 9.0),
        ("LOPR", -9.0),
        ("DRVH", 8.0),
        ("HIHI", 7.0),
        ("HHSV", 2),
        ("RTYP", "ai"),
        ("ASG", "ops"),
        ("MDEL", -1.0),
        ("SEVR", 0),
        ("VAL", 1.5),
    ],
)
def test_read(field: str, value: object) -> None:
    """Each field is a channel."""
    wire = Wire(serve(number()))
    sid = wire.open(f"x.{field}")

    assert wire.read(sid, {str: 0, int: 5, float: 6}[type(value)]).value == value


@pytest.mark.parametrize(
    ("field", "dbr_type", "value"), [("HIHI", 6, 3.0), ("EGU", 0, "cm"), ("DESC", 0, "new"), ("HHSV", 3, 1)]
)
def test_write(field: str, dbr_type: int, value: object) -> None:
    """A written field changes the PV, and reads back."""
    pv = number()
    wire = Wire(serve(pv))
    sid = wire.open(f"x.{field}")

    assert wire.write(sid, dbr_type, value) == eca.NORMAL
    assert wire.read(sid, dbr_type).value == value
    assert {
        "HIHI": pv.metadata.hihi,
        "EGU": pv.metadata.units,
        "DESC": pv.description,
        "HHSV": pv.metadata.hihi_severity,
    }[field] == value


def test_read_only_fields() -> None:
    """What follows from the PV cannot be written."""
    wire = Wire(serve(number()))

    assert wire.write(wire.open("x.RTYP"), 0, "ao") == eca.NOWTACCESS


def test_watched_field_follows() -> None:
    """A subscription to a field hears of its changes, each once, and of nothing else."""
    pv = number()
    wire = Wire(serve(pv))
    wire.watch(wire.open("x.SEVR"), 3)

    for value in (1.0, 2.0, 8.0, 9.0, 1.0):
        pv.post(value)

    assert wire.values() == [0, 2, 0]


def test_written_field_is_one_event() -> None:
    """Its subscribers hear of a write once."""
    wire = Wire(serve(number()))
    sid = wire.open("x.EGU")
    wire.watch(sid, 0)
    wire.send(Wire.writing(sid, 0, "cm", notify=False))

    assert wire.values() == ["mm", "cm"]


def test_fields_of_arrays_and_enums() -> None:
    """A field that does not apply does not exist."""
    array, choice = PV("a", [1, 2], max_count=9), PV("e", 1, type=ENUM, metadata=Metadata(states=("off", "on")))

    nord, nelm, onam = find_field(array, "NORD"), find_field(array, "NELM"), find_field(choice, "ONAM")

    assert nord is not None
    assert nelm is not None
    assert onam is not None
    assert (nord.value, nelm.value, onam.value) == (2, 9, "on")
    array.post([1])
    assert nord.value == 1
    assert find_field(choice, "NORD") is None
    assert find_field(choice, "HIHI") is None
    assert (record_type_of(array), record_type_of(choice)) == ("waveform", "bi")


def test_long_string() -> None:
    """A string is read and written in full as an array of char."""
    text = "a text that is longer than forty bytes, as paths are"
    pv = PV("s", text, max_length=100)
    wire = Wire(serve(pv))
    short, full = wire.open("s"), wire.open("s.VAL$", 2)

    assert wire.read(short, 0).value == text[:39]
    assert bytes(wire.read(full, CHAR).value).rstrip(b"\0").decode() == text
    assert wire.write(full, CHAR, tuple(b"another\0"), 8) == eca.NORMAL
    assert pv.value == "another"
    assert wire.read(short, STRING).value == "another"


def test_long_string_is_refused_by_the_putter_of_its_pv() -> None:
    """The PV's own putter has the word."""

    def putter(pv: PV, value: str) -> str:
        return value.upper()

    pv = PV("s", "x", putter=putter)
    wire = Wire(serve(pv))

    assert wire.write(wire.open("s$"), CHAR, tuple(b"abc\0"), 4) == eca.NORMAL
    assert pv.value == "ABC"


def test_record_supplies_fields() -> None:
    """A record's own fields come before the table's."""

    class Fields:
        def field(self, pv: PV, name: str) -> PV | None:
            return PV(f"{pv.name}.{name}", "here") if name in ("OUT", "EGU") else None

    pv = PV("x", 1.0, record=Fields(), record_type="ao")
    out, egu, rtyp = (find_field(pv, name) for name in ("OUT", "EGU", "RTYP"))

    assert out is not None
    assert egu is not None
    assert rtyp is not None
    assert (out.value, egu.value, rtyp.value) == ("here", "here", "ao")
    assert find_field(pv, "NOPE") is None
