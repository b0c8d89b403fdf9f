"""Causes on the client's side: its address lists and their spelling."""

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
    with_server,
)
from canet.harness.predict.addresses import quad, server_port
from canet.netns.topology import Route
from canet.scenarios.model import Client, Scenario, Server


def list_spelling(scenario: Scenario) -> Iterator[Change]:
    """EPICS_CA_AUTO_ADDR_LIST in a spelling that libca takes for yes."""
    for each in scenario.clients:
        auto = each.env.get("EPICS_CA_AUTO_ADDR_LIST", "")
        if auto and auto.lower() != "yes" and "no" not in auto and "NO" not in auto:
            text = f"libca takes EPICS_CA_AUTO_ADDR_LIST={auto} of {each.name} for yes: it knows only no and NO"
            yield text, with_client(scenario, each, EPICS_CA_AUTO_ADDR_LIST="NO")


def list_separator(scenario: Scenario) -> Iterator[Change]:
    """Separators that the client does not know."""
    for each in scenario.clients:
        text = each.env.get("EPICS_CA_ADDR_LIST", "")
        good = " ".join(text.replace(",", " ").replace(";", " ").split())
        if good == " ".join(text.split()) and (each.implementation != "caproto" or good == text.strip()):
            continue
        sign = "a comma" if "," in text else "a semicolon" if ";" in text else "a tab"
        why = "splits the list at spaces only" if sign == "a tab" else "separates nothing there"
        yield (
            (
                f"{sign} stands between the entries of EPICS_CA_ADDR_LIST of {each.name}, and "
                f"{each.implementation} {why}"
                if sign == "a tab"
                else f"{sign} in EPICS_CA_ADDR_LIST of {each.name} {why}"
            ),
            with_client(scenario, each, EPICS_CA_ADDR_LIST=good),
        )


def list_name(scenario: Scenario) -> Iterator[Change]:
    """A name in the list that does not resolve."""
    for each in scenario.clients:
        host = scenario.topology.host(each.host)
        known = {word for path, text in host.files if path == "/etc/hosts" for word in text.split()} | {"localhost"}
        for word in entries(each):
            name = word.partition(":")[0]
            if quad(name) is not None or name in known or "," in word:
                continue
            for server in scenario.servers:
                for address in networks(scenario, server):
                    good = each.env["EPICS_CA_ADDR_LIST"].replace(word, str(address.ip))
                    text = (
                        f"the name {name} in EPICS_CA_ADDR_LIST of {each.name} does not resolve, so the entry "
                        "is skipped"
                    )
                    yield text, with_client(scenario, each, EPICS_CA_ADDR_LIST=good)


def list_misspelt(scenario: Scenario) -> Iterator[Change]:
    """A variable that no client reads, close to one that they do."""
    from difflib import get_close_matches

    known = ("EPICS_CA_ADDR_LIST", "EPICS_CA_AUTO_ADDR_LIST", "EPICS_CA_NAME_SERVERS", "EPICS_CA_SERVER_PORT")
    for each in scenario.clients:
        for key, value in each.env.items():
            close = get_close_matches(key, known, 1, 0.85) if key.startswith("EPICS_") and key not in known else []
            if close:
                text = f"the environment of {each.name} has {key}, which no client reads; {close[0]} is meant"
                yield text, with_client(scenario, each, **{key: None, close[0]: value})


def list_off(scenario: Scenario) -> Iterator[Change]:
    """The automatic list is switched off."""
    for each in scenario.clients:
        auto = each.env.get("EPICS_CA_AUTO_ADDR_LIST", "")
        if _off(each):
            empty = "" if entries(each) else " and EPICS_CA_ADDR_LIST is empty, so it has nowhere to search"
            text = f"EPICS_CA_AUTO_ADDR_LIST={auto} of {each.name} switches the search on its own subnets off{empty}"
            yield text, with_client(scenario, each, EPICS_CA_AUTO_ADDR_LIST="YES")
    off = [each for each in scenario.clients if _off(each)]
    if len(off) > 1:
        changed = scenario
        for each in off:
            changed = with_client(changed, each, EPICS_CA_AUTO_ADDR_LIST="YES")
        names = ", ".join(each.name for each in off)
        yield f"EPICS_CA_AUTO_ADDR_LIST=NO switches the search on their own subnets off ({names})", changed


def _off(client: Client) -> bool:
    """Tell whether the client's own reading of its settings switches the automatic list off."""
    auto = client.env.get("EPICS_CA_AUTO_ADDR_LIST", "")
    if client.implementation == "caproto":
        return bool(entries(client)) and auto.lower() not in ("", "yes")
    return "no" in auto or "NO" in auto


