"""A network as tables that a packet can be walked through quickly: numbers, dictionaries, flags.

A :class:`Network` is compiled once for a topology (:mod:`.tables`) and then shared by all predictions about it;
nothing in it changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from canet.netns import topology as values

Kind = Literal["local", "broadcast", "multicast", "unicast"]
LOOPBACK_NET = 0x7F000000
LOOPBACK = 0x7F000001
LIMITED = 0xFFFFFFFF
ERRORS = {"blackhole": "EINVAL", "unreachable": "EHOSTUNREACH", "prohibit": "EACCES"}
"""What a sender gets from a route of that type (ip-route(8), fib_props in net/ipv4/fib_semantics.c)."""


def mask(prefix: int) -> int:
    """Return the netmask of a prefix length as a number."""
    return (LIMITED << (32 - prefix)) & LIMITED


def is_multicast(address: int) -> bool:
    """Tell whether an address is in 224.0.0.0/4."""
    return address >> 28 == 14


def is_loopback(address: int) -> bool:
    """Tell whether an address is in 127.0.0.0/8."""
    return address >> 24 == 127


@dataclass(slots=True, eq=False)
class AddressEntry:
    """One address of an interface, as the kernel keeps it."""

    ip: int
    prefix: int
    base: int
    """The subnet's first address."""
    broadcast: int | None
    peer: int | None
    secondary: bool = False
    """A second address in the same subnet: it is never chosen as a source (IFA_F_SECONDARY)."""
    primary: int = 0
    """The address that the kernel prefers as source where this one is meant (fib_add_ifaddr)."""


@dataclass(slots=True, eq=False)
class Device:
    """One interface of one host."""

    host: HostTables
    name: str
    up: bool
    mtu: int
    link: Link | None = None
    port: Device | None = None
    """The device whose cable carries its frames: itself, or a macvlan's parent."""
    bcast_flood: bool = True
    mcast_flood: bool = True
    isolated: bool = False
    plugged: bool = True
    """Its cable is in the switch."""
    cut_in: bool = False
    cut_out: bool = False
    lossy: bool = False
    loopback: bool = False
    addresses: list[AddressEntry] = field(default_factory=list)
    forwarding: bool = False
    bc_forwarding: bool = False
    rp_filter: int = 0
    route_localnet: bool = False
    accept_local: bool = False
    proxy_arp: bool = False
    arp_ignore: int = 0
    send_redirects: bool = True

    @property
    def label(self) -> str:
        """``host.interface``."""
        return f"{self.host.name}.{self.name}"

    @property
    def running(self) -> bool:
        """Frames can leave: it is up and so is what its cable is plugged into."""
        port = self.port
        if not self.up or port is None or not port.up or not port.plugged or self.link is None:
            return False
        link = self.link
        return link.bridge or all(each.up for each in link.ports)


@dataclass(slots=True, eq=False)
class Link:
    """What frames travel on: a bridge (segment) or a direct cable, with the devices on it."""

    name: str
    bridge: bool
    mtu: int
    devices: list[Device] = field(default_factory=list)
    having: dict[int, list[Device]] = field(default_factory=dict)
    """Address → devices here whose host has it, on whatever interface: who may answer ARP for it."""
    proxies: bool = False
    """Some host here answers ARP for others, or for loopback addresses."""

    @property
    def ports(self) -> list[Device]:
        """The devices that are plugged in themselves (macvlans are behind theirs)."""
        return [each for each in self.devices if each.port is each]


@dataclass(slots=True, eq=False)
class RouteEntry:
    """One route of the main table, or one entry of the local table."""

    kind: str
    """``local``, ``broadcast``, ``unicast``, or an error type (``blackhole`` …)."""
    device: Device | None
    source: int = 0
    gateway: int = 0
    metric: int = 0
    base: int = 0
    prefix: int = 32


@dataclass(slots=True, eq=False)
class HostTables:
    """One host: devices, addresses, routes, rules."""

    name: str
    index: int
    devices: list[Device] = field(default_factory=list)
    by_name: dict[str, Device] = field(default_factory=dict)
    made: list[Device] = field(default_factory=list)
    """The devices in the order in which they came into being; the kernel looks through them in that order."""
    local: dict[int, list[RouteEntry]] = field(default_factory=dict)
    """/32 entries of the local table, in the order in which the kernel would find them."""
    main: list[tuple[int, int, dict[int, list[RouteEntry]]]] = field(default_factory=list)
    """(prefix length, mask, base → routes by metric), longest prefix first."""
    lo: Device = field(init=False)
    rules: dict[str, list[values.Rule]] = field(default_factory=dict)
    """Filter rules by hook."""
    nat: dict[str, list[values.Rule]] = field(default_factory=dict)
    """Translations by hook."""
    policies: dict[str, str] = field(default_factory=dict)
    tracked: bool = False
    """Connection tracking runs: some rule needs it."""
    hooked: bool = False
    """There are rules or policies at all."""
    nonlocal_bind: bool = False
    ephemeral: tuple[int, int] = (32768, 60999)
    files: dict[str, str] = field(default_factory=dict)
    remembered: dict[object, object] = field(default_factory=dict)
    """What was computed for this host before, by what it was computed from."""

    def lookup(self, address: int, device: Device | None = None) -> RouteEntry | None:
        """Find the route to an address: the local table first, then the longest prefix, then the smallest metric.

        With ``device`` only routes through it count (fib_table_lookup with flowi4_oif). ip-rule(8), fib_trie.c.
        """
        for entry in self.local.get(address, ()):
            if device is None or entry.device is device:
                return entry
        if address >> 24 == 127 and self.lo.up and (device is None or device is self.lo):
            return RouteEntry("local", self.lo, LOOPBACK)
        for _, bits, table in self.main:
            for entry in table.get(address & bits, ()):
                if device is None or entry.device is device:
                    return entry
        return None

    def is_local(self, address: int) -> bool:
        """Tell whether an address is one of the host's own."""
        for entry in self.local.get(address, ()):
            return entry.kind == "local"
        return address >> 24 == 127 and self.lo.up and address != 0x7FFFFFFF

    def owns(self, address: int) -> bool:
        """Tell whether an interface carries exactly this address (inet_lookup_ifaddr_rcu)."""
        if address == LOOPBACK:
            return self.lo.up
        return any(entry.kind == "local" for entry in self.local.get(address, ()))

    def select_source(self, device: Device, towards: int) -> int:
        """Choose the source address for a packet through ``device`` (inet_select_addr in net/ipv4/devinet.c)."""
        first = 0
        for each in device.addresses:
            if each.secondary or device.loopback:
                continue
            if not towards or (towards & mask(each.prefix)) == each.base:
                return each.ip
            first = first or each.ip
        if first:
            return first
        for other in self.made or self.devices:
            for each in other.addresses:
                if not each.secondary and not other.loopback:
                    return each.ip
        return 0


@dataclass(slots=True, eq=False)
class Network:
    """A compiled topology."""

    hosts: dict[str, HostTables]
    links: dict[str, Link]
    owners: dict[int, list[Device]]
    """Address → devices that carry it; for neighbours."""
