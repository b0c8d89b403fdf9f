"""Causes in firewalls and address translations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from canet.harness.diagnosis.diagnose_changes import (
    Change,
    with_host,
    with_server,
)
from canet.harness.predict.addresses import server_port
from canet.netns.topology import Host, Rule
from canet.scenarios.model import Scenario, Server


def firewall(scenario: Scenario) -> Iterator[Change]:
    """A rule or a policy drops."""
    for host in scenario.topology.hosts:
        for n, rule in enumerate(host.rules):
            if rule.verdict in ("drop", "reject"):
                proto = (rule.proto or "all").upper()
                port = f" port {rule.dport[0]}" if rule.dport else ""
                text = f"the firewall of {host.name} {rule.verdict}s {proto}{port} ({rule.hook} rule {n + 1})"
                rules = (*host.rules[:n], *host.rules[n + 1 :])
                yield text, with_host(scenario, replace(host, rules=rules))


def firewall_reply(scenario: Scenario) -> Iterator[Change]:
    """A client's stateful firewall does not know the reply to a broadcast."""
    for client in scenario.clients:
        host = scenario.topology.host(client.host)
        if ("input", "drop") not in host.policies:
            continue
        ports = sorted({server_port(each.env, "EPICS_CAS_SERVER_PORT") for each in scenario.servers})
        rules = tuple(Rule(hook="input", proto="udp", sport=(port, port), verdict="accept") for port in ports)
        near = next((r for r in host.rules if r.proto == "udp" and r.verdict == "accept"), None)
        port = ports[0]
        if near is not None and near.dport is not None and near.sport is None:
            text = (
                f"the rule of {host.name}'s firewall accepts datagrams to port {near.dport[0]}, and replies come from "
                f"port {port}"
            )
        elif near is not None and near.sport is not None and not near.sport[0] <= port <= near.sport[1]:
            text = (
                f"the rule of {host.name}'s firewall accepts datagrams from port {near.sport[0]}, and "
                "replies come from "
                f"port {port}"
            )
        else:
            text = (
                f"the firewall of {host.name} drops the reply to a broadcast search, since it comes from an "
                "address that "
                "nothing was sent to"
            )
        yield text, with_host(scenario, replace(host, rules=rules + host.rules))


def firewall_closed(scenario: Scenario) -> Iterator[Change]:
    """A server's firewall does not open what the servers use."""
    for host in scenario.topology.hosts:
        here = [each for each in scenario.servers if each.host == host.name]
        if not here or ("input", "drop") not in host.policies:
            continue
        ports = sorted({server_port(each.env, "EPICS_CAS_SERVER_PORT") for each in here})
        for proto in ("udp", "tcp"):
            opened = tuple(Rule(hook="input", proto=proto, dport=(p, p), verdict="accept") for p in ports)
            what = ", ".join(map(str, ports))
            text = f"the firewall of {host.name} does not open {proto.upper()} port {what} to its servers"
            yield text, with_host(scenario, replace(host, rules=opened + host.rules))
        everything = Rule(hook="input", proto="tcp", verdict="accept")
        text = (
            f"the firewall of {host.name} opens one TCP port only, and the second server there listens on another port"
        )
        if len(here) > 1:
            yield text, with_host(scenario, replace(host, rules=(everything, *host.rules)))


