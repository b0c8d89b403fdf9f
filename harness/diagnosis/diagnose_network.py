"""Causes in the network: addresses, masks, switches, routes, routers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network

from canet.harness.diagnosis.diagnose_changes import (
    Change,
    entries,
    networks,
    with_client,
    with_host,
    with_interface,
)
from canet.netns.topology import Address, Host, Port, Route
from canet.scenarios.model import Scenario


def no_broadcast(scenario: Scenario) -> Iterator[Change]:
    """An address without broadcast attribute."""
    for host in scenario.topology.hosts:
        for interface in host.interfaces:
            for n, address in enumerate(interface.addresses):
                if address.broadcast is None and address.prefix < 31 and address.peer is None:
                    good = replace(address, broadcast=address.network.broadcast_address)
                    found = (*interface.addresses[:n], good, *interface.addresses[n + 1 :])
                    text = (
                        f"the address {address.ip} of {host.name} has no broadcast attribute, "
                        "so its own address stands in for it"
                    )
                    yield text, with_interface(scenario, host, replace(interface, addresses=found))


def netmask(scenario: Scenario) -> Iterator[Change]:
    """Hosts of one segment disagree on the netmask."""
    for segment in scenario.topology.segments:
        members = list(scenario.topology.on_segment(segment.name))
        prefixes = {address.prefix for _, interface in members for address in interface.addresses}
        if len(prefixes) < 2:
            continue
        for host, interface in members:
            for n, address in enumerate(interface.addresses):
                for prefix in sorted(prefixes - {address.prefix}):
                    good = Address.parse(f"{address.ip}/{prefix}")
                    found = (*interface.addresses[:n], good, *interface.addresses[n + 1 :])
                    text = (
                        f"the netmask of {host.name} is /{address.prefix} and that of others on "
                        f"{segment.name} /{prefix}: "
                        "the broadcast address of one is none for the other"
                    )
                    yield text, with_interface(scenario, host, replace(interface, addresses=found))


def switch(scenario: Scenario) -> Iterator[Change]:
    """A switch port refuses something."""
    for host in scenario.topology.hosts:
        for interface in host.interfaces:
            port = interface.port
            if port == Port():
                continue
            what = "isolates its port from others" if port.isolated else "sends no broadcasts out of its port"
            text = f"the switch that {host.name}.{interface.name} is plugged into {what}"
            yield text, with_interface(scenario, host, replace(interface, port=Port()))


def link_down(scenario: Scenario) -> Iterator[Change]:
    """An interface is down, or its cable is cut."""
    for host in scenario.topology.hosts:
        for interface in host.interfaces:
            if not interface.up or any(each.cut for each in interface.impairments):
                text = f"the interface {interface.name} of {host.name} is down or cut"
                yield text, with_interface(scenario, host, replace(interface, up=True, impairments=()))


def mtu(scenario: Scenario) -> Iterator[Change]:
    """An interface whose MTU is smaller than its segment's."""
    sizes = {each.name: each.mtu for each in scenario.topology.segments}
    for host in scenario.topology.hosts:
        for interface in host.interfaces:
            wanted = sizes.get(interface.segment or "", 1500)
            if interface.mtu < wanted:
                text = (
                    f"the MTU of {host.name}.{interface.name} is {interface.mtu}, smaller than the search datagrams "
                    "that the other side of the link sends"
                )
                yield text, with_interface(scenario, host, replace(interface, mtu=wanted))


def rp_filter(scenario: Scenario) -> Iterator[Change]:
    """The reverse-path filter is on."""
    for host in scenario.topology.hosts:
        on = [(key, value) for key, value in host.sysctls if key.endswith("rp_filter") and value.strip() == "1"]
        if on:
            left = tuple((k, "0" if k.endswith("rp_filter") else v) for k, v in host.sysctls)
            names = ", ".join(key.rsplit(".", 2)[1] for key, _ in on)
            text = (
                f"rp_filter=1 ({names}) of {host.name} drops the search, because the route back to the client leads "
                "through another interface"
            )
            yield text, with_host(scenario, replace(host, sysctls=left))


