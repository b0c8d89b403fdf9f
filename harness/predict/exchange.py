"""One datagram and what comes of it: who may read it, whose reply comes back, who accepts a connection.

This joins :mod:`.path` (where packets go) and :mod:`.sockets` (who gets them). It knows nothing of Channel Access.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from canet.harness.predict.firewall import TCP, UDP, Packet, State
from canet.harness.predict.network import LIMITED, Device, HostTables, Network, mask
from canet.harness.predict.path import Arrival, Drop, Flight, inject, transmit
from canet.harness.predict.route import Way
from canet.harness.predict.sockets import Bound, Listening, TcpListener, UdpSocket
from canet.harness.predict.trace import Trace, address

ICMP = 1
UDP_OVERHEAD = 28
"""Octets of the IP and UDP headers."""
NOBODYS = -1
"""User of a packet that no socket sent: rules about users do not match it."""
RELAY_PORT = 5076
"""Source port that stands for a relay's own."""


@dataclass(slots=True, eq=False)
class World:
    """A network with the sockets that are open in it."""

    network: Network
    udp: dict[str, Bound] = field(default_factory=dict)
    tcp: dict[str, Listening] = field(default_factory=dict)
    groups: dict[int, set[Device]] = field(default_factory=dict)
    routers: set[str] = field(default_factory=set)
    """Hosts that route multicasts."""
    relays: dict[str, bool] = field(default_factory=dict)
    """Hosts that repeat broadcast searches on their other interfaces → whether the asker's address is kept."""

    def bound(self, host: str) -> Bound:
        """Return the UDP sockets of a host."""
        return self.udp.setdefault(host, Bound())

    def listening(self, host: str) -> Listening:
        """Return the listening TCP sockets of a host."""
        return self.tcp.setdefault(host, Listening())


@dataclass(slots=True, eq=False)
class Delivery:
    """A datagram at a host's sockets: all of ``sockets`` get it (``everyone``), or exactly one of them."""

    arrival: Arrival
    sockets: tuple[UdpSocket, ...]
    trace: Trace

    @property
    def everyone(self) -> bool:
        """Each of the sockets gets a copy."""
        return self.arrival.everyone


@dataclass(slots=True, eq=False)
class Delivered:
    """All that came of one datagram."""

    error: str | None
    source: int
    deliveries: list[Delivery]
    unheard: list[Delivery]
    """It reached a host, but no socket there."""
    drops: list[Drop]
    chance: bool = False
    """A rule of the sender's lets a share of such packets through."""


@dataclass(slots=True, eq=False)
class Answer:
    """One reply datagram: from whom, through which socket, and whether and how it came back."""

    delivery: Delivery
    socket: UdpSocket
    arrived: bool
    source: int
    sport: int
    chance: bool
    trace: Trace
    bounced: bool = False
    """It reached a host where nobody waits for it."""


@dataclass(slots=True, eq=False)
class Connecting:
    """What a TCP connection attempt gave."""

    listener: TcpListener | None
    host: HostTables | None
    error: str | None
    """``refused``, ``lost`` or an errno name; ``None`` where it is established."""
    chance: bool
    trace: Trace


def deliver(
    world: World,
    state: State,
    host: HostTables,
    source: int,
    sport: int,
    to: int,
    dport: int,
    *,
    size: int = 72,
    uid: int = 0,
    ttl: int = 64,
    device: Device | None = None,
    link_level: bool = False,
    to_all: bool = False,
    trace: Trace | None = None,
) -> Delivered:
    """Send one UDP datagram of ``size`` octets of payload; ``source`` 0 lets the kernel choose.

    ``link_level``: the frame is put on the interface as it is, past the host's own hooks and sockets; ``to_all``: for
    everybody there.
    """
    packet = Packet(UDP, source, sport, to, dport, size + UDP_OVERHEAD, ttl, uid)
    begin: Trace = (trace, "sends", (host.name, address(to), dport))
    flight = Flight(world.network, state, world.groups, world.routers)
    if link_level:
        inject(flight, host, packet, begin, device, to_all=to_all)
    else:
        flight.send(host, packet, begin, device)
    if world.relays:
        _relay(world, flight)
    deliveries: list[Delivery] = []
    unheard: list[Delivery] = []
    for arrival in flight.arrivals:
        there = arrival.packet
        bound = world.udp.get(arrival.host.name)
        found: tuple[UdpSocket, ...] = ()
        if bound is None:
            rule = "socket-none"
        else:
            rule, found = bound.receivers(there.to, there.dport, arrival.device, everyone=arrival.everyone)
        name = arrival.host.name
        if not found:
            unheard.append(Delivery(arrival, (), (arrival.trace, rule, (address(there.to), there.dport, name))))
            if not arrival.everyone:
                _complain(world, state, arrival)
            continue
        owners = ", ".join(each.owner for each in found)
        deliveries.append(
            Delivery(arrival, found, (arrival.trace, rule, (address(there.to), there.dport, name, owners)))
        )
    return Delivered(flight.error, flight.source, deliveries, unheard, flight.drops, packet.chance)


def _complain(world: World, state: State, arrival: Arrival) -> None:
    """Send "port unreachable" (RFC 792): CA ignores it, but the hosts learn of each other as neighbours by it."""
    asked = arrival.packet
    packet = Packet(ICMP, asked.to, 0, asked.source, 0, 100, uid=NOBODYS)
    Flight(world.network, state).send(arrival.host, packet, arrival.trace)


