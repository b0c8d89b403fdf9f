"""The way of a search through networks that are right and wrong."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal

import pytest

from canet.harness.predict import ProbePrediction, predict
from canet.netns.topology import Port, Route, Rule, Topology
from canet.scenarios.model import Outcome, Probe, Scenario

from .nets import ESTABLISHED, host, iocs, lan, pair, scenario


def probing(topology: Topology, to: str, *, servers: int = 1, client: str = "client") -> Scenario:
    """Return a scenario in which ``client`` sends one search to an address."""
    base = scenario(topology, *iocs(servers), client=client)
    return replace(base, clients=(), probes=(Probe(name="p", host=client, to=IPv4Address(to)),))


def told(topology: Topology, to: str, *, servers: int = 1, client: str = "client") -> ProbePrediction:
    return predict(probing(topology, to, servers=servers, client=client)).probe("p")


def test_broadcast_reaches_every_server_unicast_one() -> None:
    """The statements about broadcasts and unicasts on one host."""
    assert str(told(pair(), "10.1.0.255", servers=3).answered) == "all of ioc1, ioc2, ioc3"
    assert str(told(pair(), "10.1.0.2", servers=3).answered) == "one of ioc1, ioc2, ioc3, spread"


def test_limited_broadcast_needs_a_route() -> None:
    """Without a default route sendto fails, with one it arrives."""
    lonely = told(pair(), "255.255.255.255")
    with_route = lan(
        host("client", "10.1.0.1/24", routes=(Route(to=IPv4Network("0.0.0.0/0"), dev="eth0"),)),
        host("ioc", "10.1.0.2/24"),
    )

    assert lonely.error == "ENETUNREACH"
    assert "route-limited" in {each.rule for each in lonely.reasons}
    assert str(told(with_route, "255.255.255.255").answered) == "only ioc1"


@pytest.mark.parametrize(("mine", "theirs"), [("10.3.0.1/16", "10.3.0.2/24"), ("10.3.0.1/24", "10.3.0.2/16")])
def test_masks_that_differ_break_broadcasts_and_not_unicasts(mine: str, theirs: str) -> None:
    """A frame to the broadcast address of one mask is none for the other."""
    topology = lan(host("client", mine), host("ioc", theirs))
    broadcast = topology.host("client").addresses[0].network.broadcast_address

    assert told(topology, str(broadcast)).received == Outcome("none")
    assert str(told(topology, "10.3.0.2").answered) == "only ioc1"


def test_stateful_firewall_knows_replies_to_unicasts_only() -> None:
    """The reply to a broadcast comes from an address that nothing was sent to."""
    guarded = host("client", "10.1.0.1/24", rules=ESTABLISHED, policies=(("input", "drop"),))
    topology = lan(guarded, host("ioc", "10.1.0.2/24"))

    assert told(topology, "10.1.0.255").answered == Outcome("none")
    assert str(told(topology, "10.1.0.255").received) == "only ioc1"
    assert str(told(topology, "10.1.0.2").answered) == "only ioc1"


def test_unicast_opens_the_firewall_for_the_broadcast_reply() -> None:
    """One unicast from the same socket makes the broadcast's reply pass, to everybody's confusion."""
    guarded = host("client", "10.1.0.1/24", rules=ESTABLISHED, policies=(("input", "drop"),))
    env = {"EPICS_CA_ADDR_LIST": "10.1.0.2"}
    both = scenario(lan(guarded, host("ioc", "10.1.0.2/24")), *iocs(1), env=env)

    assert str(predict(both).client("libca").reads) == "only ioc1:x"
    assert predict(replace(both, clients=(replace(both.clients[0], env={}),))).client("libca").reads == Outcome("none")


def routed(**router: Any) -> Topology:
    """Return client and server behind a router."""
    default = (Route(to=IPv4Network("0.0.0.0/0"), via=IPv4Address("10.1.0.254")),)
    back = (Route(to=IPv4Network("0.0.0.0/0"), via=IPv4Address("10.2.0.254")),)
    sysctls = (("net.ipv4.ip_forward", "1"), *router.pop("sysctls", ()))
    return lan(
        host("client", "10.1.0.1/24", segments=("a",), routes=default),
        host("router", "10.1.0.254/24", "10.2.0.254/24", segments=("a", "b"), sysctls=sysctls, **router),
        host("ioc", "10.2.0.2/24", segments=("b",), routes=back),
    )


def test_directed_broadcast_needs_bc_forwarding() -> None:
    """A router forwards a directed broadcast only where ``all`` and the interface allow it."""
    keys = [f"net.ipv4.conf.{each}.bc_forwarding" for each in ("all", "eth0", "eth1")]

    assert told(routed(), "10.2.0.255").received == Outcome("none")
    assert told(routed(sysctls=((keys[0], "1"),)), "10.2.0.255").received == Outcome("none")
    assert str(told(routed(sysctls=tuple((each, "1") for each in keys)), "10.2.0.255").answered) == "only ioc1"
    assert str(told(routed(), "10.2.0.2").answered) == "only ioc1"


@pytest.mark.parametrize(("strictness", "heard"), [("0", True), ("1", False), ("2", True)])
def test_reverse_path_filter(strictness: str, heard: bool) -> None:
    """A search by another interface than the way back is dropped by rp_filter=1 alone."""
    default = (Route(to=IPv4Network("0.0.0.0/0"), via=IPv4Address("10.9.0.254")),)
    topology = lan(
        host("client", "10.9.0.1/24", segments=("office",), routes=default),
        host(
            "router",
            "10.9.0.254/24",
            "10.1.0.254/24",
            "10.2.0.254/24",
            segments=("office", "one", "two"),
            sysctls=(("net.ipv4.ip_forward", "1"),),
        ),
        host(
            "ioc",
            "10.1.0.2/24",
            "10.2.0.2/24",
            segments=("one", "two"),
            routes=(Route(to=IPv4Network("0.0.0.0/0"), via=IPv4Address("10.2.0.254")),),
            sysctls=(("net.ipv4.conf.all.rp_filter", strictness),),
        ),
    )
    found = told(topology, "10.1.0.2")

    assert heard == (found.received != Outcome("none"))
    if heard:
        assert found.reply_from == ("10.2.0.2:5064",)


def test_nat_to_broadcast_serves_remote_clients_only() -> None:
    """PREROUTING turns unicasts from outside into broadcasts; the host's own do not pass it."""
    rule = Rule(
        hook="prerouting",
        proto="udp",
        daddr=IPv4Network("10.1.0.2"),
        dport=(5064, 5064),
        dnat=IPv4Address("10.1.0.255"),
    )
    topology = pair(rules=(rule,))

    assert str(told(topology, "10.1.0.2", servers=3).answered) == "all of ioc1, ioc2, ioc3"
    assert told(topology, "10.1.0.2", servers=3, client="ioc").answered.kind == "one"


