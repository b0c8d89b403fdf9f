"""Topology → the steps that build it, in order. Pure: needs no root, prints well, is tested without a kernel.

The order matters to the kernel: namespaces first, with the settings that later interfaces inherit; then bridges and
cables, whose far ends appear straight in the hosts; then, host by host, what is inside. Interface indexes are
chosen here, so that no step has to ask the kernel for one and all messages to one namespace travel together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from canet.netns.check import check
from canet.netns.errors import TopologyError
from canet.netns.topology import Address, Hook, Host, Impairment, Interface, Port, Route, Rule, Topology

WIRE = "(wire)"
"""The namespace that holds the bridges. No host can have this name."""

_FIRST_PORT = 10001
"""All indexes of a network differ: the kernel takes two ends of equal index for no pair, and may then report the
carrier of a new cable only at its next one-second tick (net/core/link_watch.c, linkwatch_urgent_event)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeNamespace:
    """A network namespace of its own."""

    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeBridge:
    """The bridge of a segment."""

    namespace: str
    name: str
    index: int
    mac: str
    mtu: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeCable:
    """A veth pair: one end here (a bridge port if ``bridge``), the other in a host."""

    namespace: str
    name: str
    index: int
    mac: str
    mtu: int
    bridge: int | None
    far_namespace: str
    far_name: str
    far_index: int
    far_mac: str
    far_mtu: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeMacvlan:
    """A macvlan in bridge mode on an interface of ``parent_namespace``, put into ``namespace``."""

    namespace: str
    name: str
    index: int
    mac: str
    mtu: int
    parent_namespace: str
    parent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPort:
    """The flags of a bridge port."""

    namespace: str
    index: int
    port: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLink:
    """An interface goes up or down."""

    namespace: str
    name: str
    index: int
    up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAddress:
    """An address for an interface."""

    namespace: str
    name: str
    index: int
    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRoute:
    """A route in the main table."""

    namespace: str
    route: Route
    index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSysctl:
    """A setting below ``/proc/sys/net``."""

    namespace: str
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOffload:
    """Checksums are computed when sent, so that captured and relayed frames carry them."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRules:
    """All firewall rules of a host; they replace what was there."""

    namespace: str
    rules: tuple[Rule, ...]
    policies: tuple[tuple[Hook, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Impair:
    """What a cable does to packets."""

    namespace: str
    name: str
    impairment: Impairment


Step = (
    MakeNamespace
    | MakeBridge
    | MakeCable
    | MakeMacvlan
    | SetPort
    | SetLink
    | AddAddress
    | AddRoute
    | SetSysctl
    | SetOffload
    | SetRules
    | Impair
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an interface ended up: its index in its host, and that of its bridge port, if it has one."""

    index: int
    port: int | None = None
    bridge: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The steps of a topology, and the indexes that they give."""

    steps: tuple[Step, ...]
    places: dict[tuple[str, str], Place]
    """(host, interface) → where it is."""
    segments: dict[str, int]
    """Segment → index of its bridge."""

    @property
    def ports(self) -> dict[int, tuple[str, str]]:
        """Index of a bridge port → (host, interface)."""
        return {place.port: key for key, place in self.places.items() if place.port is not None}

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))


def plan(topology: Topology) -> Plan:
    """Turn a topology into the steps that build it.

    Raises:
        TopologyError: with every mistake that :func:`canet.netns.check.check` finds.
    """
    problems = check(topology)
    if problems:
        raise TopologyError(problems)
    segments = {segment.name: number for number, segment in enumerate(topology.segments, 2)}
    places = _places(topology, segments)
    steps = [
        *(MakeNamespace(namespace=name) for name in (WIRE, *(host.name for host in topology.hosts))),
        *_bridges(topology, segments),
        *_cables(topology, places),
        *(step for host in topology.hosts for step in _inside(host, places)),
        *_macvlans(topology, places),
        *(step for host in topology.hosts for step in _after(host, places)),
    ]
    return Plan(steps=tuple(steps), places=places, segments=segments)


def _places(topology: Topology, segments: dict[str, int]) -> dict[tuple[str, str], Place]:
    places: dict[tuple[str, str], Place] = {}
    count = 0
    for host in topology.hosts:
        for interface in host.interfaces:
            if interface.segment is None:
                place = Place(index=2 + count)
            else:
                place = Place(index=2 + count, port=_FIRST_PORT + count, bridge=segments[interface.segment])
            places[host.name, interface.name] = place
            count += 1
    return places


def _mac(kind: int, major: int, minor: int) -> str:
    """Return a locally administered address that tells what it belongs to."""
    return f"{kind:02x}:ca:{major >> 8:02x}:{major & 255:02x}:{minor >> 8:02x}:{minor & 255:02x}"


def _bridges(topology: Topology, segments: dict[str, int]) -> Iterator[Step]:
    for segment in topology.segments:
        index = segments[segment.name]
        yield MakeBridge(namespace=WIRE, name=f"br{index}", index=index, mac=_mac(0x06, 0, index), mtu=segment.mtu)


def _cables(topology: Topology, places: dict[tuple[str, str], Place]) -> Iterator[Step]:
    numbers = {host.name: number for number, host in enumerate(topology.hosts)}
    mtu = {segment.name: segment.mtu for segment in topology.segments}
    for host, interface, mac in _interfaces(topology, places):
        place = places[host.name, interface.name]
        if interface.segment is not None and place.port is not None:
            yield MakeCable(
                namespace=WIRE,
                name=f"p{place.port}",
                index=place.port,
                mac=_mac(0x0A, place.port, 0),
                mtu=max(mtu[interface.segment], interface.mtu),
                bridge=place.bridge,
                far_namespace=host.name,
                far_name=interface.name,
                far_index=place.index,
                far_mac=mac,
                far_mtu=interface.mtu,
            )
            if not interface.plugged:
                yield SetLink(namespace=WIRE, name=f"p{place.port}", index=place.port, up=False)
            if interface.port != Port():
                yield SetPort(namespace=WIRE, index=place.port, port=interface.port)
        elif interface.link is not None:
            far_host, _, far_name = interface.link.rpartition(".")
            if (numbers[far_host], far_name) < (numbers[host.name], interface.name):
                continue  # made from its other end
            far = topology.host(far_host).interface(far_name)
            far_place = places[far_host, far_name]
            yield MakeCable(
                namespace=host.name,
                name=interface.name,
                index=place.index,
                mac=mac,
                mtu=interface.mtu,
                bridge=None,
                far_namespace=far_host,
                far_name=far_name,
                far_index=far_place.index,
                far_mac=far.mac or _mac(0x02, numbers[far_host] + 1, far_place.index),
                far_mtu=far.mtu,
            )


def _interfaces(topology: Topology, places: dict[tuple[str, str], Place]) -> Iterator[tuple[Host, Interface, str]]:
    """Yield each host and interface with its MAC address."""
    for number, host in enumerate(topology.hosts, 1):
        for interface in host.interfaces:
            yield host, interface, interface.mac or _mac(0x02, number, places[host.name, interface.name].index)


def _macvlans(topology: Topology, places: dict[tuple[str, str], Place]) -> Iterator[Step]:
    for host, interface, mac in _interfaces(topology, places):
        if interface.parent is None:
            continue
        parent_host, _, parent_name = interface.parent.rpartition(".")
        index = places[host.name, interface.name].index
        yield MakeMacvlan(
            namespace=host.name,
            name=interface.name,
            index=index,
            mac=mac,
            mtu=interface.mtu,
            parent_namespace=parent_host,
            parent=places[parent_host, parent_name].index,
        )
        yield from _configure(host, interface, index)


def _inside(host: Host, places: dict[tuple[str, str], Place]) -> Iterator[Step]:
    if host.loopback:
        yield SetLink(namespace=host.name, name="lo", index=1, up=True)
    for interface in host.interfaces:
        if interface.parent is None:
            yield SetOffload(namespace=host.name, name=interface.name)
    for interface in host.interfaces:
        if interface.parent is None:
            yield from _configure(host, interface, places[host.name, interface.name].index)


def _configure(host: Host, interface: Interface, index: int) -> Iterator[Step]:
    for address in interface.addresses:
        yield AddAddress(namespace=host.name, name=interface.name, index=index, address=address)
    if interface.up:
        yield SetLink(namespace=host.name, name=interface.name, index=index, up=True)


def _after(host: Host, places: dict[tuple[str, str], Place]) -> Iterator[Step]:
    for route in host.routes:
        index = None if route.dev is None else 1 if route.dev == "lo" else places[host.name, route.dev].index
        yield AddRoute(namespace=host.name, route=route, index=index)
    for key, value in host.sysctls:
        yield SetSysctl(namespace=host.name, key=key, value=value)
    if host.rules or host.policies:
        yield SetRules(namespace=host.name, rules=host.rules, policies=host.policies)
    for interface in host.interfaces:
        for impairment in interface.impairments:
            yield Impair(namespace=host.name, name=interface.name, impairment=impairment)
