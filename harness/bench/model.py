"""Measure the model: ``python -m canet.harness.bench.model``.

Prints in one run, next to what is to be reached: how long a whole site with some mistakes in it takes to lint, and how
much memory; and how long predictions take, each of another scenario value, so that nothing but the compiled network is
remembered between two of them.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from itertools import cycle
from timeit import timeit
from typing import Any, Final

from canet.harness.bench.lab import WIDTH, line
from canet.harness.predict.predict import predict
from canet.harness.site.lint import lint
from canet.harness.site.site import read_site
from canet.netns.topology import Address, Host, Interface, Route, Rule, Segment, Topology
from canet.scenarios.model import Client, Probe, Scenario, Server

LISTS: Final = ("10.1.0.255", "10.1.0.2", "10.2.0.2", "10.2.0.255", "127.255.255.255", "10.1.0.2 10.1.0.3 10.2.0.2")
BINDINGS: Final = ("", "10.1.0.2", "10.1.0.255", "10.1.0.2 10.1.0.255")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=500, help="of the site (default 500)")
    parser.add_argument("--iocs", type=int, default=2000, help="of the site (default 2000)")
    parser.add_argument("--clients", type=int, default=200, help="of the site (default 200)")
    parser.add_argument("--predictions", type=int, default=10_000, help="default 10,000")
    options = parser.parse_args(arguments)
    # The site is first, because the peak of memory is the whole process's.
    document = site(options.hosts, options.iocs, options.clients)
    began = time.perf_counter()
    findings = lint(read_site(document, "site.toml"))
    seconds = time.perf_counter() - began
    what = f"a site of {options.hosts} hosts, {options.iocs} IOCs, {options.clients} clients, linted"
    print(line(what, seconds, 30.0))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'its peak of memory':<{WIDTH}} {peak:9.0f} MiB  goal 1024 MiB: {'reached' if peak <= 1024 else 'missed'}")
    counts = Counter(each.kind for each in findings)
    print(f"  found: {', '.join(f'{count} {kind}' for kind, count in counts.most_common())}")
    turns = cycle([changed(six_hosts(), number) for number in range(24)])
    times = options.predictions
    seconds = timeit(lambda: predict(next(turns), why=False), number=times)
    print(line(f"{times} predictions of six hosts", seconds, 10.0))


def site(hosts: int, iocs: int, clients: int) -> dict[str, Any]:
    """Return the document of a site: a segment for each fifty hosts, a router, and a mistake in every seventh client.

    Args:
        hosts: how many; each client has one of its own, IOCs share the others.
        iocs: how many; each serves one prefix.
        clients: how many; each wants PVs of ten IOCs of its own segment and of two others.
    """
    segments = max(1, hosts // 50)
    ours = hosts - 1
    first_ioc = min(clients, ours - 1)

    def place(number: int) -> tuple[int, int]:
        """Return segment and number on it."""
        return number % segments, number // segments + 1

    def host(number: int) -> dict[str, Any]:
        segment, rank = place(number)
        mask = 16 if number % 97 == 96 else 24  # a wrong one here and there
        table: dict[str, Any] = {
            "interfaces": {"eth0": {"segment": f"s{segment}", "addresses": [f"10.{segment}.0.{rank}/{mask}"]}},
            "routes": [{"to": "0.0.0.0/0", "via": f"10.{segment}.0.254"}],
        }
        if number % 41 == 40:  # a firewall that knows of the first server's port only
            table["policies"] = {"input": "drop"}
            table["rules"] = [
                {"hook": "input", "proto": proto, "dport": 5064, "verdict": "accept"} for proto in ("udp", "tcp")
            ]
        return table

    def ioc_host(number: int) -> int:
        return first_ioc + number % (ours - first_ioc)

    def client(number: int) -> dict[str, Any]:
        segment = place(number)[0]
        near = [each for each in range(iocs) if place(ioc_host(each))[0] == segment]
        far = [(number * 7 + each * 13) % iocs for each in range(2)]
        wanted = [near[(number + each) % len(near)] for each in range(min(10, len(near)))] + far
        others = " ".join("10.{}.0.{}".format(*place(ioc_host(each))) for each in far)
        env = {0: {}, 1: {"EPICS_CA_AUTO_ADDR_LIST": "No"}, 2: {"EPICS_CA_ADDR_LIST": others.replace(" ", ",")}}
        wrong: Mapping[str, str] = env[number // 7 % 3] if number % 7 == 6 else {"EPICS_CA_ADDR_LIST": others}
        return {"host": f"h{number % ours}", "pvs": [f"I{each}:x" for each in wanted], "env": dict(wrong)}

    router = {
        "interfaces": {
            f"eth{each}": {"segment": f"s{each}", "addresses": [f"10.{each}.0.254/24"]} for each in range(segments)
        },
        "sysctls": {"net.ipv4.ip_forward": "1"},
    }
    return {
        "segments": {f"s{each}": {} for each in range(segments)},
        "hosts": {"router": router} | {f"h{each}": host(each) for each in range(ours)},
        "iocs": {f"i{each}": {"host": f"h{ioc_host(each)}", "prefixes": [f"I{each}:"]} for each in range(iocs)},
        "clients": {f"c{each}": client(each) for each in range(clients)},
    }


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


if __name__ == "__main__":
    main()