def directed_broadcast(scenario: Scenario) -> Iterator[Change]:
    """A router does not forward directed broadcasts."""
    for host in scenario.topology.hosts:
        if host.sysctl("net.ipv4.ip_forward") == "0" and host.sysctl("net.ipv4.conf.all.forwarding") == "0":
            continue
        names = ["all", *(each.name for each in host.interfaces)]
        lacking = [each for each in names if host.sysctl(f"net.ipv4.conf.{each}.bc_forwarding") == "0"]
        if lacking:
            added = tuple((f"net.ipv4.conf.{each}.bc_forwarding", "1") for each in names)
            text = (
                f"the router {host.name} does not forward directed broadcasts (bc_forwarding is 0 for "
                f"{', '.join(lacking)})"
            )
            yield text, with_host(scenario, replace(host, sysctls=host.sysctls + added))


def broadcasts_end_at_router(scenario: Scenario) -> Iterator[Change]:
    """Client and server are on different networks: broadcasts do not cross the router between them."""
    for host in scenario.topology.hosts:
        if host.sysctl("net.ipv4.ip_forward") == "0" and host.sysctl("net.ipv4.conf.all.forwarding") == "0":
            continue
        text = f"the router {host.name} between the networks does not forward broadcasts"
        for server in scenario.servers:
            for address in networks(scenario, server):
                changed = _forwarding(scenario, host)
                for client in scenario.clients:
                    now = next(each for each in changed.clients if each.name == client.name)
                    good = " ".join([*entries(now), str(address.network.broadcast_address)])
                    changed = with_client(changed, now, EPICS_CA_ADDR_LIST=good)
                yield text, changed


def _forwarding(scenario: Scenario, host: Host) -> Scenario:
    names = ["all", *(each.name for each in host.interfaces)]
    added = tuple((f"net.ipv4.conf.{each}.bc_forwarding", "1") for each in names)
    return with_host(scenario, replace(host, sysctls=host.sysctls + added))


def no_route(scenario: Scenario) -> Iterator[Change]:
    """A host has no default route, though a router is near."""
    routers = [
        (host, interface, address)
        for host in scenario.topology.hosts
        if host.sysctl("net.ipv4.ip_forward") != "0"
        for interface in host.interfaces
        for address in interface.addresses
    ]
    everything = IPv4Network("0.0.0.0/0")
    for host in scenario.topology.hosts:
        if any(each.to == everything for each in host.routes):
            continue
        near = {each.segment for each in host.interfaces}
        for router, interface, address in routers:
            if router.name != host.name and interface.segment in near:
                route = Route(to=everything, via=address.ip)
                text = f"{host.name} has no route to the other network, so its packets there cannot be sent"
                yield text, with_host(scenario, replace(host, routes=(*host.routes, route)))
        for each in host.interfaces:
            if each.addresses and each.up:
                route = Route(to=IPv4Network("255.255.255.255/32"), dev=each.name)
                text = f"{host.name} has no route for 255.255.255.255, so searches and beacons to it cannot be sent"
                yield text, with_host(scenario, replace(host, routes=(*host.routes, route)))


def route_back(scenario: Scenario) -> Iterator[Change]:
    """A server's route to the client leads through another interface than the search came in by."""
    for host in scenario.topology.hosts:
        for n, route in enumerate(host.routes):
            for interface in host.interfaces:
                for address in interface.addresses:
                    for router in scenario.topology.hosts:
                        for theirs in router.addresses:
                            if router is host or route.via == theirs.ip or theirs.ip not in address.network:
                                continue
                            good = replace(route, via=theirs.ip, dev=None)
                            routes = (*host.routes[:n], good, *host.routes[n + 1 :])
                            text = (
                                f"the route of {host.name} to the client leads through another interface, "
                                "so replies have "
                                "that one's address"
                            )
                            yield text, with_host(scenario, replace(host, routes=routes))
