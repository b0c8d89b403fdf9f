"""Steps in the model: servers that come and go, networks that change, and who is found then."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from canet.harness.predict import Prediction, play, predict
from canet.netns.topology import Address
from canet.scenarios.model import Client, Probe, Scenario, Server, Step

from .nets import host, iocs, lan, pair, scenario

PROBES = tuple(Probe(name=name, host="client", to=IPv4Address("10.1.0.255")) for name in ("before", "after"))


def step(do: str, target: str | None = None, **args: Any) -> Step:
    return Step(do=do, target=target, args=args)


def played(*steps: Step, subject: str = "asyncio", **changes: Any) -> Prediction:
    """Play steps between a client and two servers on a host."""
    base = scenario(changes.pop("topology", pair()), *changes.pop("servers", iocs(2)))
    return play(replace(base, probes=PROBES, steps=steps, **changes), subject)


def answered(told: Prediction, name: str = "after") -> str:
    return str(told.probe(name).answered)


def test_without_steps_it_is_the_prediction() -> None:
    """Nothing happens, so nothing is played."""
    plain: Scenario = scenario(pair(), *iocs(2))
    told = play(plain)

    assert replace(told, standings=()) == predict(plain)
    assert [(each.name, each.starts, set(each.sockets)) for each in told.standings] == [
        ("ioc1", True, {"0.0.0.0:5064"}),
        ("ioc2", True, {"0.0.0.0:5064"}),
    ]


def test_who_has_ended_answers_no_more() -> None:
    """A server that was killed is gone, and back when it is started."""
    told = played(step("probe", "before"), step("kill", "ioc1"), step("probe", "after"))
    assert answered(told, "before") == "all of ioc1, ioc2"
    assert answered(told) == "only ioc2"

    told = played(step("kill", "ioc1"), step("start", "ioc1"), step("probe", "after"))
    assert answered(told) == "all of ioc1, ioc2"


def test_who_restarts_is_bound_last() -> None:
    """With SO_REUSEADDR alone the last one gets the unicasts."""
    unicast = (Probe(name="after", host="client", to=IPv4Address("10.1.0.2")),)
    servers = iocs(2, reuse="addr")
    base = replace(scenario(pair(), *servers), probes=unicast)

    assert answered(play(replace(base, steps=(step("probe", "after"),)))) == "only ioc2"
    assert answered(play(replace(base, steps=(step("restart", "ioc1"), step("probe", "after"))))) == "only ioc1"


def test_a_server_that_is_started_later_finds_its_port_taken() -> None:
    """It starts when its step comes, and takes another TCP port then."""
    late = replace(iocs(2)[1], autostart=False)
    told = played(step("probe", "before"), step("start", "ioc2"), step("probe", "after"), servers=(iocs(1)[0], late))

    assert answered(told, "before") == "only ioc1"
    assert answered(told) == "all of ioc1, ioc2"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"set": "cut", "host": "ioc", "interface": "eth0", "direction": "in"}, "none"),
        ({"set": "down", "host": "ioc", "interface": "eth0"}, "none"),
        ({"set": "unplug", "host": "ioc", "interface": "eth0"}, "none"),
        ({"set": "sysctl", "host": "ioc", "name": "net.ipv4.ip_forward", "value": "1"}, "all of ioc1, ioc2"),
    ],
)
def test_faults_change_the_network_under_the_servers(fault: dict[str, str], expected: str) -> None:
    """What came through before comes through no more, or as ever; undone, it does again."""
    assert answered(played(step("fault", **fault), step("probe", "after"))) == expected

    back = {"cut": "heal", "down": "up", "unplug": "plug"}.get(fault["set"])
    if back is not None:
        healed = step("fault", set=back, host="ioc", interface="eth0")
        assert answered(played(step("fault", **fault), healed, step("probe", "after"))) == "all of ioc1, ioc2"


OTHER = Address.parse("10.1.0.9/24")
LISTED = {"EPICS_CAS_INTF_ADDR_LIST": "10.1.0.2 10.1.0.9"}


@pytest.mark.parametrize(("subject", "expected"), [("asyncio", "only ioc1"), ("rsrv", "none")])
def test_canet_follows_its_interfaces_and_others_do_not(subject: str, expected: str) -> None:
    """An address that comes after the start is served by who looks again."""
    unicast = (Probe(name="after", host="client", to=IPv4Address("10.1.0.9")),)
    base = replace(scenario(pair(), *iocs(1, env=LISTED)), probes=unicast)
    steps = (step("fault", set="add-address", host="ioc", interface="eth0", address=OTHER), step("probe", "after"))

    assert answered(play(replace(base, steps=steps), subject)) == expected


def test_who_follows_closes_what_has_no_address_any_more() -> None:
    """Its old address is gone, and nobody answers there; the other one is."""
    both = {"EPICS_CAS_INTF_ADDR_LIST": "10.1.0.2 10.1.0.9"}
    topology = lan(host("client", "10.1.0.1/24"), host("ioc", "10.1.0.2/24"))
    add = step("fault", set="add-address", host="ioc", interface="eth0", address=OTHER)
    remove = step("fault", set="remove-address", host="ioc", interface="eth0", address=Address.parse("10.1.0.2/24"))
    probes = tuple(
        Probe(name=name, host="client", to=IPv4Address(to)) for name, to in (("old", "10.1.0.2"), ("new", "10.1.0.9"))
    )
    steps = (add, remove, step("probe", "old"), step("probe", "new"))

    told = play(replace(scenario(topology, *iocs(1, env=both)), probes=probes, steps=steps))

    assert answered(told, "old") == "none"
    assert answered(told, "new") == "only ioc1"


def test_what_the_model_does_not_know_is_said() -> None:
    """A paused server, a fault that heals by the clock, a burst of searches, and one name for two moments."""
    cut = step("fault", set="cut", host="ioc", interface="eth0", heal_after=1.0)
    for steps in (
        (step("pause", "ioc1"),),
        (cut,),
        (step("flood", host="client", address="10.1.0.255", burst=True),),
        (step("tcp", host="client", address="10.1.0.2", count=2000, payload=""),),
        (step("probe", "after"),),
    ):
        assert not played(*steps, step("probe", "after")).probe("after").modelled

    assert played(step("pause", "ioc1"), step("resume", "ioc1"), step("probe", "after")).probe("after").modelled


def test_beacons_are_heard_from_who_runs_and_from_where_it_looks() -> None:
    """A listener hears what has come since it listened last; an address that rsrv does not know sends none."""
    hears = step("beacons", host="client", label="heard")
    add = step("fault", set="add-address", host="ioc", interface="eth1", address=Address.parse("10.2.0.2/24"))
    topology = lan(
        host("client", "10.1.0.1/24", "10.2.0.1/24", segments=("lan", "far")),
        host("ioc", "10.1.0.2/24", "", segments=("lan", "far")),
    )
    for subject, sources in (("asyncio", {"10.1.0.2", "10.2.0.2"}), ("rsrv", {"10.1.0.2"})):
        told = played(hears, add, hears, subject=subject, topology=topology)
        first, second = told.hearings
        assert (set(first.may), first.some) == ({"10.1.0.2"}, True)
        assert set(second.may) == sources

    ended = played(hears, step("kill", "ioc1"), step("kill", "ioc2"), hears, hears).hearings
    assert [each.some for each in ended] == [True, False, False]
    assert ended[2].may == frozenset()


def test_a_client_that_stays_finds_its_pvs_or_never() -> None:
    """Its first circuits come at once, or not at all."""
    watch, wait = step("watch", "libca"), step("await", "libca", event="connected", label="found")
    assert [each.happens for each in played(watch, wait).happenings] == [True]

    nowhere = (Client(name="libca", host="client", env={"EPICS_CA_AUTO_ADDR_LIST": "NO"}),)
    assert [each.happens for each in played(watch, wait, clients=nowhere).happenings] == [False]

    (echo,) = played(watch, step("await", "libca", event="echo", label="echo")).happenings
    assert not echo.modelled


def test_servers_of_the_wrong_kind_end_too() -> None:
    """A relay that ends repeats no more."""
    relay = Server(name="relay", host="router", implementation="relay")
    topology = lan(
        host("client", "10.1.0.1/24"),
        host("router", "10.1.0.254/24", "10.2.0.254/24", segments=("lan", "far")),
        host("ioc", "10.2.0.2/24", segments=("far",)),
    )
    told = played(
        step("probe", "before"),
        step("kill", "relay"),
        step("probe", "after"),
        topology=topology,
        servers=(relay, *iocs(1)),
    )
    assert str(told.probe("before").received) == "only ioc1"
    assert str(told.probe("after").received) == "none"
