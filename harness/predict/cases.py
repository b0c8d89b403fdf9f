"""Cases for the differential test: a topology, sockets in it, and datagrams and connections to try.

A case is a value that reads and writes as JSON, so that a difference can be kept as a regression case, and that
can be made smaller by leaving out one element after the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import TypeVar

import msgspec

from canet.netns.topology import Host, Interface, Topology

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketSpec:
    """A UDP socket (or a TCP listener) that a case opens, in the order of the list."""

    name: str
    host: str
    address: str = "0.0.0.0"
    port: int = 5064
    reuse_addr: bool = True
    reuse_port: bool = True
    uid: int = 0
    tcp: bool = False
    full: bool = False
    """TCP only: its queue is full, and nobody accepts."""
    groups: tuple[str, ...] = ()
    """Multicast groups joined on the interface that the route names, or ``group@interface``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotSpec:
    """A datagram that a case sends (or a connection that it tries) from a socket of its own."""

    host: str
    to: str
    port: int = 5064
    bind: str = "0.0.0.0"
    sport: int = 40001
    size: int = 72
    uid: int = 0
    tcp: bool = False
    through: str = ""
    """An interface on which a frame for everybody is put instead, past the host's own stack …"""
    claims: str = ""
    """… with this source address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A topology, sockets, and what is sent."""

    topology: Topology
    sockets: tuple[SocketSpec, ...] = ()
    shots: tuple[ShotSpec, ...] = ()
    note: str = ""


def to_json(case: Case) -> str:
    """Write a case, without what has its default."""
    return json.dumps(_lean(case), indent=1)


def from_json(text: str) -> Case:
    """Read a case that :func:`to_json` wrote.

    Raises:
        msgspec.ValidationError: with the place that is wrong.
    """
    return msgspec.json.decode(text, type=Case, dec_hook=_read)


def _read(wanted: type, value: object) -> object:
    if wanted in (IPv4Address, IPv4Network):
        return wanted(value)
    raise NotImplementedError(wanted)


def _lean(value: object) -> object:
    if is_dataclass(value):
        found = {}
        for each in fields(value):
            item = getattr(value, each.name)
            if item != each.default or each.name in ("host", "name", "to"):
                found[each.name] = _lean(item)
        return found
    if isinstance(value, tuple | list):
        return [_lean(each) for each in value]
    if isinstance(value, IPv4Address | IPv4Network):
        return str(value)
    return value


def smaller(case: Case) -> Iterator[Case]:
    """Yield the cases that lack one element of this one, the largest elements first."""
    for number in range(len(case.shots)):
        if len(case.shots) > 1:
            yield replace(case, shots=(*case.shots[:number], *case.shots[number + 1 :]))
    for number in range(len(case.sockets)):
        yield replace(case, sockets=_without(case.sockets, number))
    for host in case.topology.hosts:
        used = {each.host for each in case.sockets} | {each.host for each in case.shots}
        if host.name not in used and not _cabled(case.topology, host.name):
            hosts = tuple(each for each in case.topology.hosts if each is not host)
            yield replace(case, topology=replace(case.topology, hosts=hosts))
    for number, host in enumerate(case.topology.hosts):
        needed = {each.through for each in case.shots if each.host == host.name}
        for less in _smaller_host(host):
            if not needed <= {"", *(each.name for each in less.interfaces)}:
                continue
            hosts = case.topology.hosts
            yield replace(case, topology=replace(case.topology, hosts=(*hosts[:number], less, *hosts[number + 1 :])))


def _cabled(topology: Topology, name: str) -> bool:
    far = f"{name}."
    return any((each.link or each.parent or "").startswith(far) for host in topology.hosts for each in host.interfaces)


def _without(items: tuple[T, ...], number: int) -> tuple[T, ...]:
    return (*items[:number], *items[number + 1 :])


def _smaller_host(host: Host) -> Iterator[Host]:
    for number, interface in enumerate(host.interfaces):
        if interface.link is None:
            yield replace(host, interfaces=_without(host.interfaces, number))
        for less in _smaller_interface(interface):
            yield replace(host, interfaces=(*host.interfaces[:number], less, *host.interfaces[number + 1 :]))
    for number in range(len(host.routes)):
        yield replace(host, routes=_without(host.routes, number))
    for number in range(len(host.rules)):
        yield replace(host, rules=_without(host.rules, number))
    for number in range(len(host.policies)):
        yield replace(host, policies=_without(host.policies, number))
    for number in range(len(host.sysctls)):
        yield replace(host, sysctls=_without(host.sysctls, number))


def _smaller_interface(interface: Interface) -> Iterator[Interface]:
    plain = Interface(name=interface.name)
    for number in range(len(interface.addresses)):
        yield replace(interface, addresses=_without(interface.addresses, number))
    if interface.port != plain.port:
        yield replace(interface, port=plain.port)
    if interface.mtu != plain.mtu:
        yield replace(interface, mtu=plain.mtu)
    if not interface.up:
        yield replace(interface, up=True)
    if not interface.plugged:
        yield replace(interface, plugged=True)
    if interface.impairments:
        yield replace(interface, impairments=())
