"""Causes in steps, files and settings: repeaters, beacons, load, rights, gateways that find each other."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from canet.harness.diagnosis.diagnose import diagnose
from canet.netns.topology import Route, Rule
from canet.scenarios.model import Client, Probe, Scenario, Server, Step
from canet.server.protocol.commands import Command
from canet.server.protocol.message import Message
from tests.harness.predict.nets import host, iocs, lan, pair, scenario

ACF = "HAG(desks) { desk }\nASG(DEFAULT) { RULE(1, READ) RULE(1, WRITE) { HAG(desks) } }\n"


def with_steps(*steps: Step, **changes: object) -> Scenario:
    """Return a client and a server on one link, and what happens there."""
    return replace(scenario(pair(), *iocs(1)), steps=steps, **changes)  # type: ignore[arg-type]  # fields of Scenario


def register() -> Step:
    """Return a step in which a client registers with its host's repeater."""
    return Step(do="register", args={"host": "client", "count": 1})


def test_repeater_ends_with_its_client() -> None:
    """Who registered with a repeater in a client that leaves hears nothing; a service of its own heals it."""
    owner = Client(name="libca", host="client", options={"repeater": True})
    whole = with_steps(Step(do="watch", target="libca"), register(), Step(do="leave", target="libca"), clients=(owner,))
    found = diagnose(whole)

    assert found.causes[0].kind == "repeater-thread"
    assert diagnose(found.causes[0].healed).healthy
    assert "udpiiu.cpp" in found.causes[0].evidence[0].source


def test_client_that_registers_again_is_well() -> None:
    """A new repeater knows only those who ask it."""
    repeater = Server(name="repeater", host="client", implementation="repeater")
    steps = (register(), Step(do="restart", target="repeater"))
    whole = with_steps(*steps, servers=(*iocs(1), repeater))

    assert diagnose(whole).causes[0].kind == "repeater-restarted"
    assert diagnose(replace(whole, steps=(*steps, register()))).healthy


def test_pause_longer_than_an_echo_waits() -> None:
    """EPICS_CA_CONN_TMO and five seconds more are too long; less is not noticed."""

    def paused(seconds: float) -> Scenario:
        return with_steps(
            Step(do="watch", target="libca"),
            Step(do="pause", target="ioc1"),
            Step(do="await", target="libca", args={"event": "disconnected", "seconds": seconds}),
            Step(do="resume", target="ioc1"),
            clients=(Client(name="libca", host="client", env={"EPICS_CA_CONN_TMO": "1"}),),
        )

    assert diagnose(paused(7.0)).causes[0].kind == "unresponsive"
    assert diagnose(paused(5.0)).healthy


def test_storm_fills_the_buffer_of_a_busy_server_only() -> None:
    """The same flood is harmless while the server reads."""
    flood = Step(do="flood", args={"host": "client", "address": "10.1.0.255", "count": 60000})
    pause, resume = Step(do="pause", target="ioc1"), Step(do="resume", target="ioc1")

    assert diagnose(with_steps(pause, flood, resume)).causes[0].kind == "storm"
    assert diagnose(with_steps(pause, resume, flood)).healthy


def test_rights_by_the_name_that_a_client_sends() -> None:
    """A host that only claims a name may write; compared by address, it may not."""
    hosts = host("ioc", "10.1.0.2/24"), host("desk", "10.1.0.1/24"), host("guest", "10.1.0.9/24")
    server = replace(hosts[0], files=(("/etc/hosts", "10.1.0.1 desk\n"), ("/site.acf", ACF)))
    guest = replace(hosts[2], hostname="desk")
    net = lan(server, hosts[1], guest)
    ioc = replace(iocs(1)[0], options={"acf": "/site.acf"})
    clients = tuple(Client(name=each, host=each, options={"access": True}) for each in ("desk", "guest"))
    whole = replace(scenario(net, ioc), clients=clients)
    checked = replace(whole, servers=(replace(ioc, options={"acf": "/site.acf", "check_address": True}),))

    assert [(each.kind, each.subject) for each in diagnose(whole).symptoms] == [("impostor", "guest")]
    assert diagnose(whole).causes[0].kind == "rights-by-name"
    assert diagnose(checked).healthy


