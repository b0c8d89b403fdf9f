"""Read this machine's interfaces, addresses, routes and settings; nothing is sent to a network, nothing is changed.

Addresses, links and routes come from rtnetlink dumps (rtnetlink(7)), settings from ``/proc/sys/net/ipv4``.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from canet.netns.netlink import Message, Netlink, decode_attributes

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE = 18, 22, 26
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU = 1, 3, 4
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC = 1, 4, 5, 6, 7
MAIN_TABLE = 254
PROTO_KERNEL = 2
ROUTE_TYPES = {1: "unicast", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
IFF_UP, IFF_LOOPBACK = 1, 8
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
    for payload in channel.dump(Message(RTM_GETLINK, struct.pack("=BxHiII", 0, 0, 0, 0, 0), (), 0, "list links")):
        _, _, index, flags, _ = struct.unpack_from("=BxHiII", payload)
        attributes = decode_attributes(payload[16:])
        name = attributes.get(IFLA_IFNAME, b"?").rstrip(b"\0").decode(errors="replace")
        (mtu,) = struct.unpack("=I", attributes.get(IFLA_MTU, b"\xdc\x05\0\0"))
        found[index] = Card(index, name, bool(flags & IFF_UP), bool(flags & IFF_LOOPBACK), mtu)
    return found


def _addresses(channel: Netlink, cards: dict[int, Card]) -> None:
    request = Message(RTM_GETADDR, struct.pack("=BBBBI", socket.AF_INET, 0, 0, 0, 0), (), 0, "list addresses")
    for payload in channel.dump(request):
        family, prefix, _, _, index = struct.unpack_from("=BBBBI", payload)
        attributes = decode_attributes(payload[8:])
        local = attributes.get(IFA_LOCAL) or attributes.get(IFA_ADDRESS)
        if family != socket.AF_INET or local is None or index not in cards:
            continue
        far = attributes.get(IFA_ADDRESS, local)
        broadcast = attributes.get(IFA_BROADCAST)
        cards[index].addresses.append(_address(local, prefix, far, broadcast))
        cards[index].networks.append(IPv4Network((far, prefix), strict=False))


def _address(local: bytes, prefix: int, far: bytes, broadcast: bytes | None) -> str:
    text = f"{IPv4Address(local)}/{prefix}"
    if far != local:
        return f"{text} peer {IPv4Address(far)}"
    network = IPv4Network((local, prefix), strict=False)
    if prefix < 31 and broadcast is None:
        return f"{text} brd none"
    if broadcast is not None and IPv4Address(broadcast) != network.broadcast_address:
        return f"{text} brd {IPv4Address(broadcast)}"
    return text


def _routes(channel: Netlink, cards: dict[int, Card]) -> list[dict[str, str | int]]:
    found: list[dict[str, str | int]] = []
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
    for payload in channel.dump(Message(RTM_GETROUTE, body, (), 0, "list routes")):
        family, length, _, _, table, proto, _, kind, _ = struct.unpack_from("=BBBBBBBBI", payload)
        if family != socket.AF_INET or table != MAIN_TABLE or proto == PROTO_KERNEL or kind not in ROUTE_TYPES:
            continue
        attributes = decode_attributes(payload[12:])
        to = IPv4Network((attributes.get(RTA_DST, b"\0\0\0\0"), length))
        route: dict[str, str | int] = {"to": "default" if length == 0 else str(to)}
        if RTA_GATEWAY in attributes:
            route["via"] = str(IPv4Address(attributes[RTA_GATEWAY]))
        if RTA_OIF in attributes:
            (index,) = struct.unpack("=I", attributes[RTA_OIF])
            if index in cards:
                route["dev"] = cards[index].name
        if RTA_PREFSRC in attributes:
            route["src"] = str(IPv4Address(attributes[RTA_PREFSRC]))
        if RTA_PRIORITY in attributes:
            (route["metric"],) = struct.unpack("=I", attributes[RTA_PRIORITY])
        if kind != 1:
            route["type"] = ROUTE_TYPES[kind]
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
