"""PVs: values, alarms, deadbands, acknowledgement."""

import numpy as np
import pytest

from canet.server.core.pv import PV
from canet.server.core.update import ALARM, LOG, PROPERTY, VALUE
from canet.server.protocol import eca
from canet.server.protocol.alarm import Condition, Severity
from canet.server.protocol.dbr import CHAR, DOUBLE, ENUM, FLOAT, LONG, PUT_ACKS, PUT_ACKT, SHORT, STRING, STSACK_STRING
from canet.server.protocol.metadata import Metadata
from tests.server.wire import Wire, serve


class Heard:
    """A listener that remembers."""

    def __init__(self, pv: PV) -> None:
        self.masks: list[int] = []
        pv.listeners = [self]

    def offer(self, mask: int) -> None:
        """Remember."""
        self.masks.append(mask)


@pytest.mark.parametrize(
    ("value", "native", "count", "held"),
    [
        (1.5, DOUBLE, 1, 1.5),
        (3, LONG, 1, 3),
        (True, LONG, 1, 1),
        ("text", STRING, 1, "text"),
        ([1, 2], LONG, 2, [1, 2]),
        ([1, 2.5], DOUBLE, 2, [1.0, 2.5]),
        (["a", "b"], STRING, 2, ["a", "b"]),
        (b"abc", CHAR, 3, [97, 98, 99]),
        (np.zeros(2, "f4"), FLOAT, 2, [0.0, 0.0]),
        (np.zeros(2, "i2"), SHORT, 2, [0, 0]),
    ],
)
def test_type_follows_the_value(value: object, native: int, count: int, held: object) -> None:
    """Without a type, the value says which."""
    pv = PV("x", value)

    assert (pv.type, pv.max_count) == (native, count)
    assert (list(pv.value) if count > 1 else pv.value) == held


