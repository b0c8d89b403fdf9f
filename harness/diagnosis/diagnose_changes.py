"""Change one value of a scenario and keep everything else: what causes are undone with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from canet.netns.topology import Address, Host, Interface
from canet.scenarios.model import Client, Scenario, Server

Change = tuple[str, Scenario]
"""What was wrong, in a sentence, and the scenario without it."""
Maker = Callable[[Scenario], Iterator[Change]]


def with_host(scenario: Scenario, host: Host) -> Scenario:
    """Return the scenario with a host of that name replaced."""
    hosts = tuple(host if each.name == host.name else each for each in scenario.topology.hosts)
    return replace(scenario, topology=replace(scenario.topology, hosts=hosts))


def with_interface(scenario: Scenario, host: Host, interface: Interface) -> Scenario:
    """Return the scenario with an interface of that name replaced."""
    found = tuple(interface if each.name == interface.name else each for each in host.interfaces)
    return with_host(scenario, replace(host, interfaces=found))


def with_client(scenario: Scenario, client: Client, **env: str | None) -> Scenario:
    """Return the scenario with variables of a client set, or (``None``) taken away."""
    changed = {key: value for key, value in {**client.env, **env}.items() if value is not None}
    clients = tuple(replace(each, env=changed) if each.name == client.name else each for each in scenario.clients)
    return replace(scenario, clients=clients)


def with_server(scenario: Scenario, server: Server, **changes: object) -> Scenario:
    """Return the scenario with a server of that name changed."""
    servers = tuple(
        replace(each, **changes) if each.name == server.name else each  # type: ignore[arg-type]  # fields of Server
        for each in scenario.servers
    )
    return replace(scenario, servers=servers)


def networks(scenario: Scenario, server: Server) -> list[Address]:
    """Return the addresses of a server's host that have a broadcast address."""
    return [each for each in scenario.topology.host(server.host).addresses if each.prefix < 31]


def entries(client: Client, variable: str = "EPICS_CA_ADDR_LIST") -> list[str]:
    """Return the entries of a client's list."""
    return client.env.get(variable, "").split()
