"""The benchmark's own parts."""

from __future__ import annotations

from canet.netns import bench
from canet.netns.check import check


def test_the_measured_networks_can_be_built() -> None:
    """Up to 200 hosts, without mistakes."""
    for topology in (bench.flat(2), bench.flat(300), bench.site(200, 10)):
        assert check(topology) == ()


def test_a_measurement_is_two_times(network: object) -> None:
    """Until a network is up, and until it is gone."""
    assert all(seconds > 0 for seconds in bench.ours(bench.flat(2)))
    assert all(seconds > 0 for seconds in bench.spawning())
