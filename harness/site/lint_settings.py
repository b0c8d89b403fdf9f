"""Traps in a site's settings that need no prediction: lists, spellings, masks, duplicate addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from canet.harness.predict.addresses import quad, resolve, server_port
from canet.harness.predict.network import HostTables, Network
from canet.netns.topology import Address
from canet.scenarios.model import Scenario

LISTS = (
    "EPICS_CA_ADDR_LIST",
    "EPICS_CA_NAME_SERVERS",
    "EPICS_CAS_INTF_ADDR_LIST",
    "EPICS_CAS_IGNORE_ADDR_LIST",
    "EPICS_CAS_BEACON_ADDR_LIST",
)
SWITCHES = ("EPICS_CA_AUTO_ADDR_LIST", "EPICS_CAS_AUTO_BEACON_ADDR_LIST", "EPICS_CA_AUTO_ARRAY_BYTES")
PORTS = ("EPICS_CA_SERVER_PORT", "EPICS_CAS_SERVER_PORT", "EPICS_CA_REPEATER_PORT", "EPICS_CAS_BEACON_PORT")
OTHERS = (
    "EPICS_CA_CONN_TMO",
    "EPICS_CA_MAX_ARRAY_BYTES",
    "EPICS_CA_BEACON_PERIOD",
    "EPICS_CAS_BEACON_PERIOD",
    "EPICS_CA_MAX_SEARCH_PERIOD",
    "EPICS_CA_MCAST_TTL",
    "EPICS_CA_ECHO_TIMEOUT",
    "EPICS_IOC_IGNORE_SERVERS",
    "EPICS_CLI_TIMEOUT",
)
KNOWN = (*LISTS, *SWITCHES, *PORTS, *OTHERS)
"""Variables of Channel Access; EPICS Base configure/CONFIG_ENV."""


@dataclass(frozen=True, slots=True)
class Trap:
    """A setting that does something else than it seems to."""

    kind: str
    where: str
    """Dotted path of the setting."""
    text: str
    remedy: str
    """``path = value`` that heals it."""


def traps(scenario: Scenario, network: Network) -> Iterator[Trap]:
    """Yield all traps in the settings of clients and servers, and in the addresses of hosts."""
    ports = {host: set() for host in network.hosts}  # type: dict[str, set[int]]
    for server in scenario.servers:
        ports[server.host].add(server_port(server.env, "EPICS_CAS_SERVER_PORT"))
    owners = {each.ip: tables.name for tables in network.hosts.values() for d in tables.devices for each in d.addresses}
    for client in scenario.clients:
        place = f"clients.{client.name}.env"
        yield from _environment(place, client.env, network.hosts[client.host], client.implementation)
        yield from _missing_ports(place, client.env, owners, ports)
    kind = "iocs" if scenario.servers and scenario.servers[0].implementation == "rsrv" else "servers"
    for server in scenario.servers:
        place = f"{kind}.{server.name}.env"
        yield from _environment(place, server.env, network.hosts[server.host], server.implementation or "canet")
        yield from _interfaces(place, server.env, network.hosts[server.host])
    yield from _addresses(scenario)


def _environment(place: str, env: Mapping[str, str], host: HostTables, who: str) -> Iterator[Trap]:
    for key, value in env.items():
        if key in LISTS:
            yield from _list(place, key, value, host, who)
        elif key in SWITCHES:
            yield from _switch(place, key, value)
        elif key in PORTS and value and not (value.isdigit() and 5000 < int(value) <= 65535):
            yield Trap("port", f"{place}.{key}", f"{value!r} is no port from 5001 to 65535, so the default is used", "")
        elif key.startswith("EPICS_CA") and key not in KNOWN:
            close = get_close_matches(key, KNOWN, 1, 0.8)
            hint = f"; {close[0]} is meant?" if close else ""
            remedy = f"{place}.{close[0]} = {value!r}" if close else ""
            yield Trap("unknown-variable", f"{place}.{key}", f"nobody reads {key}{hint}", remedy)


def _list(place: str, key: str, value: str, host: HostTables, who: str) -> Iterator[Trap]:
    where = f"{place}.{key}"
    good = " ".join(dict.fromkeys(value.replace(",", " ").replace(";", " ").split()))
    for sign, name in ((",", "a comma"), (";", "a semicolon")):
        if sign in value:
            yield Trap("separator", where, f"{name} separates nothing: only white space does", f"{where} = {good!r}")
    if who == "caproto" and any(each in value for each in "\t\n"):
        yield Trap("separator", where, "caproto splits lists at spaces only", f"{where} = {good!r}")
    words = value.replace(",", " ").replace(";", " ").split()
    for word, count in Counter(words).items():
        if count > 1:
            yield Trap("duplicate-entry", where, f"{word} stands there {count} times", f"{where} = {good!r}")
        name, colon, number = word.partition(":")
        if resolve(host, name) is None:
            left = " ".join(each for each in good.split() if each != word)
            text = f"{name} is no address, and {host.name} does not resolve it: the entry is skipped"
            yield Trap("unresolvable", where, text, f"{where} = {left!r}")
        elif colon and not (number.isdigit() and int(number) < 65536):
            yield Trap("port", where, f"{word} has no usable port", "")


def _switch(place: str, key: str, value: str) -> Iterator[Trap]:
    where = f"{place}.{key}"
    if value in ("YES", "NO", ""):
        return
    if key == "EPICS_CAS_AUTO_BEACON_ADDR_LIST":
        if value.lower() not in ("yes", "no"):
            yield Trap("switch", where, f"{value!r} means NO: only yes, in any case, is yes", f"{where} = 'NO'")
    elif "no" not in value and "NO" not in value and value.lower() != "yes":
        text = f"{value!r} means YES for libca, which looks for no or NO in the text; caproto takes it for NO"
        yield Trap("switch", where, text, f"{where} = 'NO'")


def _missing_ports(
    place: str, env: Mapping[str, str], owners: Mapping[int, str], ports: Mapping[str, set[int]]
) -> Iterator[Trap]:
    default = server_port(env)
    value = env.get("EPICS_CA_ADDR_LIST", "")
    for word in value.split():
        number = quad(word)
        host = owners.get(number) if number is not None else None
        if host is None or not ports.get(host) or default in ports[host]:
            continue
        port = min(ports[host])
        where = f"{place}.EPICS_CA_ADDR_LIST"
        text = f"{word} has no port, and the IOCs of {host} are on {', '.join(map(str, sorted(ports[host])))}"
        yield Trap("missing-port", where, text, f"{where} = {value.replace(word, f'{word}:{port}')!r}")


def _interfaces(place: str, env: Mapping[str, str], host: HostTables) -> Iterator[Trap]:
    where = f"{place}.EPICS_CAS_INTF_ADDR_LIST"
    words = env.get("EPICS_CAS_INTF_ADDR_LIST", "").split()
    numbers = {word: quad(word.partition(":")[0]) for word in words}
    if len(words) > 1 and 0 in numbers.values():
        text = "0.0.0.0 together with other addresses stops rsrv at its start"
        yield Trap("interface", where, text, f"{where} = '0.0.0.0'")
    for word, number in numbers.items():
        if number and number >> 28 != 14 and number not in host.local and number >> 24 != 127:
            yield Trap("interface", where, f"{word} is no address of {host.name}: rsrv skips it", "")


def _addresses(scenario: Scenario) -> Iterator[Trap]:
    seen: dict[object, str] = {}
    for host in scenario.topology.hosts:
        for interface in host.interfaces:
            for address in interface.addresses:
                where = f"hosts.{host.name}.interfaces.{interface.name}.addresses"
                if address.ip in seen:
                    yield Trap("duplicate-address", where, f"{address.ip} is also that of {seen[address.ip]}", "")
                seen.setdefault(address.ip, host.name)
                if address.peer is not None or address.prefix > 30:
                    continue
                good = f"{where} = ['{address.ip}/{address.prefix}']"
                if address.broadcast is None:
                    text = f"{address.ip} has no broadcast attribute: automatic lists get its own address instead"
                    yield Trap("no-broadcast", where, text, good)
                elif address.broadcast != address.network.broadcast_address:
                    text = f"the broadcast address {address.broadcast} is not that of {address.network}"
                    yield Trap("wrong-broadcast", where, text, good)
    yield from _masks(scenario)


def _masks(scenario: Scenario) -> Iterator[Trap]:
    """Hosts of one segment whose addresses overlap, but whose masks differ: the minority is in the wrong."""
    members: dict[str, list[tuple[str, str, Address, int]]] = {each.name: [] for each in scenario.topology.segments}
    for host in scenario.topology.hosts:
        for interface in host.interfaces:
            for address in interface.addresses if interface.segment in members else ():
                if address.peer is None and address.prefix < 31:
                    members[str(interface.segment)].append((host.name, interface.name, address, address.prefix))
    for segment, found in members.items():
        usual, count = (Counter(each[3] for each in found).most_common(1) or [(0, 0)])[0]
        for name, device, mine, prefix in found if count > 1 or len(found) == 2 else ():
            if prefix != usual:
                where = f"hosts.{name}.interfaces.{device}.addresses"
                text = (
                    f"/{prefix} where the others on {segment} have /{usual}: broadcasts of one are none for the other"
                )
                yield Trap("netmask", where, text, f"{where} = ['{mine.ip}/{usual}']")