def test_rights_behind_translation() -> None:
    """A server that compares addresses sees that of the router which translates; without it all is well."""
    everywhere = IPv4Network("0.0.0.0/0")
    desk = host("desk", "10.1.0.1/24", routes=(Route(to=everywhere, via=IPv4Address("10.1.0.254")),))
    router = host(
        "router",
        "10.1.0.254/24",
        "10.2.0.254/24",
        segments=("lan", "far"),
        sysctls=(("net.ipv4.ip_forward", "1"),),
        rules=(Rule(hook="postrouting", oif="eth1", masquerade=True),),
    )
    server = host(
        "ioc",
        "10.2.0.2/24",
        segments=("far",),
        routes=(Route(to=everywhere, via=IPv4Address("10.2.0.254")),),
        files=(("/etc/hosts", "10.1.0.1 desk\n"), ("/site.acf", ACF)),
    )
    ioc = replace(iocs(1)[0], options={"acf": "/site.acf", "check_address": True})
    env = {"EPICS_CA_ADDR_LIST": "10.2.0.2", "EPICS_CA_AUTO_ADDR_LIST": "NO"}
    client = Client(name="desk", host="desk", env=env, options={"access": True})
    found = diagnose(replace(scenario(lan(desk, router, server), ioc), clients=(client,)))

    assert [each.kind for each in found.symptoms] == ["refused"]
    assert found.causes[0].kind == "rights-translated"
    assert diagnose(found.causes[0].healed).healthy


def test_gateways_that_find_each_other() -> None:
    """Two gateways in opposite directions go round, one does not."""
    gateways = tuple(
        Server(
            name=name,
            host=name,
            implementation="gateway",
            layout="rsrv",
            env={"EPICS_CA_ADDR_LIST": "10.1.0.255", "EPICS_CA_AUTO_ADDR_LIST": "NO"},
        )
        for name in ("first", "second")
    )
    net = lan(host("client", "10.1.0.1/24"), host("ioc", "10.1.0.2/24"), *(
        host(each.name, f"10.1.0.{n}/24") for n, each in enumerate(gateways, 8)
    ))  # fmt: skip
    whole = scenario(net, *iocs(1), *gateways)

    assert {"loop"} <= {each.kind for each in diagnose(whole).symptoms}
    assert "loop" not in {each.kind for each in diagnose(scenario(net, *iocs(1), gateways[0])).symptoms}


def test_server_too_old_for_a_variable() -> None:
    """It serves where it should not; a newer version heals it, and so does not to set the variable."""
    env = {"EPICS_CAS_INTF_ADDR_LIST": "10.2.0.2"}
    net = lan(host("client", "10.1.0.1/24"), host("ioc", "10.1.0.2/24", "10.2.0.2/24", segments=("lan", "far")))
    old = scenario(net, *iocs(1, env=env, options={"version": "3.15.3"}))
    found = diagnose(old)

    assert [each.kind for each in found.symptoms] == ["unshielded"]
    assert found.causes[0].kind == "old-version"
    assert diagnose(scenario(net, *iocs(1, options={"version": "3.15.3"}))).healthy


def test_ignored_addresses() -> None:
    """A list that works is a cause, one that nobody obeys another, and an entry that is nobody's a third."""
    listed = iocs(1, env={"EPICS_CAS_IGNORE_ADDR_LIST": "10.1.0.1"})
    nobody = iocs(1, env={"EPICS_CAS_IGNORE_ADDR_LIST": "10.1.0.77"})

    assert diagnose(scenario(pair(), *listed)).healthy  # it is what the server's owner wants
    assert diagnose(scenario(pair(), *listed), "caproto-asyncio").causes[0].kind == "ignore-fault"
    assert diagnose(scenario(pair(), *nobody)).causes[0].kind == "ignore-stray"


def test_searches_with_one_number() -> None:
    """Two names under one number from one port are a fault; from two ports they are not."""

    def probes(*ports: int) -> tuple[Probe, ...]:
        return tuple(
            Probe(
                name=name,
                host="client",
                to=IPv4Address("10.1.0.255"),
                source_port=port,
                payload=Message(Command.SEARCH, 5, 13, 7, 7, name.encode()).pack().hex(),
            )
            for name, port in zip(("one", "two"), ports, strict=True)
        )

    whole = replace(scenario(pair(), *iocs(1)), probes=probes(40000, 40000))
    found = diagnose(whole)

    assert found.causes[0].kind == "same-number"
    assert diagnose(found.causes[0].healed).healthy
    assert diagnose(replace(whole, probes=probes(40000, 40001))).healthy


def test_beacons_to_another_port() -> None:
    """A list of beacon destinations may name a port where nobody listens."""
    env = {"EPICS_CAS_BEACON_ADDR_LIST": "10.1.0.255:5066", "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO"}
    whole = replace(
        scenario(pair(), *iocs(1, env=env)), steps=(Step(do="beacons", target="client", args={"host": "client"}),)
    )

    assert diagnose(whole).causes[0].kind == "beacon-port"
