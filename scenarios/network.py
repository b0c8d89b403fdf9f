"""From the tables ``segments`` and ``hosts`` of a document to a :class:`~canet.netns.topology.Topology`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import TypeVar

from canet.netns.topology import (
    Address,
    Host,
    Impairment,
    Interface,
    Port,
    Route,
    Rule,
    Segment,
    Topology,
)
from canet.scenarios.document import (
    HostTable,
    ImpairmentTable,
    InterfaceTable,
    RouteTable,
    RuleTable,
    SegmentTable,
)
from canet.scenarios.errors import MistakeError, unknown

T = TypeVar("T")


def topology(segments: Mapping[str, SegmentTable], hosts: Mapping[str, HostTable]) -> Topology:
    """Return the network that the tables describe.

    Raises:
        MistakeError: an address, port or hardware address that cannot be read; a segment, interface or host that is
            named and does not exist; an address that two interfaces of a segment share.
    """
    known = Topology(
        hosts=tuple(_host(name, table) for name, table in hosts.items()),
        segments=tuple(Segment(name=name, mtu=table.mtu) for name, table in segments.items()),
    )
    _check_plugs(known, segments)
    _check_addresses(known)
    return known


def _host(name: str, table: HostTable) -> Host:
    key = f"hosts.{name}"
    for path in table.files:
        if not path.startswith("/") or ".." in path.split("/"):
            raise MistakeError(f"{key}.files", repr(path), "an absolute path")
    for sysctl in table.sysctls:
        if not re.fullmatch(r"[a-z][\w.\-/]*", sysctl) or ".." in sysctl:
            raise MistakeError(f"{key}.sysctls", repr(sysctl), "a dotted name such as net.ipv4.ip_forward")
    devices = [*table.interfaces, "lo"]
    for index, each in enumerate(table.routes):
        if each.dev is not None and each.dev not in devices:
            raise unknown(f"{key}.routes[{index}].dev", each.dev, devices, f"an interface of {name}")
    for index, each_rule in enumerate(table.rules):
        for end in ("iif", "oif"):
            device = getattr(each_rule, end)
            if device is not None and device not in devices:
                raise unknown(f"{key}.rules[{index}].{end}", device, devices, f"an interface of {name}")
    return Host(
        name=name,
        interfaces=tuple(
            _interface(f"{key}.interfaces.{device}", device, each) for device, each in table.interfaces.items()
        ),
        routes=tuple(route(f"{key}.routes[{index}]", each) for index, each in enumerate(table.routes)),
        rules=tuple(rule(f"{key}.rules[{index}]", each) for index, each in enumerate(table.rules)),
        policies=tuple(table.policies.items()),
        sysctls=tuple((sysctl, str(value)) for sysctl, value in table.sysctls.items()),
        hostname=table.hostname,
        files=tuple(table.files.items()),
        loopback=table.loopback,
    )


def _interface(key: str, name: str, table: InterfaceTable) -> Interface:
    ends = [end for end in ("segment", "link", "parent") if getattr(table, end) is not None]
    if len(ends) != 1:
        raise MistakeError(
            key, "an interface with " + (" and ".join(ends) or "no place"), "one of segment, link, parent"
        )
    if table.mac is not None and not re.fullmatch(r"[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}", table.mac):
        raise MistakeError(f"{key}.mac", repr(table.mac), "a unicast hardware address such as 02:00:00:00:00:01")
    return Interface(
        name=name,
        segment=table.segment,
        link=table.link,
        parent=table.parent,
        addresses=tuple(address(f"{key}.addresses[{index}]", each) for index, each in enumerate(table.addresses)),
        up=table.up,
        mtu=table.mtu,
        mac=table.mac,
        port=Port(
            bcast_flood=table.port.bcast_flood,
            mcast_flood=table.port.mcast_flood,
            flood=table.port.flood,
            isolated=table.port.isolated,
        ),
        impairments=tuple(impairment(each) for each in table.impairments),
    )


def impairment(table: ImpairmentTable) -> Impairment:
    """Return what a cable does to packets."""
    return Impairment(
        direction=table.direction,
        loss=float(table.loss),
        delay=float(table.delay),
        jitter=float(table.jitter),
        duplicate=float(table.duplicate),
        reorder=float(table.reorder),
        corrupt=float(table.corrupt),
        rate=table.rate,
        cut=table.cut,
        seed=table.seed,
    )


def route(key: str, table: RouteTable) -> Route:
    """Return a route; ``key`` is where it stands, for the error."""
    if table.type == "unicast" and table.via is None and table.dev is None:
        raise MistakeError(key, "a route without a way", "via (the router's address) or dev (the interface)")
    return Route(
        to=network(f"{key}.to", table.to),
        via=_optional(f"{key}.via", table.via, ip),
        dev=table.dev,
        src=_optional(f"{key}.src", table.src, ip),
        metric=table.metric,
        type=table.type,
    )


HOOKS = {
    "verdict": ("input", "forward", "output", "prerouting", "postrouting"),
    "dnat": ("prerouting", "output"),
    "snat": ("postrouting",),
    "masquerade": ("postrouting",),
}
"""Where each action is possible (nft(8), statements)."""


def rule(key: str, table: RuleTable) -> Rule:
    """Return a rule; ``key`` is where it stands, for the error."""
    actions = [each for each in HOOKS if getattr(table, each)]
    if len(actions) != 1:
        raise MistakeError(
            key, "a rule with " + (" and ".join(actions) or "no action"), "one of verdict, dnat, snat, masquerade"
        )
    if table.hook not in HOOKS[actions[0]]:
        raise unknown(f"{key}.hook", table.hook, HOOKS[actions[0]], f"a hook where {actions[0]} is possible")
    if (table.sport is not None or table.dport is not None) and table.proto not in ("udp", "tcp"):
        raise MistakeError(
            f"{key}.proto", repr(table.proto) if table.proto else "missing", "udp or tcp, as a port is given"
        )
    if table.uid is not None and table.hook != "output":
        raise MistakeError(f"{key}.uid", f"a condition at {table.hook}", "a condition at output only")
    target, _, target_port = (table.dnat or "").partition(":")
    return Rule(
        hook=table.hook,
        proto=table.proto,
        saddr=_optional(f"{key}.saddr", table.saddr, network),
        daddr=_optional(f"{key}.daddr", table.daddr, network),
        sport=_optional(f"{key}.sport", table.sport, ports),
        dport=_optional(f"{key}.dport", table.dport, ports),
        iif=table.iif,
        oif=table.oif,
        ct=tuple(table.ct),
        uid=table.uid,
        chance=float(table.chance),
        verdict=table.verdict,
        dnat=ip(f"{key}.dnat", target) if target else None,
        dnat_port=ports(f"{key}.dnat", target_port)[0] if target_port else None,
        snat=_optional(f"{key}.snat", table.snat, ip),
        masquerade=table.masquerade,
    )


def _optional(key: str, value: str | int | None, read: Callable[[str, str], T]) -> T | None:
    return None if value is None else read(key, str(value))


def ip(key: str, text: str) -> IPv4Address:
    """Read an address."""
    try:
        return IPv4Address(text)
    except ValueError:
        raise MistakeError(key, repr(text), "an IPv4 address such as 10.1.0.2") from None


def network(key: str, text: str) -> IPv4Network:
    """Read a network, an address (a network of one) or ``default``."""
    try:
        return IPv4Network("0.0.0.0/0" if text == "default" else text)
    except ValueError as error:
        if "host bits set" in str(error):
            right = IPv4Network(text, strict=False)
            raise MistakeError(
                key, f"{text!r}, which is an address inside a network", "the network", str(right)
            ) from None
        raise MistakeError(key, repr(text), "a network such as 10.1.0.0/24, an address, or 'default'") from None


def address(key: str, text: str) -> Address:
    """Read an address of an interface."""
    try:
        return Address.parse(text)
    except ValueError:
        raise MistakeError(
            key, repr(text), "ADDRESS/PREFIX such as 10.1.0.2/24, optionally with 'brd ADDRESS|none' or 'peer ADDRESS'"
        ) from None


def ports(key: str, text: str) -> tuple[int, int]:
    """Read a port or a range ``A-B``."""
    first, dash, last = text.partition("-")
    if first.isdecimal() and (last.isdecimal() or not dash):
        low, high = int(first), int(last or first)
        if 1 <= low <= high <= 65535:
            return low, high
    raise MistakeError(key, repr(text), "a port (1 to 65535) or a range such as 1024-65535")


def _check_plugs(net: Topology, segments: Mapping[str, SegmentTable]) -> None:
    ends = {f"{host.name}.{each.name}": each for host in net.hosts for each in host.interfaces}
    for end, interface in ends.items():
        host, _, device = end.partition(".")
        key = f"hosts.{host}.interfaces.{device}"
        if interface.segment is not None and interface.segment not in segments:
            raise unknown(f"{key}.segment", interface.segment, segments, "a segment of this file")
        for kind in ("link", "parent"):
            far = getattr(interface, kind)
            if far is not None and (far not in ends or far == end):
                raise unknown(f"{key}.{kind}", far, [each for each in ends if each != end], "another host.interface")
        if interface.link is not None and ends[interface.link].link != end:
            raise MistakeError(
                f"{key}.link", f"a cable to {interface.link}, which does not lead back", f"link = {end!r} there"
            )
        if interface.parent is not None and ends[interface.parent].parent is not None:
            raise MistakeError(f"{key}.parent", f"{interface.parent!r}, itself a macvlan", "an interface of a segment")


def _check_addresses(net: Topology) -> None:
    for host in net.hosts:
        for interface in host.interfaces:
            seen = [each.ip for each in interface.addresses]
            for index, each in enumerate(seen):
                if each in seen[:index]:
                    key = f"hosts.{host.name}.interfaces.{interface.name}.addresses[{index}]"
                    raise MistakeError(key, f"{str(each)!r} for the second time", "each address once")
