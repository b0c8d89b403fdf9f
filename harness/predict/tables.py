"""Compile a topology into a :class:`~.network.Network`, filling routes and addresses as the kernel would.

Addresses become integers, routes dictionaries by prefix length, sysctls flags (net/ipv4/fib_frontend.c, devinet.c).
"""

from __future__ import annotations

from canet.harness.predict.network import (
    LIMITED,
    LOOPBACK,
    LOOPBACK_NET,
    AddressEntry,
    Device,
    HostTables,
    Link,
    Network,
    RouteEntry,
    mask,
)
from canet.netns import topology as values
from canet.netns.topology import Topology


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
        if not each.plugged:
            device.plugged, device.cut_in, device.cut_out = False, True, True
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
        "send_redirects": 1,
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
        device.send_redirects = bool(everywhere["send_redirects"] or own["send_redirects"])
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
