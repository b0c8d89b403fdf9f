"""A client's time-out on a machine that has time for it, and on one that has not."""

from __future__ import annotations

from collections.abc import Callable

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


def waited(seconds: float, begun: Callable[[float], bool]) -> float:
    """Return how long a patience lasts, with a look each 10 ms."""
    now = [0.0]
    patience = Patience(seconds, lambda: begun(now[0]), clock=lambda: now[0])
    while patience.lasts():
        now[0] += 0.01
    return now[0]


def test_time_begins_with_the_first_search() -> None:
    """A client that searches late has as long as one that searches at once; one that seems never to, a little more."""
    assert 2.99 <= waited(3.0, lambda now: True) <= 3.03
    assert 3.49 <= waited(3.0, lambda now: now >= 0.5) <= 3.53
    assert 2.99 + BEFORE <= waited(3.0, lambda now: False) <= 3.03 + BEFORE


def test_time_that_has_begun_goes_on() -> None:
    """A count of searches that starts again, as libca's does for a channel that was refused, changes nothing."""
    assert 2.99 <= waited(3.0, lambda now: now < 0.5) <= 3.03
