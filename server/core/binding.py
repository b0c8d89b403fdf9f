"""Which sockets a server opens, from its settings and the host's interfaces alone.

``literal`` binds each address as it is given: an interface's address hears only unicasts, its broadcast address only
broadcasts. ``rsrv`` gives each interface two sockets, so that it hears both (``caservertask.c``). Multicast groups
are joined. A plan is a value: the same function is used when interfaces change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from canet.server.core.beacon import Destination
from canet.server.core.config import Config, Endpoint

WILDCARD = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class Interface:
    """An IPv4 address of an interface of this host."""

    name: str
    address: str
    netmask: str = "255.255.255.0"
    broadcast: str | None = None
    peer: str | None = None
    """Far end of a point-to-point link."""

    @property
    def loopback(self) -> bool:
        """Whether it is an address of the loopback."""
        return IPv4Address(self.address).is_loopback

    @property
    def directed(self) -> str | None:
        """Where a datagram to all on this link goes: the broadcast address, or the peer.

        An address whose broadcast attribute is missing is reported with its own address in place of it; the
        broadcast address of the subnet is meant.
        """
        if self.peer is not None and self.peer != self.address:
            return self.peer
        network = IPv4Network(f"{self.address}/{self.netmask}", strict=False)
        if network.prefixlen >= 31:
            return None
        if self.broadcast is None or self.broadcast == self.address:
            return str(network.broadcast_address)
        return self.broadcast


@dataclass(frozen=True, slots=True)
class Search:
    """A UDP socket for searches."""

    bind: Endpoint
    groups: tuple[tuple[str, str], ...] = ()
    """(multicast group, address of the interface that joins it); 0.0.0.0: as the routes say."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All sockets of a server but those for beacons, and where beacons go."""

    searches: tuple[Search, ...]
    tcp: tuple[str, ...]
    """Addresses that clients connect to, all with the same port."""
    beacons: tuple[Destination, ...]


def plan(config: Config, interfaces: Iterable[Interface]) -> Plan:
    """Return what a server with this configuration opens on a host with these interfaces."""
    present = tuple(interfaces)
    listed = tuple(each for each in config.interfaces if not each.multicast)
    groups = tuple(each for each in config.interfaces if each.multicast)
    named = listed or (Endpoint(WILDCARD, config.server_port),)
    searches: dict[Search, None] = {}
    tcp: dict[str, None] = {}
    for each in named:
        owner = _owner(each.host, present)
        joined: tuple[tuple[str, str], ...] = ()
        if each.host == WILDCARD:
            joined = tuple((group.host, source) for group in groups for source in _joiners(present))
        searches[Search(each, joined)] = None
        if config.layout == "rsrv" and owner is not None and owner.directed is not None and not owner.loopback:
            searches[Search(Endpoint(owner.directed, each.port))] = None
        # Nobody can connect to a broadcast address: the interface that it belongs to stands in for it.
        tcp[owner.address if owner is not None else each.host] = None
    if listed and WILDCARD not in (each.host for each in listed):
        own = [owner.address for each in listed if (owner := _owner(each.host, present)) is not None]
        for group in groups:
            searches[Search(group, tuple((group.host, source) for source in own or [WILDCARD]))] = None
    return Plan(tuple(searches), tuple(tcp), _beacons(config, named, present))


def _owner(address: str, interfaces: tuple[Interface, ...]) -> Interface | None:
    """Return the interface that has ``address`` as its own or as its broadcast address."""
    for each in interfaces:
        if address == each.address:
            return each
    for each in interfaces:
        if address == each.directed and each.peer is None:
            return each
    return None


def _joiners(interfaces: tuple[Interface, ...]) -> tuple[str, ...]:
    """Return the addresses of the interfaces on which a wildcard socket joins groups: all but the loopback."""
    return tuple(each.address for each in interfaces if not each.loopback) or (WILDCARD,)


def _beacons(config: Config, named: tuple[Endpoint, ...], interfaces: tuple[Interface, ...]) -> tuple[Destination, ...]:
    """Return where beacons go: to the links of the interfaces that are served, and to those that were named.

    A server on all interfaces leaves the address to the receiver; one on a certain interface names that interface's
    address, and sends from it.
    """
    everywhere = any(each.host == WILDCARD for each in named)
    served = [
        each
        for each in interfaces
        if everywhere or any(_owner(endpoint.host, interfaces) == each for endpoint in named)
    ]
    result: dict[Destination, None] = {}
    if config.auto_beacons:
        links = [each for each in served if not each.loopback] or ([] if everywhere else served)
        for each in links:
            if each.directed is not None:
                source = WILDCARD if everywhere else each.address
                result[Destination(Endpoint(each.directed, config.beacon_port), source)] = None
    # One beacon to each, as rsrv sends: from where the route leads, if there is a choice.
    sources = [each.address for each in served] if len(served) == 1 and not everywhere else [WILDCARD]
    for endpoint in config.beacon_to:
        for source in sources:
            result[Destination(endpoint, source)] = None
    return tuple(result)
