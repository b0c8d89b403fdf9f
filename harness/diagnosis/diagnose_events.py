"""Causes that lie in the order of events: what a step did, and what nobody noticed afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from canet.harness.diagnosis.diagnose_changes import Change, with_client, with_host
from canet.harness.predict.addresses import quad
from canet.scenarios.model import Scenario, Step

SLOW_RETRIES = "15"
"""Linux' own net.ipv4.tcp_retries2: some 15 minutes until a dead connection is given up."""


def paused_servers(scenario: Scenario) -> Iterator[str]:
    """Yield the servers that a step stops and none lets go on."""
    held = [each.target for each in scenario.steps if each.do == "pause" and each.target]
    gone_on = {each.target for each in scenario.steps if each.do in ("resume", "restart", "kill")}
    for name in dict.fromkeys(held):
        if name not in gone_on:
            yield name


def paused(scenario: Scenario) -> Iterator[Change]:
    """A server is stopped, and so answers nobody, not even an echo."""
    for name in paused_servers(scenario):
        kept = tuple(each for each in scenario.steps if (each.do, each.target) != ("pause", name))
        text = f"the server {name} does not answer, not even an echo, because it is stopped"
        yield text, replace(scenario, steps=kept)


def late_networks(scenario: Scenario, subject: str) -> Iterator[tuple[str, str]]:
    """Yield server and host where a network appeared after the server had worked out where beacons go."""
    if not any(each.do == "beacons" for each in scenario.steps):
        return
    for server in scenario.servers:
        who = server.implementation or subject.partition("-")[0]
        if who not in ("rsrv", "pcaspy") or server.env.get("EPICS_CAS_BEACON_ADDR_LIST"):
            continue
        late = False
        for step in scenario.steps:
            if step.do == "fault" and step.args.get("host") == server.host:
                late |= step.args.get("set") in ("add-address", "up")
            elif step.do in ("restart", "start") and step.target == server.name:
                late = False
        if late:
            yield server.name, server.host


def late_network(scenario: Scenario) -> Iterator[Change]:
    """The destinations of beacons were worked out before a network was there."""
    for each in scenario.servers:
        steps = list(scenario.steps)
        places = [n for n, step in enumerate(steps) if step.do == "fault" and step.args.get("host") == each.host]
        if places:
            steps.insert(places[-1] + 1, Step(do="restart", target=each.name))
            text = (
                f"the server {each.name} works out the destinations of its beacons at its start, before the other "
                "network is there"
            )
            yield text, replace(scenario, steps=tuple(steps))


def stale_clients(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield client and host where a connection stays though its peer has vanished without a word."""
    watching = [each.target for each in scenario.steps if each.do == "watch"]
    vanished = any(
        each.do == "fault" and each.args.get("set") in ("down", "cut", "remove-address") for each in scenario.steps
    )
    changed = any(each.do in ("start", "restart", "kill", "stop") for each in scenario.steps)
    for client in scenario.clients if vanished and changed else ():
        host = scenario.topology.host(client.host)
        slow = float(client.env.get("EPICS_CA_CONN_TMO") or 30.0) > 5 or not _gone(scenario, client.host)
        if slow and client.name in watching and int(host.sysctl("net.ipv4.tcp_retries2", SLOW_RETRIES)) > 5:
            yield client.name, client.host


def _gone(scenario: Scenario, host: str) -> bool:
    """The client's own host was away: its connection is dead, and an echo finds out."""
    return any(each.do == "fault" and each.args.get("host") == host for each in scenario.steps)


def stale_circuit(scenario: Scenario) -> Iterator[Change]:
    """A client keeps a TCP connection whose peer is gone."""
    clients = {each.name: each for each in scenario.clients}
    for name, place in stale_clients(scenario):
        host = scenario.topology.host(place)
        timeout = clients[name].env.get("EPICS_CA_CONN_TMO") or "30"
        if _gone(scenario, place):
            text = (
                f"{name} asks a silent server only after EPICS_CA_CONN_TMO ({timeout} s), and does not know that its "
                "connection is gone"
            )
            yield text, with_client(scenario, clients[name], EPICS_CA_CONN_TMO="1")
        text = (
            f"{name} keeps a TCP connection whose peer is gone, and searches again only when the kernel gives it up "
            "(net.ipv4.tcp_retries2)"
        )
        sysctls = (*host.sysctls, ("net.ipv4.tcp_retries2", "3"))
        yield text, with_host(scenario, replace(host, sysctls=sysctls))


def stale_names(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield client and host where a name that its list holds came to mean another address while it ran."""
    for client in scenario.clients:
        words = client.env.get("EPICS_CA_ADDR_LIST", "").split()
        named = any(quad(word.partition(":")[0]) is None for word in words)
        running = stale = False
        for step in scenario.steps:
            if step.do == "watch" and step.target == client.name:
                running, stale = True, False
            elif step.do == "fault" and step.args.get("set") == "write-file" and step.args.get("host") == client.host:
                stale = running and named
        if stale:
            yield client.name, client.host


def stale_name(scenario: Scenario) -> Iterator[Change]:
    """A client has looked a name up once, and keeps to the address that it had then."""
    for name, _ in stale_names(scenario):
        text = (
            f"libca looks each name in the list of {name} up once, and goes on searching at the address that it "
            "had then"
        )
        yield text, replace(scenario, steps=(*scenario.steps, Step(do="watch", target=name)))
