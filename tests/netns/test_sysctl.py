"""Settings of a namespace."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from canet.netns import Network, NetworkError, Topology, sysctl
from tests.netns.lan import host, lan

Build = Callable[[Topology], Network]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.1/rp_filter", "/proc/sys/net/ipv4/conf/eth0.1/rp_filter"),
    ],
)
def test_dots_separate_unless_slashes_do(key: str, path: str) -> None:
    """Both notations of sysctl(8) are read."""
    assert sysctl.path_of(key) == path


def test_hosts_start_from_known_values(network: Build) -> None:
    """Whatever the machine is set to, a host has the start values, on its interfaces too, and then its own."""
    net = network(lan(host("client", "10.1.0.1/24", sysctls=(("net.ipv4.conf.eth0.rp_filter", "2"),))))
    values = {key: net["client"].call(sysctl.read, key) for key in sysctl.DEFAULTS}

    assert {key: value for key, value in values.items() if value is not None} == {
        key: sysctl.DEFAULTS[key] for key, value in values.items() if value is not None
    }
    assert net["client"].call(sysctl.read, "net.ipv4.conf.eth0.rp_filter") == "2"
    assert net["client"].call(sysctl.read, "net.ipv4.conf.eth0.promote_secondaries") == "1"
    assert net["client"].call(sysctl.deviating) == {}


def test_the_machines_own_settings_stay(network: Build) -> None:
    """Forwarding on a host does not turn it on here."""
    before = sysctl.read("net.ipv4.ip_forward")
    net = network(lan(host("client", "10.1.0.1/24", sysctls=(("net.ipv4.ip_forward", "1"),))))

    assert net["client"].call(sysctl.read, "net.ipv4.ip_forward") == "1"
    assert sysctl.read("net.ipv4.ip_forward") == before


def test_refusals_say_what_to_do() -> None:
    """A setting that does not exist is named; reading it gives nothing."""
    assert sysctl.read("net.canet.nothing") is None
    with pytest.raises(NetworkError, match=r"sysctl net\.canet\.nothing: No such file or directory"):
        sysctl.write("net.canet.nothing", "1")
    assert os.path.exists(sysctl.path_of("net.ipv4.ip_forward"))  # noqa: PTH110