def _relay(world: World, flight: Flight) -> None:
    """Repeat a broadcast that reached a relay on the relay's other interfaces; what was repeated is not again."""
    for arrival in list(flight.arrivals):
        keep = world.relays.get(arrival.host.name)
        if keep is None or not arrival.everyone or arrival.device.loopback:
            continue
        for device in arrival.host.devices:
            if device is arrival.device or device.loopback or not device.addresses or not device.up:
                continue
            first = device.addresses[0]
            to = first.broadcast if first.broadcast is not None else first.base | (LIMITED ^ mask(first.prefix))
            packet = arrival.packet.copy()
            packet.to, packet.ttl = to, 64
            if not keep:
                packet.source, packet.sport = first.ip, RELAY_PORT
            trace: Trace = (arrival.trace, "relayed", (arrival.host.name, device.name))
            transmit(flight, device, packet, Way("broadcast", device, packet.source, 0), trace)


def answer(
    world: World,
    state: State,
    delivery: Delivery,
    socket: UdpSocket,
    to_host: HostTables,
    to_source: int,
    to_port: int,
    *,
    size: int = 72,
) -> Answer:
    """Send a reply from ``socket`` back to where the datagram came from; does the asker's socket get it?

    ``to_source`` is what the asker's socket is bound to (0: wildcard), ``to_port`` its port.
    """
    arrival = delivery.arrival
    asked = arrival.packet
    packet = Packet(UDP, socket.source, socket.port, asked.source, asked.sport, size + UDP_OVERHEAD, uid=socket.uid)
    flight = Flight(world.network, state, world.groups).send(
        arrival.host, packet, (delivery.trace, "replies", (socket.owner, asked.source, asked.sport))
    )
    for back in flight.arrivals:
        there = back.packet
        if back.host is to_host and there.dport == to_port and to_source in (0, there.to):
            return Answer(
                delivery, socket, True, there.source, there.sport, there.chance or asked.chance,
                (back.trace, "reply-arrives", (to_host.name, address(there.source), there.sport)),
            )  # fmt: skip
    if flight.drops:
        lost = flight.drops[0].trace
    elif flight.arrivals:
        there = flight.arrivals[0].packet
        lost = (
            flight.arrivals[0].trace,
            "reply-astray",
            (flight.arrivals[0].host.name, address(there.to), there.dport),
        )
    else:
        lost = delivery.trace
    trace: Trace = (lost, "reply-lost", (socket.owner,))
    return Answer(delivery, socket, False, flight.source, socket.port, False, trace, bool(flight.arrivals))


def connect(
    world: World,
    state: State,
    host: HostTables,
    to: int,
    port: int,
    *,
    source: int = 0,
    sport: int = 50001,
    uid: int = 0,
    trace: Trace | None = None,
) -> Connecting:
    """Open a TCP connection: SYN to a listener, SYN-ACK back to where it began."""
    packet = Packet(TCP, source, sport, to, port, 60, uid=uid)
    begin: Trace = (trace, "connects", (host.name, address(to), port))
    flight = Flight(world.network, state).send(host, packet, begin)
    if flight.error is not None:
        return Connecting(None, None, flight.error, False, flight.drops[-1].trace)
    for arrival in flight.arrivals:
        there = arrival.packet
        if arrival.everyone or arrival.cast != "unicast":
            return Connecting(None, None, "ENETUNREACH", False, (arrival.trace, "connect-lost", (address(to), port)))
        listening = world.tcp.get(arrival.host.name)
        listener = None if listening is None else listening.find(there.to, there.dport)
        if listener is not None and listener.full:
            silent: Trace = (arrival.trace, "connect-full", (listener.owner,))
            return Connecting(None, arrival.host, "lost", False, silent)
        user = NOBODYS if listener is None else listener.uid
        back = Packet(TCP, there.to, there.dport, there.source, there.sport, 60, uid=user)
        trace = (arrival.trace, "syn-ack", (arrival.host.name,))
        returned = Flight(world.network, state).send(arrival.host, back, trace)
        for final in returned.arrivals:
            seen = final.packet
            if (
                final.host is host
                and final.cast == "unicast"
                and (seen.source, seen.sport, seen.dport) == (to, port, sport)
            ):
                chance = there.chance or seen.chance
                if listener is None:
                    return Connecting(
                        None, arrival.host, "refused", chance, (arrival.trace, "connect-refused", (address(to), port))
                    )
                ack = Packet(TCP, packet.source if source else 0, sport, to, port, 60, uid=uid)
                third = _ack_arrives(world, state, host, ack, arrival)
                if third is None:
                    return Connecting(
                        None, arrival.host, "lost", chance, (final.trace, "connect-half-open", (address(to), port))
                    )
                return Connecting(
                    listener, arrival.host, None, chance or third.packet.chance,
                    (final.trace, "connect-works", (address(to), port, listener.owner)),
                )  # fmt: skip
        lost = returned.drops[0].trace if returned.drops else trace
        return Connecting(None, arrival.host, "lost", False, (lost, "connect-lost", (address(to), port)))
    lost = flight.drops[0].trace if flight.drops else begin
    rejected = any(each.rule == "firewall-reject" for each in flight.drops)
    error = "refused" if rejected else "lost"
    return Connecting(None, None, error, False, (lost, "connect-lost", (address(to), port)))


def _ack_arrives(world: World, state: State, host: HostTables, ack: Packet, first: Arrival) -> Arrival | None:
    """Return where the next packet of the client arrives: rules may treat it otherwise than the first."""
    flight = Flight(world.network, state).send(host, ack, first.trace)
    return next((each for each in flight.arrivals if each.host is first.host), None)
