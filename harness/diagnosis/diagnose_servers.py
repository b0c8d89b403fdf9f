"""Causes on the server's side: bindings, ports, users, beacons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

from canet.harness.diagnosis.diagnose_changes import (
    Change,
    entries,
    with_client,
    with_server,
)
from canet.harness.predict.addresses import quad, server_port
from canet.scenarios.model import Scenario, Server
from canet.scenarios.versions import unknown

BEACON_LIST = "EPICS_CAS_BEACON_ADDR_LIST"


def bound_narrowly(scenario: Scenario) -> Iterator[Change]:
    """EPICS_CAS_INTF_ADDR_LIST makes a server deaf to something."""
    for each in scenario.servers:
        listed = each.env.get("EPICS_CAS_INTF_ADDR_LIST", "")
        if not listed.strip() or "EPICS_CAS_INTF_ADDR_LIST" in unknown(each):
            continue
        env = {key: value for key, value in each.env.items() if key != "EPICS_CAS_INTF_ADDR_LIST"}
        host = scenario.topology.host(each.host)
        own = {str(address.ip) for address in host.addresses}
        spread = {str(address.network.broadcast_address) for address in host.addresses}
        words = listed.split()
        if any(word.startswith("127.") or word == "localhost" for word in words):
            text = (
                f"{each.name} is bound to {listed}: only clients on {each.host} that search there reach it, no "
                "broadcast does"
            )
        elif spread & set(words):
            text = (
                f"{each.name} is bound to the broadcast address {listed}, so it is deaf to unicast searches and "
                "other networks"
            )
        elif own & set(words):
            others = [s.name for s in scenario.servers if s.host == each.host and s is not each]
            text = f"{each.name} is bound to the host's own address {listed}, so it hears no broadcasts" + (
                f", and unicasts prefer it to {', '.join(others)}" if others else ""
            )
        else:
            text = f"{each.name} is bound to {listed}, which its host does not have"
        yield text, with_server(scenario, each, env=env)
        if own & set(words):
            yield text, _broadcasting(with_server(scenario, each, env=env), each.host)
    if len([each for each in scenario.servers if each.env.get("EPICS_CAS_INTF_ADDR_LIST")]) > 1:
        changed = scenario
        for each in scenario.servers:
            env = {key: value for key, value in each.env.items() if key != "EPICS_CAS_INTF_ADDR_LIST"}
            changed = with_server(changed, each, env=env)
        listed = scenario.servers[0].env.get("EPICS_CAS_INTF_ADDR_LIST", "")
        text = f"several servers are bound to {listed}: a search reaches one of them only, or none"
        first = scenario.servers[0]
        own = {str(address.ip) for address in scenario.topology.host(first.host).addresses}
        if listed in own:
            text = f"the servers are bound to the host's own address {listed}, so they hear no broadcasts"
        elif listed and not listed.startswith("127."):
            text = f"the servers are bound to the broadcast address {listed}, so they are deaf to unicast searches"
        yield text, changed
        yield text, _broadcasting(changed, first.host)


def _broadcasting(scenario: Scenario, host: str) -> Scenario:
    """Let clients that list an address of a host list the broadcast address of its subnet."""
    for client in scenario.clients:
        text = client.env.get("EPICS_CA_ADDR_LIST", "")
        for address in scenario.topology.host(host).addresses:
            words = [str(address.network.broadcast_address) if w == str(address.ip) else w for w in text.split()]
            text = " ".join(words)
        if text != client.env.get("EPICS_CA_ADDR_LIST", ""):
            scenario = with_client(scenario, client, EPICS_CA_ADDR_LIST=text)
    return scenario


def cross_replies(scenario: Scenario) -> Iterator[Change]:
    """A server that answers through all of its sockets."""
    for each in scenario.servers:
        if len(each.env.get("EPICS_CAS_INTF_ADDR_LIST", "").split()) > 1 and not misleads(scenario, each):
            text = (
                f"the server {each.name} sends each search reply through all of its sockets, also from its "
                "other addresses"
            )
            yield text, with_server(scenario, each, implementation="canet", layout="rsrv")


def occupied(scenario: Scenario) -> Iterator[Change]:
    """Another program holds a port."""
    for each in scenario.servers:
        if each.implementation == "occupant":
            port = each.options.get("udp") or each.options.get("tcp")
            text = f"another program ({each.name}) holds port {port} of {each.host} and does not share it"
            yield text, replace(scenario, servers=tuple(s for s in scenario.servers if s is not each))


def other_port(scenario: Scenario) -> Iterator[Change]:
    """Searches go to another port than a server listens on (scenarios with probes alone)."""
    for server in scenario.servers:
        port = server_port(server.env, "EPICS_CAS_SERVER_PORT")
        for probe in scenario.probes if not scenario.clients else ():
            if probe.port != port:
                probes = tuple(replace(each, port=port) if each is probe else each for each in scenario.probes)
                text = f"{server.name} listens on UDP port {port}, and {probe.name} searches at {probe.port}"
                yield text, replace(scenario, probes=probes)


def shared_port(scenario: Scenario) -> Iterator[Change]:
    """Several servers share one UDP port of one address."""
    by_host: dict[str, list[Server]] = {}
    for each in scenario.servers:
        by_host.setdefault(each.host, []).append(each)
    for host, servers in by_host.items():
        if len(servers) < 2:
            continue
        alone = any(each.reuse == "addr" for each in servers)
        how = " by SO_REUSEADDR alone, and the one bound last gets every unicast search" if alone else ""
        tail = how or ": a unicast search is delivered to one of them only"
        text = f"several servers ({', '.join(s.name for s in servers)}) on {host} share UDP port 5064{tail}"
        changed = scenario
        ports: list[str] = []
        for n, each in enumerate(servers):
            port = 5064 + 2 * n
            env = {**each.env, "EPICS_CAS_SERVER_PORT": str(port), "EPICS_CA_SERVER_PORT": str(port)}
            changed = with_server(changed, each, env=env)
            ports.append(str(port))
        for client in scenario.clients:
            now = next(c for c in changed.clients if c.name == client.name)
            words = entries(now)
            good = " ".join(f"{word.partition(':')[0]}:{port}" for word in words for port in ports)
            changed = with_client(changed, now, EPICS_CA_ADDR_LIST=good)
        yield text, changed


def no_reuse(scenario: Scenario) -> Iterator[Change]:
    """A server does not share its UDP port."""
    for each in scenario.servers:
        if each.reuse == "none":
            text = (
                f"{each.name} sets neither SO_REUSEADDR nor SO_REUSEPORT, so not both it and others can bind "
                "UDP port 5064"
            )
            changed = scenario
            for other in scenario.servers:
                changed = with_server(changed, other, reuse="both")
            yield text, changed


def users(scenario: Scenario) -> Iterator[Change]:
    """Servers of several users share a port: unicasts go to those of one user."""
    if len({each.uid for each in scenario.servers}) > 1:
        changed = scenario
        for each in scenario.servers:
            changed = with_server(changed, each, uid=None)
        yield "the servers run as different users: unicasts go to those of the user that bound last", changed


def caproto_fault(scenario: Scenario) -> Iterator[Change]:
    """Another implementation does it right."""
    for each in scenario.servers:
        port = each.env.get("EPICS_CAS_SERVER_PORT")
        if port:
            env = {**each.env, "EPICS_CA_SERVER_PORT": port}
            text = f"the server {each.name} does not read EPICS_CAS_SERVER_PORT, and stays on port 5064"
            yield text, with_server(scenario, each, env=env)


def beacon_list(scenario: Scenario) -> Iterator[Change]:
    """Beacons are not sent to where the clients are."""
    for each in scenario.servers:
        for client in scenario.topology.hosts:
            for address in client.addresses:
                listed = each.env.get("EPICS_CAS_BEACON_ADDR_LIST", "")
                env = {**each.env, "EPICS_CAS_BEACON_ADDR_LIST": f"{listed} {address.ip}".strip()}
                why = f"{BEACON_LIST}, {listed}, lacks it" if listed else f"{BEACON_LIST} is not set"
                automatic = "the automatic list of beacon destinations holds the server's own subnets only"
                if each.env.get("EPICS_CAS_AUTO_BEACON_ADDR_LIST", "").upper() == "NO":
                    automatic = "the automatic list of beacon destinations is off"
                text = f"the beacons of {each.name} do not reach {client.name}: {automatic}, and {why}"
                yield text, with_server(scenario, each, env=env)


def beacon_auto(scenario: Scenario) -> Iterator[Change]:
    """Pcas takes the client's switch for its beacons where its own is not set."""
    for each in scenario.servers:
        if (
            each.env.get("EPICS_CA_AUTO_ADDR_LIST", "").upper() == "NO"
            and "EPICS_CAS_AUTO_BEACON_ADDR_LIST" not in each.env
        ):
            env = {**each.env, "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "YES"}
            text = f"{each.name} takes EPICS_CA_AUTO_ADDR_LIST=NO, which is meant for searches, for its beacons too"
            yield text, with_server(scenario, each, env=env)


def beacon_port(scenario: Scenario) -> Iterator[Change]:
    """Beacons are sent to another port than the clients' repeater listens on."""
    for each in scenario.servers:
        port = each.env.get("EPICS_CA_REPEATER_PORT")
        if port and "EPICS_CAS_BEACON_PORT" not in each.env:
            env = {**each.env, "EPICS_CAS_BEACON_PORT": port}
            text = f"{each.name} sends its beacons to port 5065, whatever EPICS_CA_REPEATER_PORT says"
            yield text, with_server(scenario, each, env=env)
        listed = each.env.get("EPICS_CAS_BEACON_ADDR_LIST", "").split()
        for word in listed:
            address, colon, other = word.partition(":")
            if colon:
                kept = " ".join(address if entry == word else entry for entry in listed)
                text = f"the beacons of {each.name} go to UDP port {other} of {address}, where no repeater listens"
                yield text, with_server(scenario, each, env={**each.env, "EPICS_CAS_BEACON_ADDR_LIST": kept})


FLAWS = {
    "truncated": "a datagram that it does not understand",
    "empty": "a datagram without bytes",
    "unnamed": "a search with an empty name",
    "unknown": "a command that does not exist",
    "bounced": "word that a reply could not be delivered",
}


def flaws(scenario: Scenario) -> Iterator[Change]:
    """A server that is written to be wrong, as old ones were."""
    for each in scenario.servers:
        for option, sentence in flaws_of(each):
            options = {key: value for key, value in each.options.items() if key != option}
            yield sentence, with_server(scenario, each, options=options)


def flaws_of(server: Server) -> Iterator[tuple[str, str]]:
    """Yield option and sentence of each flaw that a scripted server has."""
    if server.implementation != "scripted":
        return
    options = server.options
    fragile = str(options.get("fragile", "")).split()
    if fragile:
        what = " or ".join(FLAWS.get(each, each) for each in fragile)
        yield "fragile", f"the server {server.name} stops reading searches at {what}"
    if options.get("remembers"):
        yield "remembers", f"the server {server.name} keeps a record of every search"
    if options.get("leaks"):
        yield "leaks", f"the server {server.name} keeps the sockets of clients that have gone"
    if options.get("accept") is False:
        yield "accept", f"the server {server.name} answers searches, but its TCP port accepts no connection"
    if options.get("reuse") is False:
        yield "reuse", f"the server {server.name} does not share its UDP port"
    if options.get("late"):
        yield "late", f"the server {server.name} answers each search only when the next datagram comes"
    if options.get("claims"):
        yield "claims", f"the server {server.name} answers searches for names that it does not serve"
    if int(options.get("copies", 1)) > 1:
        yield "copies", f"the server {server.name} sends each reply {options['copies']} times"
    if float(options.get("delay", 0)) > 0:
        yield "delay", f"the server {server.name} answers a search after {options['delay']} seconds"
    if int(options.get("minor", 13)) < 13:
        yield "minor", f"the server {server.name} speaks the old protocol version 4.{options['minor']}"


def impatient_clients(scenario: Scenario) -> Iterator[tuple[str, float, int]]:
    """Yield each client that gives up before a server answers: name, its timeout, the search that is answered.

    libca searches first after 32 ms and then at doubled intervals (``udpiiu.h``).
    """
    for server in scenario.servers:
        number = int(server.options.get("answer_from", 1)) if server.implementation == "scripted" else 1
        needed = 0.032 * (2 ** (number - 1) - 1)
        for client in scenario.clients:
            if number > 1 and client.timeout < needed:
                yield client.name, client.timeout, number


def impatience(scenario: Scenario) -> Iterator[Change]:
    """A client gives up too early."""
    for name, timeout, number in impatient_clients(scenario):
        clients = tuple(replace(each, timeout=10.0) if each.name == name else each for each in scenario.clients)
        text = f"{name} gives up after {timeout} seconds, before its search number {number}, the first that is answered"
        yield text, replace(scenario, clients=clients)


def misleads(scenario: Scenario, server: Server) -> bool:
    """Tell whether the last interface of a server's list is of another network than who listens for its beacons."""
    listed = server.env.get("EPICS_CAS_INTF_ADDR_LIST", "").split()
    places = [str(each.args.get("host")) for each in scenario.steps if each.do == "beacons"]
    if len(listed) < 2 or not places:
        return False
    last = quad(listed[-1])
    near = [each.network for place in places for each in scenario.topology.host(place).addresses]
    return last is not None and not any(IPv4Address(last) in each for each in near)


def beacon_address(scenario: Scenario) -> Iterator[Change]:
    """A server with several interfaces names the last one in all its beacons."""
    for each in scenario.servers:
        if misleads(scenario, each):
            text = f"{each.name} fills the address of its beacons with the last interface of its list"
            yield text, with_server(scenario, each, implementation="canet", layout="rsrv")
