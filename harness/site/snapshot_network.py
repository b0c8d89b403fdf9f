"""Read this machine's interfaces, addresses, routes and settings; nothing is sent to a network, nothing is changed.

Addresses, links and routes come from rtnetlink dumps (rtnetlink(7)), settings from ``/proc/sys/net/ipv4``.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from canet.netns import rtnetlink
from canet.netns.netlink import Netlink

SETTINGS = ("rp_filter", "bc_forwarding", "forwarding", "accept_local", "route_localnet", "arp_ignore")


@dataclass(slots=True)
class Card:
    """One interface as it is now."""

    index: int
    name: str
    up: bool
    loopback: bool
    mtu: int
    addresses: list[str] = field(default_factory=list)
    """As scenario files write them, ``A/N brd B``."""
    networks: list[IPv4Network] = field(default_factory=list)


@dataclass(slots=True)
class Machine:
    """The network of a machine."""

    name: str
    cards: list[Card] = field(default_factory=list)
    routes: list[dict[str, str | int]] = field(default_factory=list)
    sysctls: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    """What could not be read, or cannot be said in a site file."""


def read_machine(name: str) -> Machine:
    """Read interfaces, addresses, routes and settings of the calling thread's network namespace."""
    machine = Machine(name)
    with Netlink() as channel:
        cards = _cards(channel)
        _addresses(channel, cards)
        machine.routes = _routes(channel, cards)
    machine.cards = list(cards.values())
    machine.sysctls = _settings([each.name for each in machine.cards])
    return machine


def _cards(channel: Netlink) -> dict[int, Card]:
    found = {}
    for link in channel.dump(rtnetlink.links_request()):
        flags, index = link["flags"], link["index"]
        name, mtu = link.get_attr("IFLA_IFNAME", "?"), link.get_attr("IFLA_MTU", 1500)
        up, loopback = bool(flags & rtnetlink.IFF_UP), bool(flags & rtnetlink.IFF_LOOPBACK)
        found[index] = Card(index, name, up, loopback, mtu)
    return found


def _addresses(channel: Netlink, cards: dict[int, Card]) -> None:
    for address in channel.dump(rtnetlink.addresses_request()):
        far: str | None = address.get_attr("IFA_ADDRESS")
        local = address.get_attr("IFA_LOCAL") or far
        prefix, index = address["prefixlen"], address["index"]
        if address["family"] != socket.AF_INET or local is None or index not in cards:
            continue
        far = far or local
        cards[index].addresses.append(_address(local, prefix, far, address.get_attr("IFA_BROADCAST")))
        cards[index].networks.append(IPv4Network((far, prefix), strict=False))


def _address(local: str, prefix: int, far: str, broadcast: str | None) -> str:
    text = f"{local}/{prefix}"
    if far != local:
        return f"{text} peer {far}"
    network = IPv4Network((local, prefix), strict=False)
    if prefix < 31 and broadcast is None:
        return f"{text} brd none"
    if broadcast is not None and IPv4Address(broadcast) != network.broadcast_address:
        return f"{text} brd {broadcast}"
    return text


def _routes(channel: Netlink, cards: dict[int, Card]) -> list[dict[str, str | int]]:
    found: list[dict[str, str | int]] = []
    types = {number: word for word, number in rtnetlink.ROUTE_TYPES.items()}
    for each in channel.dump(rtnetlink.routes_request()):
        if each["family"] != socket.AF_INET or each["table"] != rtnetlink.MAIN_TABLE:
            continue
        if each["proto"] == rtnetlink.PROTO_KERNEL or each["type"] not in types:
            continue
        length = each["dst_len"]
        route: dict[str, str | int] = {
            "to": "default" if length == 0 else str(IPv4Network((each.get_attr("RTA_DST", "0.0.0.0"), length)))
        }
        if (gateway := each.get_attr("RTA_GATEWAY")) is not None:
            route["via"] = gateway
        if (index := each.get_attr("RTA_OIF")) in cards:
            route["dev"] = cards[index].name
        if (source := each.get_attr("RTA_PREFSRC")) is not None:
            route["src"] = source
        if (metric := each.get_attr("RTA_PRIORITY")) is not None:
            route["metric"] = metric
        if types[each["type"]] != "unicast":
            route["type"] = types[each["type"]]
        found.append(route)
    return found


def _settings(names: list[str]) -> dict[str, str]:
    found = {}
    base = Path("/proc/sys/net/ipv4")
    with contextlib.suppress(OSError):
        if (base / "ip_forward").read_text().strip() == "1":
            found["net.ipv4.ip_forward"] = "1"
    for name in ("all", *names):
        for key in SETTINGS:
            with contextlib.suppress(OSError):
                value = (base / "conf" / name / key).read_text().strip()
                if value != "0" and not (key == "forwarding" and "net.ipv4.ip_forward" in found):
                    found[f"net.ipv4.conf.{name}.{key}"] = value
    return found
