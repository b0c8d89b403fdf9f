"""A client's time-out on a machine that has time for it, and on one that has not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from canet.harness.participants.patience import BEFORE, STEP, Patience


def looks(seconds: float, pauses: list[float]) -> tuple[int, float]:
    """Return how many looks a patience lasts with these pauses between them, and how much time went by."""
    now = [100.0]
    patience = Patience(seconds, clock=lambda: now[0])
    for count, pause in enumerate(pauses):
        now[0] += pause
        if not patience.lasts():
            return count, now[0] - 100.0
    return len(pauses), now[0] - 100.0


def test_time_counts_while_the_client_can_look() -> None:
    """With a look each millisecond a second is a second."""
    _, elapsed = looks(1.0, [0.001] * 2000)

    assert 0.999 <= elapsed <= 1.002


def test_time_stands_still_while_the_machine_is_busy() -> None:
    """A pause of ten seconds is no reason to give up; fifty looks have to come first."""
    assert looks(1.0, [10.0] * 40) == (40, 400.0)
    count, _ = looks(1.0, [10.0] * 60)

    assert 49 <= count <= 51


@given(st.floats(0.01, 3.0), st.lists(st.floats(0.0, 5.0), max_size=300))
def test_it_ends_when_enough_has_counted(seconds: float, pauses: list[float]) -> None:
    """Each pause counts as long as it was, up to a step."""
    count, _ = looks(seconds, pauses)
    counted = [min(pause, STEP) for pause in pauses]

    assert sum(counted[:count]) < seconds + 1e-6
    assert count == len(pauses) or sum(counted[: count + 1]) >= seconds - 1e-6


def test_time_begins_with_the_first_search() -> None:
    """A client that searches late has as long as one that searches at once; one that never does is given up."""
    now = [100.0]
    patience = Patience(1.0, lambda: now[0] >= 105.0, clock=lambda: now[0])
    while patience.lasts():
        now[0] += 0.01
    never = Patience(1.0, lambda: False, clock=lambda: now[0])
    begun = now[0]
    while never.lasts():
        now[0] += 0.01

    assert 105.9 <= begun <= 106.1
    assert BEFORE - 0.1 <= now[0] - begun <= BEFORE + 0.1
    assert never.left == 1.0