def nat_missing(scenario: Scenario) -> Iterator[Change]:
    """A host shares unicasts among servers, and no rule, or a wrong one, turns them into broadcasts."""
    for host in scenario.topology.hosts:
        here = [each for each in scenario.servers if each.host == host.name]
        if len(here) < 2:
            continue
        rules: list[Rule] = []
        for address in host.addresses:
            if address.prefix > 30:
                continue
            one = IPv4Network(address.ip)
            net = address.network.broadcast_address
            rules.append(Rule(hook="prerouting", proto="udp", daddr=one, dport=(5064, 5064), dnat=net))
        local = tuple(
            Rule(
                hook="output",
                proto="udp",
                daddr=IPv4Network(a.ip),
                dport=(5064, 5064),
                dnat=IPv4Address("127.255.255.255"),
            )
            for a in host.addresses
        )
        present = [each for each in host.rules if each.dnat is not None and each.hook == "prerouting"]
        kept = tuple(each for each in host.rules if each.dnat is None)
        own = {each.ip for each in host.addresses}
        both = with_host(scenario, replace(host, rules=kept + tuple(rules) + local))
        for rule in present:
            if rule.daddr is not None and IPv4Address(rule.daddr.network_address) not in own:
                text = (
                    f"the rule of {host.name} rewrites searches to {rule.daddr.network_address}, which is not "
                    "its address now"
                )
                yield text, with_host(scenario, replace(host, rules=kept + tuple(rules)))
                yield text, both
            elif rule.dport not in ((5064, 5064), None):
                text = (
                    f"the rule of {host.name} rewrites searches to port {rule.dport[0]}, but the servers listen "
                    "on port 5064"
                )
                yield text, with_host(scenario, replace(host, rules=kept + tuple(rules)))
                yield text, both
            else:
                text = (
                    f"the rule of {host.name} stands in PREROUTING, which the searches of clients on the same "
                    "host do not pass"
                )
                yield text, with_host(scenario, replace(host, rules=host.rules + local))
        if not present and any(each.host == host.name for each in scenario.clients):
            text = (
                f"several servers on {host.name} share UDP port 5064 of one address, and no rule turns "
                "unicast searches "
                "into broadcasts"
            )
            yield text, both


def nat_publish(scenario: Scenario) -> Iterator[Change]:
    """A host in front of a server (container, Service) does not translate what it should."""
    for host in scenario.topology.hosts:
        dnats = [each for each in host.rules if each.dnat is not None and each.hook == "prerouting"]
        if not dnats:
            continue
        for server in scenario.servers:
            if server.host == host.name:
                continue
            for address in scenario.topology.host(server.host).addresses:
                port = server_port(server.env, "EPICS_CAS_SERVER_PORT")
                yield from _publish(scenario, host, dnats, server, address.ip, port)


def _publish(
    scenario: Scenario, host: Host, dnats: list[Rule], server: Server, to: IPv4Address, port: int
) -> Iterator[Change]:
    front = next((each.daddr for each in dnats if each.daddr is not None), None)
    wrong = [each for each in dnats if each.dnat != to]
    if wrong:
        good = tuple(replace(each, dnat=to) if each in wrong else each for each in host.rules)
        text = f"the NAT rule of {host.name} leads to {wrong[0].dnat}, and {server.name} is at {to}"
        yield text, with_host(scenario, replace(host, rules=good))
    for proto in ("udp", "tcp"):
        mine = [each for each in dnats if each.proto == proto]
        rule = Rule(hook="prerouting", proto=proto, daddr=front, dport=(port, port), dnat=to)
        added = with_host(scenario, replace(host, rules=(rule, *host.rules)))
        remapped = next(
            (each for each in mine if each.dport and each.dport[0] != (each.dnat_port or each.dport[0])), None
        )
        if proto == "tcp" and remapped is not None and remapped.dport is not None:
            outer = remapped.dport[0]
            env = {**server.env, "EPICS_CAS_SERVER_PORT": str(outer), "EPICS_CA_SERVER_PORT": str(outer)}
            same = tuple(
                replace(each, dnat_port=None, dport=(outer, outer)) if each in dnats else each for each in host.rules
            )
            fixed = with_server(with_host(scenario, replace(host, rules=same)), server, env=env)
            text = (
                f"the search reply carries the TCP port of {server.name} in its data, and NAT does not translate that: "
                f"{host.name} publishes it as {outer}"
            )
            yield text, fixed
            inside = remapped.dnat_port or outer
            if inside == port:
                text = f"{server.name} announces TCP port {port}, but {host.name} publishes it as {outer}"
                yield text, added
        elif not any(each.dport == (port, port) or each.dport is None for each in mine):
            text = (
                f"{host.name} does not publish {proto.upper()} port {port}, so that of {server.name} cannot be reached"
            )
            yield text, added
