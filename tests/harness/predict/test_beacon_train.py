"""Trains of beacons: what libca leaves out, what it takes for an anomaly, when it asks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.harness.predict.beacon_train import Beacon, echoes, judge


def train(*gaps: float, numbers: tuple[int, ...] = ()) -> list[Beacon]:
    """Return beacons at these distances."""
    at, found = 0.0, []
    for place, gap in enumerate((0.0, *gaps)):
        at += gap
        found.append(Beacon(at, numbers[place] if numbers else place))
    return found


@pytest.mark.parametrize(
    ("gap", "verdict"), [(0.5, "good"), (0.7, "late"), (1.7, "pause"), (0.3, "early"), (0.6, "good"), (0.42, "good")]
)
def test_periods_are_compared_with_the_average(gap: float, verdict: str) -> None:
    """The bounds are 0.8, 1.25 and 3.25 times the average period."""
    assert judge(train(0.5, 0.5, 0.5, gap))[-1].verdict == verdict


@pytest.mark.parametrize(
    ("number", "verdict"), [(3, "copy"), (2, "copy"), (4, "good"), (5, "jump"), (6, "jump"), (7, "good")]
)
def test_numbers_tell_copies_and_losses(number: int, verdict: str) -> None:
    """The same or an older number is a copy; a jump of two or three is left out."""
    assert judge(train(0.5, 0.5, 0.5, 0.5, numbers=(0, 1, 2, 3, number)))[-1].verdict == verdict


def test_numbers_wrap_round() -> None:
    """After the largest number comes 0."""
    top = (1 << 32) - 1
    assert [each.verdict for each in judge(train(1, 1, 1, numbers=(top - 2, top - 1, top, 0)))][2:] == ["good", "good"]


def test_late_beacon_makes_the_others_count_for_nothing() -> None:
    """After the first echo regular beacons spare the client its echoes, and a late one does not."""
    regular, late = judge(train(*[0.5] * 16)), judge(train(*[0.5] * 8, 1.0, *[0.5] * 7))

    assert echoes(regular, 2.0, 8.0) == (2.0,)
    assert echoes(late, 2.0, 8.5) == (2.0, 6.0)


@settings(deadline=None, max_examples=50)
@given(st.floats(0.1, 10), st.floats(0.1, 100))
def test_without_beacons_the_client_asks_at_each_timeout(timeout: float, until: float) -> None:
    """Nobody tells the client that its server lives."""
    asked = echoes((), timeout, until)

    assert len(asked) == pytest.approx(until / timeout, abs=1.001)
    assert all(each < until for each in asked)
