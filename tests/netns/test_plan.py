"""Topologies become steps, without a kernel."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.netns import Address, Host, Interface, Segment, Topology, TopologyError
from canet.netns.plan import WIRE, AddAddress, MakeCable, MakeMacvlan, MakeNamespace, SetLink, plan
from tests.netns.lan import host, lan, with_interface


def test_namespaces_come_first_and_the_wire_before_all() -> None:
    """Steps find the namespaces that they need."""
    steps = plan(lan()).steps

    assert [each.namespace for each in steps[:3]] == [WIRE, "client", "server"]
    assert all(isinstance(each, MakeNamespace) for each in steps[:3])
    assert not any(isinstance(each, MakeNamespace) for each in steps[3:])


def test_ports_tell_their_host() -> None:
    """The index of each bridge port leads to host and interface."""
    assert sorted(plan(lan()).ports.values()) == [("client", "eth0"), ("server", "eth0")]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.sampled_from(["a", "b"]), max_size=4), min_size=1, max_size=6))
def test_no_two_interfaces_share_an_index_or_a_mac(shape: list[list[str]]) -> None:
    """Indexes and MAC addresses are unique in the whole network, whatever it looks like."""
    topology = Topology(
        segments=(Segment(name="a"), Segment(name="b")),
        hosts=tuple(
            Host(
                name=f"h{number}",
                interfaces=tuple(Interface(name=f"e{index}", segment=name) for index, name in enumerate(segments)),
            )
            for number, segments in enumerate(shape)
        ),
    )
    cables = [step for step in plan(topology).steps if isinstance(step, MakeCable)]
    indexes = [index for step in cables for index in (step.index, step.far_index)]
    macs = [mac for step in cables for mac in (step.mac, step.far_mac)]

    assert len(cables) == sum(map(len, shape))
    assert len(set(indexes)) == len(indexes)
    assert len(set(macs)) == len(macs)


def test_a_direct_cable_is_made_once() -> None:
    """Two interfaces that link to each other are one cable."""
    topology = Topology(
        hosts=(
            Host(name="a", interfaces=(Interface(name="x", link="b.y", mtu=1400),)),
            Host(name="b", interfaces=(Interface(name="y", link="a.x"),)),
        )
    )
    [cable] = [step for step in plan(topology).steps if isinstance(step, MakeCable)]

    assert (cable.namespace, cable.name, cable.mtu) == ("a", "x", 1400)
    assert (cable.far_namespace, cable.far_name, cable.far_mtu) == ("b", "y", 1500)
    assert cable.bridge is None


def test_a_macvlan_comes_after_what_carries_it() -> None:
    """A macvlan's steps follow those of the cables."""
    topology = lan(
        host("server", "10.1.0.2/24"),
        Host(name="box", interfaces=(Interface(name="eth0", parent="server.eth0"),)),
    )
    steps = plan(topology).steps
    kinds = [type(step) for step in steps]

    assert kinds.index(MakeMacvlan) > kinds.index(MakeCable)
    assert any(isinstance(step, SetLink) and step.namespace == "box" and step.name == "eth0" for step in steps)


def test_the_broadcast_attribute_is_as_described() -> None:
    """An address without broadcast address stays without."""
    topology = with_interface(lan(), "client", addresses=(Address.parse("10.1.0.1/24 brd none"),))
    [address] = [step for step in plan(topology).steps if isinstance(step, AddAddress) and step.namespace == "client"]

    assert address.address.broadcast is None


def test_mistakes_make_no_plan() -> None:
    """Planning refuses what cannot be built."""
    with pytest.raises(TopologyError, match="segment 'x' is not declared"):
        plan(with_interface(lan(), "client", segment="x"))


def test_a_plan_prints_one_step_a_line() -> None:
    """A plan is for reading, too."""
    made = plan(lan())

    assert len(str(made).splitlines()) == len(made.steps)