def test_output_drop_is_an_error_of_the_sender() -> None:
    """A rule in OUTPUT makes sendto fail with EPERM."""
    closed = host("client", "10.1.0.1/24", rules=(Rule(hook="output", proto="udp", verdict="drop"),))

    assert told(lan(closed, host("ioc", "10.1.0.2/24")), "10.1.0.2").error == "EPERM"


@pytest.mark.parametrize(("port", "rule"), [(Port(bcast_flood=False), "bridge-no-flood"), (Port(), "")])
def test_switch_port_that_eats_broadcasts(port: Port, rule: str) -> None:
    """A port without broadcast flooding hides its host from broadcasts, and the reason is told."""
    topology = pair()
    ioc = topology.host("ioc")
    card = replace(ioc.interfaces[0], port=port)
    changed = lan(topology.host("client"), replace(ioc, interfaces=(card,)))
    found = told(changed, "10.1.0.255")

    assert (found.received == Outcome("none")) == bool(rule)
    assert not rule or rule in {each.rule for each in found.reasons}


def test_rule_with_a_chance_makes_it_luck() -> None:
    """A rule that drops a share of packets leaves the rest to luck, and says so."""
    lossy = pair(rules=(Rule(hook="input", proto="udp", dport=(5064, 5064), chance=0.2, verdict="drop"),))
    found = told(lossy, "10.1.0.255")

    assert str(found.received) == "some of ioc1"
    assert found.replies == (0, 1)
    assert "firewall-chance" in {each.rule for each in found.reasons}


@pytest.mark.parametrize(("hook", "large"), [("input", "only ioc1"), ("forward", "none")])
def test_later_fragments_match_no_port(hook: Literal["input", "forward"], large: str) -> None:
    """A router's rule about a port lets only the first fragment of a large search through; a host joins them before."""
    opened = (Rule(hook=hook, proto="udp", dport=(5064, 5064), verdict="accept"),)
    walls: dict[str, Any] = {"rules": opened, "policies": ((hook, "drop"),)}
    forward = {"sysctls": (("net.ipv4.ip_forward", "1"),)}
    topology = lan(
        host("client", "10.1.0.1/24", routes=(Route(to=IPv4Network("10.2.0.0/24"), via=IPv4Address("10.1.0.254")),)),
        host(
            "router",
            "10.1.0.254/24",
            "10.2.0.254/24",
            segments=("lan", "far"),
            **forward,
            **(walls if hook == "forward" else {}),
        ),
        host(
            "ioc",
            "10.2.0.2/24",
            segments=("far",),
            routes=(Route(to=IPv4Network("10.1.0.0/24"), via=IPv4Address("10.2.0.254")),),
            **(walls if hook == "input" else {}),
        ),
    )
    small = topology.host("client")
    narrow = replace(small, interfaces=(replace(small.interfaces[0], mtu=576),))
    changed = replace(topology, hosts=(narrow, *topology.hosts[1:]))
    names = tuple(f"a:long:name:of:a:pv:number:{n}" for n in range(20))
    probe = Probe(name="p", host="client", to=IPv4Address("10.2.0.2"), pvs=names)

    assert str(told(changed, "10.2.0.2").received) == "only ioc1"
    assert str(predict(replace(probing(changed, "10.2.0.2"), probes=(probe,))).probe("p").received) == large
