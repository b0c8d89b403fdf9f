"""Causes in access security: a server sees another address than the client has, or believes the name that it sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from canet.harness.diagnosis.diagnose_changes import Change, with_host, with_server
from canet.harness.predict import stage
from canet.harness.predict.clients import search
from canet.harness.predict.trace import address
from canet.scenarios.model import Client, Scenario, Server
from canet.server.core.access import AccessSecurity
from canet.server.core.acf import parse
from canet.server.core.problem import AcfError

GROUP = "DEFAULT"
"""The access security group of a record that names none."""


@dataclass(frozen=True, slots=True)
class Right:
    """What a client may write at a server, by what it is seen as and by what it is."""

    client: Client
    server: Server
    seen: str
    """The address that its connection comes from."""
    granted: bool
    """It may write."""
    due: bool
    """It might write if the server compared the client's own addresses."""


def rights(scenario: Scenario, subject: str) -> Iterator[Right]:
    """Yield the right to write of each client that tells its rights, at each server with an access security file."""
    asking = [each for each in scenario.clients if each.options.get("access")]
    guarded = [each for each in scenario.servers if each.options.get("acf")]
    if not asking or not guarded:
        return
    scene = stage(scenario, subject)
    for server in guarded:
        host = scenario.topology.host(server.host)
        files = dict(host.files)
        names = {
            name: words[0]
            for words in (line.partition("#")[0].split() for line in files.get("/etc/hosts", "").splitlines())
            for name in words[1:]
        }
        try:
            rules = parse(files.get(str(server.options["acf"]), ""))
        except AcfError:
            continue
        by_address = AccessSecurity(rules, resolve=names.get)
        by_name = AccessSecurity(rules)
        for client in asking:
            home = scenario.topology.host(client.host)
            told = home.hostname or home.name
            user = "" if client.uid is None else str(client.uid)
            pvs = client.pvs or tuple(server.pvs)
            for _, response in search(scene, client, pvs).found:
                if response.server.name != server.name or response.reached != server.name:
                    continue
                seen = address(response.delivery.arrival.packet.source)
                checked = bool(server.options.get("check_address"))
                granted = by_address.rights(GROUP, 1, user, seen) if checked else by_name.rights(GROUP, 1, user, told)
                due = any(by_address.rights(GROUP, 1, user, str(own.ip))[1] for own in home.addresses)
                yield Right(client, server, seen, granted[1], due)
                break


def misjudged(scenario: Scenario, subject: str) -> Iterator[tuple[str, str, str]]:
    """Yield kind, client and sentence where rights are not those of the client's own address."""
    for each in rights(scenario, subject):
        name, checked = each.client.name, bool(each.server.options.get("check_address"))
        if each.due and not each.granted:
            text = f"{name} may not write at {each.server.name}, which sees {each.seen}, though its own address may"
            yield "refused", name, text
        elif each.granted and not each.due and not checked:
            text = f"{name} may write at {each.server.name} by the name that it sends, though its own address may not"
            yield "impostor", name, text


def translated(scenario: Scenario) -> Iterator[Change]:
    """A router's NAT hides the client's address from access security."""
    if not any(each.options.get("check_address") for each in scenario.servers):
        return
    for host in scenario.topology.hosts:
        kept = tuple(each for each in host.rules if not each.masquerade and each.snat is None)
        if len(kept) < len(host.rules):
            text = f"the server sees the address of {host.name} and not the client's, and it is not in the host group"
            yield text, with_host(scenario, replace(host, rules=kept))


def believed(scenario: Scenario) -> Iterator[Change]:
    """A server takes the host name that a client sends for true."""
    for each in scenario.servers:
        if not each.options.get("acf") or each.options.get("check_address"):
            continue
        text = f"the server {each.name} believes the host name that a client sends, whatever its address"
        changed = with_server(scenario, each, options={**each.options, "check_address": True})
        yield text, changed
        for host in scenario.topology.hosts:  # addresses can be compared only where nobody translates them
            kept = tuple(rule for rule in host.rules if not rule.masquerade and rule.snat is None)
            changed = with_host(changed, replace(host, rules=kept))
        yield text, changed
