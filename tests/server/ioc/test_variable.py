"""Variables: posting values and alarms."""

from __future__ import annotations

import numpy as np
import pytest

from canet.server.ioc import Condition, Group, Severity, pv


class Some(Group):
    """A few PVs."""

    number = pv(1.0, units="mm", alarm=(None, 10.0))
    state = pv("a", states=("a", "b"))
    wave = pv([0.0], max_count=4)
    image = pv(b"", max_count=4)


def test_posting_keeps_the_alarm_of_the_limits() -> None:
    """Unless the author says otherwise."""
    number = Some().number
    number.post(11.0)
    assert (number.severity, number.pv.status) == (Severity.MAJOR, Condition.HIHI)
    number.post(12.0, severity=Severity.MINOR, condition=Condition.HW_LIMIT, stamp=5)
    assert (number.severity, number.pv.status, number.pv.stamp) == (Severity.MINOR, Condition.HW_LIMIT, 5)
    number.post(12.0, severity=Severity.NO_ALARM)
    assert (number.severity, number.pv.status) == (Severity.NO_ALARM, 0)
    number.alarm(Severity.INVALID, Condition.COMM)

    assert (number.value, number.severity, number.pv.status) == (12.0, Severity.INVALID, Condition.COMM)
    number.alarm(Severity.NO_ALARM)
    assert number.pv.status == 0


def test_arrays_take_any_sequence() -> None:
    """Lists, tuples, numpy arrays and bytes; too many elements are refused and change nothing."""
    group = Some()
    for value in ([1, 2], (1.0, 2.0), np.array([1, 2], np.int8)):
        group.wave.post(value)
        assert group.wave.value.tolist() == [1.0, 2.0]
    group.image.post(b"xyz")
    assert group.image.value.tobytes() == b"xyz"
    with pytest.raises(ValueError, match="5 elements do not fit into 4"):
        group.wave.post(range(5))

    assert group.wave.value.tolist() == [1.0, 2.0]


def test_states_are_posted_by_name() -> None:
    """A name that is none is refused."""
    state = Some().state
    state.post("b")
    assert (state.value, state.pv.value) == ("b", 1)
    with pytest.raises(ValueError, match="'c' is none of the states 'a', 'b'"):
        state.post("c")


def test_metadata_may_change() -> None:
    """Units and limits can be set while the IOC runs."""
    number = Some("x:").number
    number.configure(units="um")

    assert number.pv.metadata.units == "um"
    assert repr(number) == "<x:number 1.0>"
