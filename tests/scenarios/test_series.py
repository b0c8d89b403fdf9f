"""Series of PV names."""

from __future__ import annotations

import pytest

from canet.scenarios.errors import ScenarioError
from canet.scenarios.load import load_text
from canet.scenarios.series import series


def test_two_ranges_count_like_an_odometer() -> None:
    """The last range counts fastest, and leading zeros are kept."""
    assert series("a{1..2}:b{08..09}") == ("a1:b08", "a1:b09", "a2:b08", "a2:b09")


@pytest.mark.parametrize("name", ["x", "x{", "x{a..b}", 'x{"arr":{"s":1}}', "x[1:2]"])
def test_what_is_no_range_stays_as_it_is(name: str) -> None:
    """Filters and plain names are no series."""
    assert series(name) == (name,)


@pytest.mark.parametrize(("name", "words"), [("x{3..1}", "counts down"), ("x{0..999}{0..999}", "more than")])
def test_impossible_series_are_named(name: str, words: str) -> None:
    """In a file the mistake tells the key."""
    with pytest.raises(ValueError, match=words):
        series(name)
    text = f'title = "t"\n[hosts.a]\n[servers.s]\nhost = "a"\n[servers.s.pvs]\n"{name}" = 1.0\n'
    with pytest.raises(ScenarioError, match=r"servers\.s\.pvs"):
        load_text(text)


def test_a_server_serves_a_series() -> None:
    """Each name of the series has the value."""
    text = 'title = "t"\n[hosts.a]\n[servers.s]\nhost = "a"\n[servers.s.pvs]\n"p{1..3}" = 2.0\n'
    (scenario,) = load_text(text)
    assert scenario.servers[0].pvs == {"p1": 2.0, "p2": 2.0, "p3": 2.0}