def list_missing(scenario: Scenario) -> Iterator[Change]:
    """A client lacks a variable that another one on the same host has."""
    for each in scenario.clients:
        for other in scenario.clients:
            if other is each or other.host != each.host:
                continue
            for key, value in other.env.items():
                if key.startswith("EPICS_CA_") and key not in each.env:
                    text = f"the environment of {each.name} lacks {key}, which {other.name} on the same host has"
                    yield text, with_client(scenario, each, **{key: value})


def list_front(scenario: Scenario) -> Iterator[Change]:
    """Broadcasts do not reach a network behind address translation; its front has an address that would."""
    for each in scenario.clients:
        for host in scenario.topology.hosts:
            if not any(rule.dnat is not None and rule.hook == "prerouting" for rule in host.rules):
                continue
            for address in host.addresses:
                if str(address.ip) in entries(each):
                    continue
                good = " ".join([*entries(each), str(address.ip)])
                text = (
                    f"the NAT rule of {host.name} applies to its own address only, and the broadcasts of "
                    f"{each.name} are "
                    "not routed into the network behind it"
                )
                yield text, with_client(scenario, each, EPICS_CA_ADDR_LIST=good)


def list_port(scenario: Scenario) -> Iterator[Change]:
    """Entries without the port that a server is on."""
    for each in scenario.clients:
        for server in scenario.servers:
            port = server_port(server.env, "EPICS_CAS_SERVER_PORT")
            if port == server_port(each.env):
                continue
            words = entries(each)
            if words:
                good = " ".join(words + [f"{word.partition(':')[0]}:{port}" for word in words])
                change = with_client(scenario, each, EPICS_CA_ADDR_LIST=good)
            else:
                change = with_client(scenario, each, EPICS_CA_SERVER_PORT=str(port))
            yield (
                f"no entry in the list of {each.name} has a port, or the right one: {server.name} is on port {port}",
                change,
            )


def list_other_address(scenario: Scenario) -> Iterator[Change]:
    """An entry that is the address of nobody."""
    owned = {str(a.ip) for host in scenario.topology.hosts for a in host.addresses}
    spread = {str(a.network.broadcast_address) for host in scenario.topology.hosts for a in host.addresses}
    for each in scenario.clients:
        for word in entries(each):
            name = word.partition(":")[0]
            number = quad(name)
            if number is None or name in owned or name in spread or name.startswith(("127.", "255.")):
                continue
            for server in scenario.servers:
                if number >> 28 == 14:
                    groups = [
                        w for w in server.env.get("EPICS_CAS_INTF_ADDR_LIST", "").split() if (quad(w) or 0) >> 28 == 14
                    ]
                    for group in groups:
                        good = each.env["EPICS_CA_ADDR_LIST"].replace(name, group)
                        text = f"{each.name} searches in group {name}, and {server.name} joined {group}"
                        yield text, with_client(scenario, each, EPICS_CA_ADDR_LIST=good)
                    continue
                for address in networks(scenario, server) or list(scenario.topology.host(server.host).addresses):
                    good = each.env["EPICS_CA_ADDR_LIST"].replace(name, str(address.ip))
                    if name.endswith(".255"):
                        text = f"{name} in the list of {each.name} is no broadcast address that reaches {server.name}"
                        yield text, with_client(scenario, each, EPICS_CA_ADDR_LIST=good)
                        continue
                    text = (
                        f"EPICS_CA_ADDR_LIST of {each.name} names {name}, which nobody has; {server.name} is at "
                        f"{address.ip}"
                    )
                    yield text, with_client(scenario, each, EPICS_CA_ADDR_LIST=good)


def list_limited(scenario: Scenario) -> Iterator[Change]:
    """255.255.255.255 leaves through one interface only."""
    for each in scenario.clients:
        if "255.255.255.255" not in entries(each):
            continue
        own = [str(a.network.broadcast_address) for a in scenario.topology.host(each.host).addresses if a.prefix < 31]
        good = each.env["EPICS_CA_ADDR_LIST"].replace("255.255.255.255", " ".join(own))
        text = (
            f"{each.name} searches 255.255.255.255, which leaves through the interface of the default route only, "
            "and not at all without one"
        )
        yield text, with_client(scenario, each, EPICS_CA_ADDR_LIST=good)


