"""Routes: which way a packet leaves its host, with which source, and whether a source may come in by an interface.

ip_route_output_key and fib_validate_source (net/ipv4/route.c, fib_frontend.c).
"""

from __future__ import annotations

from dataclasses import dataclass

from canet.harness.predict.firewall import Packet
from canet.harness.predict.network import ERRORS, LIMITED, Device, HostTables, is_loopback, is_multicast
from canet.harness.predict.trace import Trace


@dataclass(slots=True, eq=False)
class Way:
    """What a route lookup for output gave."""

    kind: str
    device: Device
    source: int
    gateway: int


def route_output(host: HostTables, packet: Packet, bound: Device | None) -> Way | str:
    """Look up the way out (ip_route_output_key_hash_rcu); an errno name where there is none."""
    to, source = packet.to, packet.source
    if source and bound is None and (to == LIMITED or is_multicast(to)):
        # "special hack": the device is the one that carries the source address
        for own in host.local.get(source, ()):
            if own.kind == "local" and own.device is not None:
                bound = own.device
                break
        else:
            if is_loopback(source) and host.lo.up:
                bound = host.lo
    if source and not host.is_local(source):
        return "ENETUNREACH"
    if bound is not None and (to == LIMITED or is_multicast(to)):
        kind = "broadcast" if to == LIMITED else "multicast"
        return _checked(kind, bound, source or host.select_source(bound, 0), 0)
    entry = host.lookup(to, bound)
    if entry is None:
        return "ENETUNREACH"
    if entry.kind in ERRORS:
        return ERRORS[entry.kind]
    device = entry.device
    assert device is not None
    if entry.kind == "local":
        return Way("local", host.lo, source or entry.source or to, 0)
    if not source:
        source = entry.source or host.select_source(device, entry.gateway)
    if entry.kind == "broadcast" or to == LIMITED:
        return _checked("broadcast", device, source, 0)
    if is_multicast(to):
        return _checked("multicast", device, source, 0 if entry.prefix < 4 else entry.gateway)
    return _checked("unicast", device, source, entry.gateway)


def _checked(kind: str, device: Device, source: int, gateway: int) -> Way | str:
    if is_loopback(source) and not device.loopback and not device.route_localnet:
        return "EINVAL"
    return Way(kind, device, source, gateway)


def no_way(host: HostTables, packet: Packet, error: str, trace: Trace) -> Trace:
    """Say why there is no way out."""
    if packet.to == LIMITED:
        return (trace, "route-limited", (host.name,))
    if error == "EINVAL" and is_loopback(packet.source):
        return (trace, "route-loopback-source", (host.name, packet.source, packet.to))
    if error != "ENETUNREACH":
        return (trace, "route-refused", (host.name, packet.to, error))
    return (trace, "route-none", (host.name, packet.to))


def way_words(host: HostTables, packet: Packet, way: Way, trace: Trace) -> Trace:
    """Say which way a packet goes."""
    if way.kind == "local":
        return (trace, "route-local", (host.name, packet.to))
    if way.kind == "broadcast":
        rule = "route-loopback-broadcast" if way.device.loopback else "route-broadcast"
        return (trace, rule, (host.name, packet.to, way.device.name))
    if way.kind == "multicast":
        return (trace, "route-multicast", (host.name, packet.to, way.device.name))
    if way.gateway:
        return (trace, "route-gateway", (host.name, packet.to, way.gateway, way.device.name))
    return (trace, "route-link", (host.name, packet.to, way.device.name))


def source_valid(device: Device, source: int, trace: Trace, out: Device | None = None) -> tuple[bool, Trace]:
    """Check the source address (fib_validate_source): martians, and the reverse-path filter.

    A packet that would go ``out`` where it came from is looked at more closely, because its sender could be redirected.
    """
    host, strictness = device.host, device.rp_filter
    if not strictness and not (out is device and device.send_redirects):
        if not device.accept_local and host.owns(source):
            return False, (trace, "martian-own", (host.name, source))
        return True, trace
    entry = host.lookup(source)
    if entry is None or entry.kind in ERRORS:
        if not strictness:
            return True, trace
        return False, (trace, "rp-filter-no-route", (device.label, strictness, source))
    if entry.kind != "unicast" and not (entry.kind == "local" and device.accept_local):
        rule = "martian-broadcast" if entry.kind == "broadcast" else "martian-own"
        return False, (trace, rule, (host.name, source))
    if entry.device is device or not strictness:
        return True, trace
    if not device.addresses:
        return False, (trace, "rp-filter-no-address", (device.label, strictness, source))
    if strictness == 1:
        back = entry.device.name if entry.device is not None else "nowhere"
        return False, (trace, "rp-filter-strict", (device.label, source, back))
    return True, (trace, "rp-filter-loose", (device.label, source))
