"""Small networks that several tests share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canet.netns.topology import Address, Host, Interface, Rule, Segment, Topology
from canet.scenarios.model import Client, Scenario, Server

Value = tuple[tuple[str, str], ...]


def host(name: str, *addresses: str, segments: tuple[str, ...] = ("lan",), **rest: Any) -> Host:
    """Return a host with one interface on each segment, ``addresses`` one for each; "" for none."""
    interfaces = tuple(
        Interface(name=f"eth{n}", segment=segment, addresses=(Address.parse(text),) if text else ())
        for n, (segment, text) in enumerate(zip(segments, addresses, strict=True))
    )
    return Host(name=name, interfaces=interfaces, **rest)


def lan(*hosts: Host) -> Topology:
    """Return hosts with the segments that they are on."""
    names = dict.fromkeys(each.segment for one in hosts for each in one.interfaces if each.segment)
    return Topology(hosts=hosts, segments=tuple(Segment(name=each) for each in names))


def pair(**server: Any) -> Topology:
    """Return a client host 10.1.0.1 and a server host 10.1.0.2 on one segment; keywords are fields of the latter."""
    return lan(host("client", "10.1.0.1/24"), host("ioc", "10.1.0.2/24", **server))


def scenario(
    topology: Topology,
    *servers: Server,
    env: Mapping[str, str] | None = None,
    implementation: str = "libca",
    client: str = "client",
) -> Scenario:
    """Return a scenario with one client, which has this environment."""
    one = Client(name="libca", host=client, env=env or {}, implementation=implementation)
    return Scenario(id="t/t", title="t", story="", topology=topology, servers=servers, clients=(one,))


def iocs(count: int, **rest: Any) -> tuple[Server, ...]:
    """Return servers on host ``ioc``, each with one PV of its name."""
    return tuple(Server(name=f"ioc{n}", host="ioc", pvs={f"ioc{n}:x": 1.0}, **rest) for n in range(1, count + 1))


ESTABLISHED = (Rule(hook="input", ct=("established", "related"), verdict="accept"),)
