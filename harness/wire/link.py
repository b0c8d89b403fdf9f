"""Say how a frame must be addressed so that it travels from a host to an address: interface, MAC addresses.

Asks the kernel of the host for its route and its MAC, through sockets of that host's namespace; the next hop's MAC is
asked of the next hop itself, so that nothing is put on the wire to find it. Sources: RFC 1112 §6.4 (multicast MACs);
netdevice(7) (``SIOCGIFHWADDR``).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final, Protocol

from canet.netns.topology import Host, Interface, Topology

SIOCGIFHWADDR: Final = 0x8927
BROADCAST_MAC: Final = "ff:ff:ff:ff:ff:ff"
LIMITED: Final = IPv4Address("255.255.255.255")


class HasSockets(Protocol):
    """A host whose sockets can be had: :class:`canet.netns.HostNamespace`, or a stand-in."""

    def socket(self, family: int, kind: int, proto: int = 0) -> socket.socket:
        """Open a socket in the host's namespace."""
        ...


class HasHosts(Protocol):
    """A network whose hosts can be had by name: :class:`canet.netns.Network`, or a stand-in."""

    def __getitem__(self, name: str) -> HasSockets:
        """Return the host of that name."""
        ...


@dataclass(frozen=True, slots=True)
class Way:
    """The first leg of a frame."""

    interface: str
    mac: str
    """The sender's."""
    to_mac: str
    source: IPv4Address
    """The address that the host would send from."""


def find_way(
    net: HasHosts, topology: Topology, host: str, to: IPv4Address, interface: str | None = None, port: int = 5064
) -> Way:
    """Find the first leg from ``host`` to ``to``; ``interface`` overrules the host's routes.

    Raises:
        OSError: ``ENETUNREACH`` without a route or interface; ``EHOSTUNREACH`` if nobody has the next hop's address.
        KeyError: If the host has no such interface.
    """
    plan = topology.host(host)
    chosen = plan.interface(interface) if interface else _routed_interface(net[host], plan, to, port)
    source = chosen.addresses[0].ip if chosen.addresses else IPv4Address(0)
    with net[host].socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        mac = hardware_address(probe, chosen.name)
    return Way(chosen.name, mac, _next_mac(net, topology, plan, chosen, to), source)


def hardware_address(sock: socket.socket, interface: str) -> str:
    """Return the MAC of an interface in the namespace of ``sock``."""
    answer = fcntl.ioctl(sock, SIOCGIFHWADDR, struct.pack("16s24x", interface.encode()))
    return ":".join(f"{each:02x}" for each in answer[18:24])


def _routed_interface(host: HasSockets, plan: Host, to: IPv4Address, port: int) -> Interface:
    """Let the kernel choose: connecting a UDP socket looks the route up and sends nothing (ip(7))."""
    with host.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        try:
            probe.connect((str(to), port))
            source = IPv4Address(probe.getsockname()[0])
        except OSError:
            if to != LIMITED and not to.is_multicast:
                raise
            # Needs no route at link level: the first interface that is up will do.
            return next((each for each in plan.interfaces if each.up and each.addresses), _nowhere())
    for each in plan.interfaces:
        if any(address.ip == source for address in each.addresses):
            return each
    raise OSError(
        errno.ENETUNREACH, f"{plan.name} would send to {to} from {source}, which is on none of its interfaces"
    )


def _nowhere() -> Interface:
    return Interface(name="lo")


def _next_mac(net: HasHosts, topology: Topology, plan: Host, interface: Interface, to: IPv4Address) -> str:
    if to == LIMITED or any(to in (each.broadcast, each.network.broadcast_address) for each in interface.addresses):
        return BROADCAST_MAC
    if to.is_multicast:
        low = int(to) & 0x7FFFFF
        return f"01:00:5e:{low >> 16:02x}:{low >> 8 & 255:02x}:{low & 255:02x}"
    hop = _next_hop(plan, interface, to)
    for other in topology.hosts:
        for theirs in other.interfaces:
            joined = theirs.segment is not None and theirs.segment == interface.segment
            joined = joined or theirs.link == f"{plan.name}.{interface.name}"
            if joined and any(address.ip == hop for address in theirs.addresses):
                with net[other.name].socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    return hardware_address(probe, theirs.name)
    raise OSError(errno.EHOSTUNREACH, f"{os.strerror(errno.EHOSTUNREACH)}: nobody on {interface.name} has {hop}")


def _next_hop(plan: Host, interface: Interface, to: IPv4Address) -> IPv4Address:
    if any(to in each.network for each in interface.addresses):
        return to
    routes = [each for each in plan.routes if to in each.to and each.via is not None and each.type == "unicast"]
    best = max(routes, key=lambda each: (each.to.prefixlen, -each.metric), default=None)
    return best.via if best is not None and best.via is not None else to