def test_arrays_are_copied_and_frozen() -> None:
    """Nobody changes a value behind the server's back."""
    given = np.zeros(3)
    pv = PV("a", given)
    given[0] = 1.0

    assert pv.value[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        pv.value[0] = 2.0


def test_value_that_does_not_fit_changes_nothing() -> None:
    """The error names the sizes, and the PV is as before."""
    pv = PV("a", [1.0, 2.0])

    with pytest.raises(ValueError, match="3 elements do not fit into 2"):
        pv.post([1.0, 2.0, 3.0])
    assert list(pv.value) == [1.0, 2.0]


def test_enum_takes_names() -> None:
    """A state may be posted by its name."""
    pv = PV("e", "on", metadata=Metadata(states=("off", "on")))

    assert (pv.type, pv.value) == (ENUM, 1)
    pv.post("off")
    assert pv.value == 0
    with pytest.raises(ValueError, match="'off', 'on'"):
        pv.post("maybe")


@pytest.mark.parametrize(
    ("values", "alarms"),
    [
        ([0.0, 5.0, 7.0, 6.9, 4.0], [(0, 0), (4, 1), (3, 2), (4, 1), (0, 0)]),
        ([-5.0, -7.0, float("nan")], [(6, 1), (5, 2), (17, 3)]),
    ],
)
def test_limits(values: list[float], alarms: list[tuple[int, int]]) -> None:
    """Limits decide condition and severity; a value at a limit is in alarm."""
    pv = PV("x", 0.0, metadata=Metadata(lolo=-7.0, low=-5.0, high=5.0, hihi=7.0))
    seen = []
    for value in values:
        pv.post(value)
        seen.append((pv.status, pv.severity))

    assert seen == alarms


def test_hysteresis() -> None:
    """An alarm ends only when the value is back by the hysteresis."""
    pv = PV("x", 0.0, metadata=Metadata(high=5.0, hysteresis=1.0))
    seen = []
    for value in (5.0, 4.5, 3.9, 4.5):
        pv.post(value)
        seen.append(pv.severity)

    assert seen == [1, 1, 0, 0]


def test_state_severities() -> None:
    """A state may be an alarm."""
    pv = PV("e", 0, type=ENUM, metadata=Metadata(states=("ok", "bad"), state_severities=(Severity(0), Severity.MAJOR)))
    pv.post(1)

    assert (pv.status, pv.severity) == (Condition.STATE, Severity.MAJOR)


def test_own_alarm() -> None:
    """An author may say what the alarm is."""
    pv = PV("x", 1.0)
    pv.post(2.0, status=Condition.COMM, severity=Severity.INVALID)
    assert (pv.status, pv.severity) == (9, 3)
    pv.set_alarm(0, 0)
    assert (pv.value, pv.severity) == (2.0, 0)


def test_masks_say_what_happened() -> None:
    """Value, log, alarm and property are told apart."""
    pv = PV("x", 0.0, metadata=Metadata(high=10.0, monitor_deadband=2.0, archive_deadband=5.0))
    heard = Heard(pv)

    for value in (1.0, 3.0, 6.0, 10.0):
        pv.post(value)
    pv.configure(units="V")

    assert heard.masks == [0, VALUE, VALUE | LOG, VALUE | ALARM, PROPERTY]


def test_deadband_of_nan() -> None:
    """Becoming or ceasing to be no number is always a change."""
    pv = PV("x", 0.0, metadata=Metadata(monitor_deadband=2.0, archive_deadband=2.0))
    heard = Heard(pv)
    for value in (float("nan"), 0.0, 1.0):
        pv.post(value)

    assert [each & VALUE for each in heard.masks] == [1, 1, 0]


def test_acknowledgement() -> None:
    """The highest severity stays until it is acknowledged."""
    pv = PV("x", 0.0, metadata=Metadata(high=5.0, hihi=7.0))
    wire = Wire(serve(pv))
    sid = wire.open("x")
    for value in (8.0, 6.0, 0.0):
        pv.post(value)

    before = wire.read(sid, STSACK_STRING)
    assert (before.severity, before.unacknowledged, before.acknowledge_transient) == (0, 2, True)
    assert wire.write(sid, PUT_ACKS, 1) == eca.NORMAL
    assert pv.unacknowledged == 2
    assert wire.write(sid, PUT_ACKS, 2) == eca.NORMAL
    assert wire.read(sid, STSACK_STRING).unacknowledged == 0


def test_transient_alarms_need_not_be_acknowledged() -> None:
    """With ACKT off, what is over is over."""
    pv = PV("x", 0.0, metadata=Metadata(high=5.0, hihi=7.0))
    wire = Wire(serve(pv))
    assert wire.write(wire.open("x"), PUT_ACKT, 0) == eca.NORMAL

    pv.post(8.0)
    pv.post(0.0)

    assert pv.unacknowledged == 0


def test_time_stamps() -> None:
    """A post may bring its own time."""
    pv = PV("x", 0.0)
    wire = Wire(serve(pv))
    sid = wire.open("x")
    pv.post(1.0, stamp=1_700_000_000_123_456_789)

    assert wire.read(sid, 20).stamp == 1_700_000_000_123_456_789


@pytest.mark.parametrize("dbr_type", [*range(35), 37, 38])
@pytest.mark.parametrize("value", [1.5, 7, "12", [1.0, 2.0, 3.0], b"\1\2\3", ["1", "2"]], ids=str)
def test_every_type_of_every_pv(value: object, dbr_type: int) -> None:
    """Whatever a PV holds can be read as any type."""
    wire = Wire(serve(PV("x", value)))

    reading = wire.read(wire.open("x"), dbr_type)

    assert reading.dbr_type == dbr_type


@pytest.mark.parametrize("dbr_type", range(7))
@pytest.mark.parametrize("value", [1.5, 7, "12", [1.0, 2.0, 3.0], b"\1\2\3", ["1", "2"]], ids=str)
def test_every_type_is_written_to_every_pv(value: object, dbr_type: int) -> None:
    """Whatever a client sends is converted to what the PV holds."""
    pv = PV("x", value)
    wire = Wire(serve(pv))

    status = wire.write(wire.open("x"), dbr_type, "3" if dbr_type == STRING else 3)

    assert status == eca.NORMAL
    held = pv.value if pv.max_count == 1 else pv.value[0]
    assert float(held) == 3.0