def list_shared_unicast(scenario: Scenario) -> Iterator[Change]:
    """The list holds an address that several servers share."""
    for each in scenario.clients:
        for word in entries(each):
            name = word.partition(":")[0]
            for host in scenario.topology.hosts:
                for address in host.addresses:
                    sharing = [s.name for s in scenario.servers if s.host == host.name]
                    if str(address.ip) != name or len(sharing) < 2 or address.prefix > 30:
                        continue
                    good = each.env["EPICS_CA_ADDR_LIST"].replace(name, str(address.network.broadcast_address))
                    yield (
                        (
                            f"EPICS_CA_ADDR_LIST of {each.name} holds {name}, the address of a host on "
                            "which several servers "
                            f"({', '.join(sharing)}) share one UDP port: a unicast search is delivered to "
                            "one of them only"
                        ),
                        with_client(scenario, each, EPICS_CA_ADDR_LIST=good),
                    )
            if name == "127.0.0.1":
                good = each.env["EPICS_CA_ADDR_LIST"].replace(name, "127.255.255.255")
                yield (
                    (f"several servers share 127.0.0.1, where {each.name} reaches one of them only"),
                    with_client(scenario, each, EPICS_CA_ADDR_LIST=good),
                )


def list_lacks(scenario: Scenario) -> Iterator[Change]:
    """The list lacks the server's network or address."""
    for each in scenario.clients:
        for server in scenario.servers:
            listed = server.env.get("EPICS_CAS_INTF_ADDR_LIST", "").split()
            host = scenario.topology.host(server.host)
            places = [str(a.network.broadcast_address) for a in host.addresses if a.prefix < 31]
            places += [str(a.ip) for a in host.addresses]
            for place in [*places, *listed]:
                if place in entries(each) or (place.startswith("127.") and server.host != each.host):
                    continue
                good = " ".join([*entries(each), place])
                text = f"the list of {each.name} does not hold {place}, where {server.name} would hear it"
                if place.startswith("127."):
                    text = (
                        f"{server.name} is bound to {place}, and the automatic list of {each.name} holds no "
                        "loopback address"
                    )
                yield text, with_client(scenario, each, EPICS_CA_ADDR_LIST=good)


def name_server_lacks(scenario: Scenario) -> Iterator[Change]:
    """EPICS_CA_NAME_SERVERS does not hold a server's port."""
    for each in scenario.clients:
        words = entries(each, "EPICS_CA_NAME_SERVERS")
        for server in scenario.servers if words else ():
            port = server_port(server.env, "EPICS_CAS_SERVER_PORT")
            changed = scenario
            what = f"port {port}"
            if port == 5064:
                port, what = 5068, "the port that it happened to get"
                changed = with_server(changed, server, env={**server.env, "EPICS_CAS_SERVER_PORT": str(port)})
            for address in scenario.topology.host(server.host).addresses:
                good = " ".join([*words, f"{address.ip}:{port}"])
                text = f"EPICS_CA_NAME_SERVERS of {each.name} does not list {server.name}, which listens on {what}"
                client = next(c for c in changed.clients if c.name == each.name)
                yield text, with_client(changed, client, EPICS_CA_NAME_SERVERS=good)


def multicast(scenario: Scenario) -> Iterator[Change]:
    """Searches to a multicast group need hops, a route, and a server that joined."""
    everything = IPv4Network("224.0.0.0/4")
    for each in scenario.clients:
        groups = [word for word in entries(each) if (quad(word.partition(":")[0]) or 0) >> 28 == 14]
        if not groups:
            continue
        if each.env.get("EPICS_CA_MCAST_TTL", "1") == "1":
            text = f"the multicasts of {each.name} have a TTL of 1, and end at the first router"
            yield text, with_client(scenario, each, EPICS_CA_MCAST_TTL="2")
        host = scenario.topology.host(each.host)
        for interface in host.interfaces:
            route = Route(to=everything, dev=interface.name)
            text = f"{host.name} has no route for {groups[0]}, so that it cannot send its searches"
            yield text, with_host(scenario, replace(host, routes=(*host.routes, route)))
        for server in scenario.servers:
            listed = server.env.get("EPICS_CAS_INTF_ADDR_LIST", "")
            if groups[0] not in listed.split():
                env = {**server.env, "EPICS_CAS_INTF_ADDR_LIST": f"{listed} {groups[0]}".strip()}
                yield (
                    f"{server.name} did not join the multicast group {groups[0]}",
                    with_server(scenario, server, env=env),
                )
        for router in scenario.topology.hosts:
            if router.sysctl("net.ipv4.ip_forward") != "0" and not _routes_multicasts(scenario, router.name):
                added = Server(name=f"{router.name}-multicasts", host=router.name, implementation="mrouter")
                text = f"the router {router.name} does not route multicasts"
                yield text, replace(scenario, servers=(added, *scenario.servers))


def _routes_multicasts(scenario: Scenario, host: str) -> bool:
    return any(each.implementation == "mrouter" and each.host == host for each in scenario.servers)
