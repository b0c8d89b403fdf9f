"""Compile a topology into tables that a packet can be walked through quickly.

Addresses become integers, routes become dictionaries by prefix length, sysctls become flags. A :class:`Network` is
compiled once for a topology and then shared by all predictions about it; nothing in it changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from canet.netns import topology as values
from canet.netns.topology import Topology

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

    @property
    def label(self) -> str:
        """``host.interface``."""
        return f"{self.host.name}.{self.name}"

    @property
    def running(self) -> bool:
        """Frames can leave: it is up and so is what its cable is plugged into."""
        port = self.port
        if not self.up or port is None or not port.up or self.link is None:
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


def compile_network(topology: Topology) -> Network:
    """Compile a topology; unknown names raise ``KeyError`` or ``ValueError`` with the name."""
    links = {each.name: Link(each.name, True, each.mtu) for each in topology.segments}
    hosts: dict[str, HostTables] = {}
    for index, host in enumerate(topology.hosts):
        hosts[host.name] = _host(host, index, links)
    _cables(topology, hosts, links)
    owners: dict[int, list[Device]] = {}
    for host in topology.hosts:
        tables = hosts[host.name]
        _sysctls(host, tables)
        _tables(host, tables)
        for device in tables.devices:
            for each in device.addresses:
                owners.setdefault(each.ip, []).append(device)
    for link in links.values():
        for device in link.devices:
            link.proxies |= device.proxy_arp or device.route_localnet
            for number in {each.ip for other in device.host.devices for each in other.addresses}:
                link.having.setdefault(number, []).append(device)
    return Network(hosts, links, owners)


def _host(host: values.Host, index: int, links: dict[str, Link]) -> HostTables:
    tables = HostTables(host.name, index)
    tables.lo = Device(tables, "lo", host.loopback, 65536, loopback=True)
    if host.loopback:
        tables.lo.addresses.append(AddressEntry(LOOPBACK, 8, LOOPBACK_NET, None, None, primary=LOOPBACK))
    tables.devices = [tables.lo]
    for each in host.interfaces:
        device = Device(tables, each.name, each.up, each.mtu)
        device.port = device
        device.bcast_flood, device.mcast_flood = each.port.bcast_flood, each.port.mcast_flood
        device.isolated = each.port.isolated
        for impairment in each.impairments:
            if impairment.cut and impairment.direction == "in":
                device.cut_in = True
            elif impairment.cut:
                device.cut_out = True
            device.lossy |= impairment.loss > 0 or impairment.corrupt > 0
        device.addresses = _addresses(each)
        if each.segment is not None:
            device.link = links[each.segment]
            device.link.devices.append(device)
        tables.devices.append(device)
    tables.by_name = {each.name: each for each in tables.devices}
    for rule in host.rules:
        if rule.dnat is not None or rule.dnat_port is not None or rule.snat is not None or rule.masquerade:
            tables.nat.setdefault(rule.hook, []).append(rule)
            tables.tracked = True
        else:
            tables.rules.setdefault(rule.hook, []).append(rule)
            tables.tracked |= bool(rule.ct)
    tables.policies = dict(host.policies)
    tables.hooked = bool(host.rules or host.policies)
    tables.files = dict(host.files)
    return tables


def _addresses(interface: values.Interface) -> list[AddressEntry]:
    found: list[AddressEntry] = []
    for each in interface.addresses:
        base = int(each.peer or each.ip) & mask(each.prefix)
        entry = AddressEntry(
            int(each.ip),
            each.prefix,
            base,
            None if each.broadcast is None else int(each.broadcast),
            None if each.peer is None else int(each.peer),
        )
        entry.primary = entry.ip
        for earlier in found:
            if not earlier.secondary and earlier.prefix == entry.prefix and earlier.base == base:
                entry.secondary, entry.primary = True, earlier.ip
                break
        found.append(entry)
    return found


def _cables(topology: Topology, hosts: dict[str, HostTables], links: dict[str, Link]) -> None:
    waiting: list[tuple[Device, Device]] = []
    for host in topology.hosts:
        for each in host.interfaces:
            device = hosts[host.name].by_name[each.name]
            if each.link is not None:
                far = _far(hosts, each.link)
                name = " – ".join(sorted((device.label, far.label)))
                link = links.setdefault(name, Link(name, False, 65535))
                device.link = link
                if device not in link.devices:
                    link.devices.append(device)
            elif each.parent is not None:
                waiting.append((device, _far(hosts, each.parent)))
    _order(topology, hosts)
    for device, parent in waiting:
        device.host.made.append(device)
        device.port, device.link = parent, parent.link
        if parent.link is not None:
            parent.link.devices.append(device)


def _order(topology: Topology, hosts: dict[str, HostTables]) -> None:
    """Note in which order a lab makes the devices: host by host, both ends of a cable at once, macvlans last."""
    for host in topology.hosts:
        hosts[host.name].made.append(hosts[host.name].lo)
    for host in topology.hosts:
        for each in host.interfaces:
            device = hosts[host.name].by_name[each.name]
            if each.parent is not None or device in device.host.made:
                continue
            device.host.made.append(device)
            if each.link is not None:
                far = _far(hosts, each.link)
                far.host.made.append(far)


def _far(hosts: dict[str, HostTables], name: str) -> Device:
    host, _, interface = name.partition(".")
    return hosts[host].by_name[interface]


def _sysctls(host: values.Host, tables: HostTables) -> None:
    everywhere = {
        "rp_filter": 0,
        "bc_forwarding": 0,
        "route_localnet": 0,
        "accept_local": 0,
        "proxy_arp": 0,
        "arp_ignore": 0,
    }
    single: dict[str, dict[str, int]] = {each.name: dict(everywhere) for each in tables.devices}
    forwarding = dict.fromkeys(single, False)
    for key, text in host.sysctls:
        value = text.split()
        parts = key.replace("/", ".").split(".")
        if parts[:2] != ["net", "ipv4"] or not value:
            continue
        if parts[2] == "ip_forward" or parts[2:] == ["conf", "all", "forwarding"]:
            forwarding = dict.fromkeys(single, value[0] != "0")
        elif parts[2] == "ip_nonlocal_bind":
            tables.nonlocal_bind = value[0] != "0"
        elif parts[2] == "ip_local_port_range" and len(value) == 2:
            tables.ephemeral = int(value[0]), int(value[1])
        elif parts[2] == "conf" and len(parts) >= 5:
            name, option = ".".join(parts[3:-1]), parts[-1]
            if option == "forwarding" and name in forwarding:
                forwarding[name] = value[0] != "0"
            elif option in everywhere and name == "all":
                everywhere[option] = int(value[0])
            elif option in everywhere and name in single:
                single[name][option] = int(value[0])
    for device in tables.devices:
        own = single[device.name]
        device.forwarding = forwarding[device.name]
        device.bc_forwarding = bool(everywhere["bc_forwarding"] and own["bc_forwarding"])
        device.rp_filter = max(everywhere["rp_filter"], own["rp_filter"])
        device.arp_ignore = max(everywhere["arp_ignore"], own["arp_ignore"])
        device.route_localnet = bool(everywhere["route_localnet"] or own["route_localnet"])
        device.accept_local = bool(everywhere["accept_local"] or own["accept_local"])
        device.proxy_arp = bool(everywhere["proxy_arp"] or own["proxy_arp"])


def _tables(host: values.Host, tables: HostTables) -> None:
    """Fill the local and main tables as the kernel does when addresses appear (fib_add_ifaddr)."""
    main: dict[int, dict[int, list[RouteEntry]]] = {}

    def add(entry: RouteEntry, base: int, prefix: int) -> None:
        entry.base, entry.prefix = base, prefix
        main.setdefault(prefix, {}).setdefault(base, []).append(entry)

    for device in tables.devices:
        for each in device.addresses:
            tables.local.setdefault(each.ip, []).append(RouteEntry("local", device, each.primary))
    for device in tables.devices:
        if not device.up:
            continue
        for each in device.addresses:
            if each.broadcast is not None and each.broadcast != LIMITED:
                _broadcast(tables, each.broadcast, device, each.primary)
            if each.secondary or device.loopback or (each.prefix == 32 and each.peer is None):
                if device.loopback:
                    _broadcast(tables, each.base | (LIMITED ^ mask(each.prefix)), device, each.primary)
                continue
            add(RouteEntry("unicast", device, each.ip), each.base, each.prefix)
            if each.prefix < 31:
                _broadcast(tables, each.base | (LIMITED ^ mask(each.prefix)), device, each.ip)
    for route in host.routes:
        out = tables.by_name[route.dev] if route.dev is not None else None
        gateway = 0 if route.via is None else int(route.via)
        if out is None and gateway:
            hop = _main_lookup(main, gateway)
            out = None if hop is None else hop.device
        if route.type == "unicast" and (out is None or not out.up):
            continue
        entry = RouteEntry(route.type, out, 0 if route.src is None else int(route.src), gateway, route.metric)
        add(entry, int(route.to.network_address), route.to.prefixlen)
    for prefix in sorted(main, reverse=True):
        for entries in main[prefix].values():
            entries.sort(key=lambda each: each.metric)
        tables.main.append((prefix, mask(prefix), main[prefix]))


def _broadcast(tables: HostTables, address: int, device: Device, source: int) -> None:
    entries = tables.local.setdefault(address, [])
    if not any(each.kind == "broadcast" and each.device is device for each in entries):
        entries.append(RouteEntry("broadcast", device, source))


def _main_lookup(main: dict[int, dict[int, list[RouteEntry]]], address: int) -> RouteEntry | None:
    for prefix in sorted(main, reverse=True):
        for entry in main[prefix].get(address & mask(prefix), ()):
            return entry
    return None
