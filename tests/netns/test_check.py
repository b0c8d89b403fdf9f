"""Mistakes in topologies are found before anything is built."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from canet.netns import Address, Host, Impairment, Interface, Network, Route, Rule, Segment, Topology, TopologyError
from canet.netns.check import check
from tests.netns.lan import host, lan, with_interface


def test_a_sound_topology_has_no_problem() -> None:
    """Two hosts on a segment can be built."""
    assert check(lan()) == ()


def with_rule(**parts: Any) -> Topology:
    """Return a LAN whose server has one rule."""
    return lan(host("server", "10.1.0.2/24", rules=(Rule(**parts),)))


LINKED = Topology(
    hosts=(
        Host(name="a", interfaces=(Interface(name="x", link="b.y"),)),
        Host(name="b", interfaces=(Interface(name="y", link="a.z"),)),
    )
)


@pytest.mark.parametrize(
    ("topology", "where", "what"),
    [
        (with_interface(lan(), "client", segment="lam"), "host client interface eth0", "'lam' is not declared"),
        (with_interface(lan(), "client", segment=None), "host client interface eth0", "0 of segment, link and parent"),
        (with_interface(lan(), "client", name="lo"), "host client interface lo", "1 to 15 characters"),
        (with_interface(lan(), "client", name="a" * 16), "host client interface", "1 to 15 characters"),
        (with_interface(lan(), "client", mac="02:00"), "host client interface eth0", "not a MAC address"),
        (with_interface(lan(), "client", mac="01:00:00:00:00:01"), "host client interface eth0", "group address"),
        (with_interface(lan(), "client", mtu=20), "host client interface eth0", "MTU 20"),
        (with_interface(lan(), "client", parent="x.y", segment=None), "host client", "parent 'x.y' does not exist"),
        (with_interface(lan(), "client", link="server.eth9", segment=None), "host client", "does not exist"),
        (with_interface(lan(), "client", impairments=(Impairment(loss=2),)), "host client", "fraction of 0 to 1"),
        (with_interface(lan(), "client", impairments=(Impairment(delay=-1),)), "host client", "negative"),
        (LINKED, "host a interface x", "b.y does not link back"),
        (lan(host("a", "10.1.0.1/24"), host("a", "10.1.0.2/24")), "host a", "2 hosts have this name"),
        (lan(host("a b", "10.1.0.1/24")), "host 'a b'", "other characters"),
        (lan(host("a", "10.1.0.1/24"), host("b", "10.1.0.1/24")), "host b interface eth0", "already on host a"),
        (Topology(segments=(Segment(name="lan"), Segment(name="lan"))), "segment lan", "2 segments have this name"),
        (with_rule(hook="input"), "host server rule 1", "no action"),
        (with_rule(hook="input", verdict="drop", masquerade=True), "host server rule 1", "verdict and masquerade"),
        (with_rule(hook="input", dnat=IPv4Address("10.1.0.9")), "host server rule 1", "dnat in input"),
        (with_rule(hook="prerouting", verdict="reject"), "host server rule 1", "reject in prerouting"),
        (with_rule(hook="input", verdict="drop", dport=(1, 2)), "host server rule 1", "ports without a protocol"),
        (with_rule(hook="input", verdict="drop", proto="udp", dport=(2, 1)), "host server rule 1", "port range 2-1"),
        (with_rule(hook="input", verdict="drop", uid=1), "host server rule 1", "uid in input"),
        (with_rule(hook="input", verdict="drop", chance=1.5), "host server rule 1", "chance 1.5"),
        (with_rule(hook="input", verdict="drop", oif="eth0"), "host server rule 1", "oif is not known in input"),
        (with_rule(hook="input", verdict="drop", iif="eth1"), "host server rule 1", "no interface 'eth1'"),
        (lan(host("a", "10.1.0.1/24", sysctls=(("kernel.pid_max", "1"),))), "host a sysctl", "below net."),
        (lan(host("a", "10.1.0.1/24", files=(("etc/hosts", ""),))), "host a file", "not an absolute"),
        (lan(host("a", "10.1.0.1/24", policies=(("prerouting", "drop"),))), "host a policy", "has no policy"),
        (
            lan(host("a", "10.1.0.1/24", routes=(Route(to=IPv4Network("0.0.0.0/0")),))),
            "host a route 0.0.0.0/0",
            "leads nowhere",
        ),
        (
            lan(host("a", "10.1.0.1/24", routes=(Route(to=IPv4Network("0.0.0.0/0"), dev="eth1"),))),
            "host a route 0.0.0.0/0",
            "no interface 'eth1'",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(topology: Topology, where: str, what: str) -> None:
    """Each problem says where it is, what is wrong, and what to do."""
    problems = check(topology)

    assert any(each.where.startswith(where) and what in each.what and each.remedy for each in problems), problems


def test_the_nearest_name_is_offered() -> None:
    """A misspelt segment gets the spelling that was meant."""
    [problem] = check(with_interface(lan(), "client", segment="lann"))

    assert "did you mean 'lan'?" in problem.remedy


def test_an_address_twice_on_one_interface_is_refused() -> None:
    """The kernel would refuse the second."""
    twice = with_interface(lan(), "client", addresses=(Address.parse("10.1.0.1/24"), Address.parse("10.1.0.1/25")))

    assert any("given twice" in each.what for each in check(twice))


def test_nothing_is_built_from_mistakes() -> None:
    """All mistakes come in one error."""
    wrong = replace(lan(host("a", "10.1.0.1/24"), host("b", "10.1.0.1/24")), segments=())
    with pytest.raises(TopologyError) as caught:
        Network(wrong)

    assert len(caught.value.problems) == 2
