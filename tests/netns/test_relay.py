"""What a line does to frames, by seed and time alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.netns.relay import HELD_BACK, Line
from canet.netns.topology import Impairment


def frame(number: int) -> bytes:
    """Return a frame with its number behind the header."""
    return bytes(14) + number.to_bytes(46, "big")


def through(count: int, *, gap: float = 0.001, **what: Any) -> list[tuple[float, int]]:
    """Send frames down a line; return when each came out, in milliseconds, and which it was."""
    line = Line(Impairment(**what))
    out: list[tuple[float, int]] = []

    def take(until: float) -> None:
        while line.next_time is not None and line.next_time <= until:
            now = line.next_time
            out.extend((now, int.from_bytes(each[14:], "big")) for each in line.due(now))

    for number in range(count):
        take(number * gap)
        line.offer(frame(number), number * gap)
    take(float("inf"))
    return out


def test_a_sound_line_changes_nothing() -> None:
    """Without impairment every frame leaves when it enters."""
    assert through(3) == [(0.0, 0), (0.001, 1), (0.002, 2)]


def test_a_cut_line_passes_nothing() -> None:
    """A cut is total."""
    assert through(10, cut=True) == []


def test_delay_is_the_same_for_all() -> None:
    """A delay shifts every frame."""
    assert [round(when, 6) for when, _ in through(3, delay=0.5)] == [0.5, 0.501, 0.502]


def test_loss_takes_its_fraction() -> None:
    """Over many frames the fraction shows."""
    assert 400 < len(through(1000, loss=0.5, seed=7)) < 600


def test_jitter_alone_keeps_the_order() -> None:
    """Frames are early or late but never overtake."""
    seen = [number for _, number in through(200, delay=0.05, jitter=0.05, seed=1)]

    assert seen == sorted(seen)


def test_reordered_frames_are_overtaken() -> None:
    """A frame that is held back comes after later ones."""
    out = through(100, reorder=0.2, seed=1)
    seen = [number for _, number in out]

    assert seen != sorted(seen)
    assert sorted(seen) == list(range(100))
    assert max(when - number * 0.001 for when, number in out) == pytest.approx(HELD_BACK)


def test_duplicates_come_twice() -> None:
    """With certainty every frame does."""
    assert [number for _, number in through(2, duplicate=1.0)] == [0, 0, 1, 1]


def test_corruption_flips_one_bit_behind_the_ethernet_header() -> None:
    """A corrupt frame still finds its host."""
    line = Line(Impairment(corrupt=1.0, seed=3))
    line.offer(frame(0), 0.0)
    [broken] = line.due(0.0)

    assert broken[:14] == frame(0)[:14]
    assert sum(byte.bit_count() for byte in broken) == 1


def test_a_rate_spreads_frames() -> None:
    """60 bytes at 48 kbit/s take ten milliseconds each."""
    assert [round(when, 6) for when, _ in through(3, gap=0.0, rate=48_000)] == [0.01, 0.02, 0.03]


@settings(deadline=None, max_examples=50)
@given(
    st.fixed_dictionaries(
        {
            "loss": st.floats(0, 0.9),
            "duplicate": st.floats(0, 1),
            "reorder": st.floats(0, 1),
            "delay": st.floats(0, 1),
            "jitter": st.floats(0, 1),
            "seed": st.integers(0, 2**32),
        }
    )
)
def test_the_same_seed_gives_the_same_fate(what: dict[str, Any]) -> None:
    """A run can be repeated, and no frame appears from nowhere or before it was sent."""
    first, second = through(30, **what), through(30, **what)

    assert first == second
    assert all(when >= number * 0.001 - 1e-9 for when, number in first)
    assert {number for _, number in first} <= set(range(30))
