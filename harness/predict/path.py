"""The way of one packet: from the sending host through routes, hooks, cables and routers to the hosts that accept it.

Follows the kernel's own order: ip_route_output_key → OUTPUT → POSTROUTING → neighbour → cable → PREROUTING →
ip_route_input → INPUT or FORWARD (net/ipv4/route.c, ip_output.c, ip_input.c, arp.c, fib_frontend.c). A
:class:`Flight` ends in arrivals (hosts that hand the packet to their sockets) and drops, each with its trace.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from canet.harness.predict import firewall
from canet.harness.predict.firewall import Packet, State
from canet.harness.predict.link import FRAME_SLACK, heard_by, neighbour
from canet.harness.predict.network import (
    ERRORS,
    LIMITED,
    Device,
    HostTables,
    Network,
    RouteEntry,
    is_loopback,
    is_multicast,
)
from canet.harness.predict.route import Way, no_way, route_output, source_valid, way_words
from canet.harness.predict.trace import Trace, address

MAX_HOPS = 70
IP_HEADER = 20


@dataclass(slots=True, eq=False)
class Arrival:
    """A packet that a host hands to its sockets."""

    host: HostTables
    device: Device
    packet: Packet
    everyone: bool
    """As a broadcast or multicast: each matching UDP socket gets a copy."""
    trace: Trace
    cast: str = "unicast"
    """How the frame came: TCP takes nothing that was sent to all (tcp_v4_rcv)."""


@dataclass(slots=True, eq=False)
class Drop:
    """A packet that ended on the way, and where."""

    host: HostTables
    rule: str
    packet: Packet
    trace: Trace


@dataclass(slots=True, eq=False)
class Flight:
    """All that comes of one packet."""

    network: Network
    state: State
    groups: dict[int, set[Device]] = field(default_factory=dict)
    """Multicast group → devices that joined it."""
    routers: set[str] = field(default_factory=set)
    """Hosts that route multicasts."""
    error: str | None = None
    """What ``sendto`` raised, as an errno name."""
    arrivals: list[Arrival] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    source: int = 0
    """The source address that the sender chose."""
    hops: int = 0
    mtu_learned: bool = False
    """A router reported a smaller MTU: the sender will fragment from now on."""

    def send(self, host: HostTables, packet: Packet, trace: Trace, device: Device | None = None) -> Flight:
        """Send a packet from a socket of ``host``; ``packet.source`` 0 lets the kernel choose."""
        output(self, host, packet, trace, device)
        return self

    def fail(self, error: str, trace: Trace, host: HostTables, packet: Packet) -> None:
        """End at the sender: ``sendto`` raises."""
        self.error = self.error or error
        self.drop(host, trace[1], packet, trace)

    def drop(self, host: HostTables, rule: str, packet: Packet, trace: Trace) -> None:
        """End here; ``trace`` already says why."""
        self.drops.append(Drop(host, rule, packet, trace))


def output(flight: Flight, host: HostTables, packet: Packet, trace: Trace, bound: Device | None = None) -> None:
    """Send a packet that was made on ``host``."""
    way = route_output(host, packet, bound)
    if isinstance(way, str):
        flight.fail(way, no_way(host, packet, way, trace), host, packet)
        return
    trace = way_words(host, packet, way, trace)
    if not packet.source:
        trace = (trace, "source-chosen", (host.name, way.source, packet.to))
    packet.source = way.source
    packet.may_fragment = packet.size > way.device.mtu
    flight.source = flight.source or way.source
    if host.hooked:
        hooked = _output_hooks(flight, host, packet, way, trace)
        if hooked is None:
            return
        way, trace = hooked
    leave(flight, host, packet, way, trace, None)


def _output_hooks(flight: Flight, host: HostTables, packet: Packet, way: Way, trace: Trace) -> tuple[Way, Trace] | None:
    if host.tracked:
        firewall.track(host, flight.state, packet)
        before = packet.to, packet.dport
        trace = firewall.translate_destination(host, "output", packet, None, way.device, trace)
        if packet.to != before[0]:
            again = route_output(host, packet, None)
            if isinstance(again, str):
                flight.fail(again, no_way(host, packet, again, trace), host, packet)
                return None
            trace = way_words(host, packet, again, trace)
            first, way = way, again
            verdict, trace = firewall.judge(host, "output", packet, None, first.device, trace)
        else:
            verdict, trace = firewall.judge(host, "output", packet, None, way.device, trace)
    else:
        verdict, trace = firewall.judge(host, "output", packet, None, way.device, trace)
    if verdict != "accept":
        flight.fail("EPERM", (trace, "firewall-eperm", (host.name,)), host, packet)
        return None
    return way, trace


def leave(flight: Flight, host: HostTables, packet: Packet, way: Way, trace: Trace, iif: Device | None) -> None:
    """Pass POSTROUTING and go: to the host itself, onto the cable, or both (ip_output, ip_mc_output)."""
    loops = iif is None and way.kind in ("broadcast", "multicast") and not way.device.loopback
    if loops and way.kind == "multicast":
        loops = way.device in flight.groups.get(packet.to, ())
    if host.hooked:
        verdict, trace = firewall.judge(host, "postrouting", packet, iif, way.device, trace)
        if verdict != "accept":
            if iif is None:
                flight.fail("EPERM", trace, host, packet)
            else:
                flight.drop(host, trace[1], packet, trace)
            return
        had_source = packet.source != 0
        if host.tracked:
            trace = firewall.translate_source(
                host, packet, iif, way.device, way.gateway or packet.to, flight.state, trace
            )
            if had_source and not packet.source:
                if iif is None:
                    flight.fail("EPERM", trace, host, packet)
                else:
                    flight.drop(host, trace[1], packet, trace)
                return
            firewall.confirm(host, flight.state, packet)
    if way.kind == "local" or way.device.loopback:
        if not way.device.up:
            flight.drop(host, "loopback-down", packet, (trace, "loopback-down", (host.name,)))
            return
        if way.kind == "multicast" and way.device not in flight.groups.get(packet.to, ()):
            unjoined: Trace = (trace, "multicast-unjoined", (way.device.label, packet.to))
            flight.drop(host, "multicast-unjoined", packet, unjoined)
            return
        arrive_locally(flight, host, packet, host.lo, way.kind != "local", trace)
        return
    if loops:
        copy = packet.copy()
        copy.track, copy.replying = packet.track, packet.replying
        looped: Trace = (trace, "loops-back", (host.name, packet.to))
        arrive_locally(flight, host, copy, way.device, True, looped)
    transmit(flight, way.device, packet, way, trace)


def arrive_locally(
    flight: Flight, host: HostTables, packet: Packet, device: Device, everyone: bool, trace: Trace
) -> None:
    """Deliver what the host sent to itself: it keeps its route, so no source check happens (loopback_xmit)."""
    if not device.up:
        flight.drop(host, "link-down", packet, (trace, "link-down", (device.label,)))
        return
    if host.hooked:
        verdict, trace = firewall.judge(host, "prerouting", packet, device, None, trace)
        if verdict == "accept":
            verdict, trace = firewall.judge(host, "input", packet, device, None, trace)
        if verdict != "accept":
            flight.drop(host, trace[1], packet, trace)
            return
    flight.arrivals.append(Arrival(host, device, packet, everyone, trace))


def transmit(flight: Flight, device: Device, packet: Packet, way: Way, trace: Trace) -> None:
    """Put a packet on the cable: fragments, neighbour, and whoever hears the frame."""
    host = device.host
    if not device.running or device.cut_out:
        flight.drop(host, "link-down", packet, (trace, "link-down", (device.label,)))
        return
    size = packet.size
    if packet.whole and size > device.mtu:
        if not packet.may_fragment and not packet.piece:
            flight.mtu_learned = True
            flight.drop(host, "mtu-refused", packet, (trace, "mtu-refused", (device.label, size, device.mtu)))
            return
        trace = (trace, "mtu-fragments", (size, device.label, device.mtu))
        packet.whole = False
    elif packet.piece:
        packet.whole = False
    if not packet.whole:
        packet.piece = min(packet.piece or size, device.mtu)
    largest = packet.piece or size
    if way.kind == "unicast":
        hop = way.gateway or packet.to
        targets, trace = neighbour(flight.state, device, hop, packet.source, via_gateway=way.gateway != 0, trace=trace)
        if not targets:
            flight.drop(host, trace[1], packet, trace)
            return
    else:
        targets, trace = heard_by(device, way.kind, trace)
        for deaf, rule in _deaf(device, targets):
            flight.drop(deaf.host, rule, packet, (trace, rule, (deaf.label, packet.to)))
    packet.chance |= device.lossy
    for each in targets:
        if largest > min(each.mtu, each.link.mtu if each.link is not None else each.mtu) + FRAME_SLACK:
            flight.drop(each.host, "mtu-frame", packet, (trace, "mtu-frame", (each.label, largest, each.mtu)))
            continue
        if each.cut_in:
            flight.drop(each.host, "link-cut", packet, (trace, "link-cut", (each.label,)))
            continue
        copy = packet.copy()
        copy.chance |= each.lossy
        receive(flight, each, copy, way.kind, trace)


def _deaf(device: Device, heard: list[Device]) -> list[tuple[Device, str]]:
    """Return the devices on a link that do not hear a broadcast, and why, so that stories can tell."""
    if device.link is None or len(heard) == len(device.link.devices) - 1:
        return []
    found = []
    for each in device.link.devices:
        if each is device or each in heard:
            continue
        port = each.port
        if each.port is device or each is device.port:
            found.append((each, "macvlan-parent"))
        elif not each.running:
            found.append((each, "link-down-there"))
        elif port is not None and port.isolated and device.port is not None and device.port.isolated:
            found.append((each, "bridge-isolated"))
        else:
            found.append((each, "bridge-no-flood"))
    return found


def receive(flight: Flight, device: Device, packet: Packet, cast: str, trace: Trace) -> None:
    """Take a frame from the cable: PREROUTING, then the input route decides."""
    host = device.host
    flight.hops += 1
    if flight.hops > MAX_HOPS * 40:
        return
    if host.hooked:
        if host.tracked:
            packet.whole = True
            firewall.track(host, flight.state, packet)
        verdict, trace = firewall.judge(host, "prerouting", packet, device, None, trace)
        if verdict != "accept":
            flight.drop(host, trace[1], packet, trace)
            return
        if host.tracked:
            trace = firewall.translate_destination(host, "prerouting", packet, device, None, trace)
    _route_input(flight, device, packet, cast, trace)


def _route_input(flight: Flight, device: Device, packet: Packet, cast: str, trace: Trace) -> None:
    """ip_route_input_noref, ip_route_input_slow."""
    host, to, source = device.host, packet.to, packet.source
    if source == 0 and to != LIMITED:  # the rest of 0.0.0.0/8 is allowed (ipv4_is_zeronet, since Linux 5.3)
        flight.drop(host, "martian-source", packet, (trace, "martian-source", (host.name, address(source))))
        return
    if is_multicast(to):
        if host.name in flight.routers:
            _route_multicast(flight, device, packet, trace)
        elif device not in flight.groups.get(to, ()):
            flight.drop(host, "multicast-unjoined", packet, (trace, "multicast-unjoined", (device.label, to)))
        elif is_loopback(source) and not device.route_localnet:
            flight.drop(host, "martian-loopback", packet, (trace, "martian-loopback", (host.name, source)))
        else:
            _accept(flight, device, packet, True, cast, (trace, "multicast-joined", (device.label, to)))
        return
    if is_multicast(source) or source == LIMITED:
        flight.drop(host, "martian-source", packet, (trace, "martian-source", (host.name, source)))
        return
    if to == LIMITED:
        _accept(flight, device, packet, True, cast, (trace, "input-limited", (host.name,)))
        return
    if (is_loopback(to) or is_loopback(source)) and not device.route_localnet:
        flight.drop(host, "martian-loopback", packet, (trace, "martian-loopback", (host.name, source)))
        return
    entry = host.lookup(to)
    if entry is not None and entry.kind == "broadcast":
        if device.bc_forwarding:
            _forward(flight, device, packet, entry, cast, (trace, "bc-forwarding", (host.name, to)))
        else:
            _accept(flight, device, packet, True, cast, (trace, "input-broadcast", (host.name, to)))
    elif entry is not None and entry.kind == "local":
        _accept(flight, device, packet, False, cast, (trace, "input-local", (host.name, to)))
    elif not device.forwarding:
        rule = "input-no-broadcast" if cast == "broadcast" else "input-not-mine"
        flight.drop(host, rule, packet, (trace, rule, (host.name, to)))
    elif entry is None or entry.kind in ERRORS:
        flight.drop(host, "forward-no-route", packet, (trace, "forward-no-route", (host.name, to)))
    else:
        _forward(flight, device, packet, entry, cast, trace)


def _route_multicast(flight: Flight, device: Device, packet: Packet, trace: Trace) -> None:
    """Pass a multicast on to the other interfaces, as a multicast router does (net/ipv4/ipmr.c)."""
    host = device.host
    if packet.ttl <= 1:
        flight.drop(host, "forward-ttl", packet, (trace, "forward-ttl", (host.name,)))
        return
    for out in host.devices:
        if out is device or out.loopback or not out.up:
            continue
        copy = packet.copy()
        copy.ttl -= 1
        onward: Trace = (trace, "forward", (host.name, packet.to, out.name))
        transmit(flight, out, copy, Way("multicast", out, copy.source, 0), onward)


def _accept(flight: Flight, device: Device, packet: Packet, everyone: bool, cast: str, trace: Trace) -> None:
    host = device.host
    valid, trace = source_valid(device, packet.source, trace)
    if not valid:
        flight.drop(host, trace[1], packet, trace)
        return
    if host.hooked:
        verdict, trace = firewall.judge(host, "input", packet, device, None, trace)
        if verdict != "accept":
            flight.drop(host, trace[1], packet, trace)
            return
        if host.tracked:
            firewall.confirm(host, flight.state, packet)
    flight.arrivals.append(Arrival(host, device, packet, everyone, trace, cast))


def _forward(flight: Flight, device: Device, packet: Packet, entry: RouteEntry, cast: str, trace: Trace) -> None:
    """ip_mkroute_input, ip_forward."""
    host, out = device.host, entry.device
    assert out is not None
    valid, trace = source_valid(device, packet.source, trace, out)
    if not valid:
        flight.drop(host, trace[1], packet, trace)
        return
    if cast != "unicast":
        flight.drop(host, "forward-not-broadcasts", packet, (trace, "forward-not-broadcasts", (host.name, packet.to)))
        return
    if packet.ttl <= 1:
        flight.drop(host, "forward-ttl", packet, (trace, "forward-ttl", (host.name,)))
        return
    packet.ttl -= 1
    kind = "broadcast" if entry.kind == "broadcast" else "unicast"
    trace = (trace, "forward", (host.name, packet.to, out.name))
    if packet.whole and packet.size > out.mtu and not packet.may_fragment and not packet.piece:
        flight.mtu_learned = True
        flight.drop(host, "mtu-refused", packet, (trace, "mtu-refused", (out.label, packet.size, out.mtu)))
        return
    if host.hooked:
        verdict, trace = firewall.judge(host, "forward", packet, device, out, trace)
        if verdict != "accept":
            flight.drop(host, trace[1], packet, trace)
            return
    way = Way(kind, out, packet.source, entry.gateway if kind == "unicast" else 0)
    leave(flight, host, packet, way, trace, device)


def inject(
    flight: Flight, host: HostTables, packet: Packet, trace: Trace, device: Device | None, *, to_all: bool = False
) -> None:
    """Put a frame on an interface, past the host's routes (but for its address), hooks and own sockets.

    ``to_all``: it is addressed to everybody on the cable, whatever its destination is.
    """
    way = route_output(host, packet, device)
    if device is None and not isinstance(way, str) and not way.device.loopback:
        device = way.device
    if device is None:
        device = next((each for each in host.devices if each.up and each.addresses and not each.loopback), None)
    if device is None:
        flight.fail("ENETUNREACH", (trace, "route-none", (host.name, packet.to)), host, packet)
        return
    if not packet.source:
        packet.source = device.addresses[0].ip if device.addresses else 0
    flight.source = packet.source
    kind, gateway = "broadcast" if to_all else "unicast", 0
    if to_all:
        pass
    elif packet.to == LIMITED or is_multicast(packet.to):
        kind = "broadcast" if packet.to == LIMITED else "multicast"
    elif not isinstance(way, str):
        kind, gateway = way.kind if way.kind == "broadcast" else "unicast", way.gateway
    transmit(flight, device, packet, Way(kind, device, packet.source, gateway), trace)
