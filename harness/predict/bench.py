"""How fast predictions are: ``python -m canet.harness.predict.bench``.

Each prediction is of another scenario value (the client's list and the servers' bindings differ), so nothing but the
compiled network is remembered between two of them.
"""

from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from itertools import cycle
from timeit import timeit

from canet.harness.predict.predict import predict
from canet.netns.topology import Address, Host, Interface, Route, Rule, Segment, Topology
from canet.scenarios.model import Client, Probe, Scenario, Server

TIMES = 10_000
LISTS = ("10.1.0.255", "10.1.0.2", "10.2.0.2", "10.2.0.255", "127.255.255.255", "10.1.0.2 10.1.0.3 10.2.0.2")
BINDINGS = ("", "10.1.0.2", "10.1.0.255", "10.1.0.2 10.1.0.255")


def six_hosts() -> Scenario:
    """Return a scenario of six hosts: two segments, a router, a firewall, five servers, a client and a probe."""

    def host(name: str, *interfaces: tuple[str, str], gateway: str | None = None, rules: tuple[Rule, ...] = ()) -> Host:
        return Host(
            name=name,
            interfaces=tuple(
                Interface(name=f"eth{n}", segment=segment, addresses=(Address.parse(text),))
                for n, (segment, text) in enumerate(interfaces)
            ),
            routes=() if gateway is None else (Route(to=IPv4Network("0.0.0.0/0"), via=IPv4Address(gateway)),),
            rules=rules,
            sysctls=(("net.ipv4.ip_forward", "1"),) if len(interfaces) > 1 else (),
        )

    topology = Topology(
        hosts=(
            host("client", ("a", "10.1.0.1/24"), gateway="10.1.0.254"),
            host("ioc1", ("a", "10.1.0.2/24"), gateway="10.1.0.254"),
            host("ioc2", ("a", "10.1.0.3/24"), rules=(Rule(hook="input", ct=("established",), verdict="accept"),)),
            host("router", ("a", "10.1.0.254/24"), ("b", "10.2.0.254/24")),
            host("ioc3", ("b", "10.2.0.2/24"), gateway="10.2.0.254"),
            host("ioc4", ("b", "10.2.0.3/24"), gateway="10.2.0.254"),
        ),
        segments=(Segment(name="a"), Segment(name="b")),
    )
    places = ("ioc1", "ioc1", "ioc2", "ioc3", "ioc4")
    servers = tuple(Server(name=f"s{n}", host=at, pvs={f"s{n}:x": 1.0}) for n, at in enumerate(places))
    return Scenario(
        id="bench/six_hosts",
        title="six hosts",
        story="",
        topology=topology,
        servers=servers,
        clients=(Client(name="libca", host="client"),),
        probes=(Probe(name="unicast", host="client", to=IPv4Address("10.1.0.2")),),
    )


def changed(scenario: Scenario, number: int) -> Scenario:
    """Return a neighbour of a scenario: another list for the client, another binding for the first server."""
    env = {"EPICS_CA_ADDR_LIST": LISTS[number % len(LISTS)], "EPICS_CA_AUTO_ADDR_LIST": "YNO"[number % 2] + "ES"}
    first = replace(scenario.servers[0], env={"EPICS_CAS_INTF_ADDR_LIST": BINDINGS[number % len(BINDINGS)]})
    return replace(
        scenario,
        servers=(first, *scenario.servers[1:]),
        clients=(replace(scenario.clients[0], env=env),),
    )


def main(times: int = TIMES) -> float:
    """Predict many times, print how long it took, and return the seconds."""
    scenario = six_hosts()
    variants = [changed(scenario, number) for number in range(24)]
    turns = cycle(variants)
    before = os.times()
    seconds = timeit(lambda: predict(next(turns), why=False), number=times)
    after = os.times()
    used = after.user + after.system - before.user - before.system
    each = used / times * 1e3
    print(f"{times} predictions of six hosts: {seconds:.2f} s, of the processor {used:.2f} s, {each:.2f} ms each")
    return seconds


if __name__ == "__main__":
    main()
