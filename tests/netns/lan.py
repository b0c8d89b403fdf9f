"""Topologies and datagrams that several test modules use."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

from canet.netns import Address, Host, HostNamespace, Interface, Segment, Topology

PORT = 5064
SECONDS = 5.0
"""Longer than anything takes; only a failing test waits for it."""


def host(name: str, address: str, *, segment: str = "lan", **more: Any) -> Host:
    """Return a host with one interface ``eth0``."""
    interface = Interface(name="eth0", segment=segment, addresses=(Address.parse(address),))
    return Host(name=name, interfaces=(interface,), **more)


def lan(*hosts: Host) -> Topology:
    """Return one segment with these hosts; without any, a client and a server."""
    return Topology(
        segments=(Segment(name="lan"),),
        hosts=hosts or (host("client", "10.1.0.1/24"), host("server", "10.1.0.2/24")),
    )


def with_interface(topology: Topology, of: str, /, **changes: Any) -> Topology:
    """Return a topology in which ``eth0`` of a host differs."""
    found = topology.host(of)
    changed = replace(found, interfaces=(replace(found.interfaces[0], **changes), *found.interfaces[1:]))
    return replace(topology, hosts=tuple(changed if each.name == of else each for each in topology.hosts))


def listener(place: HostNamespace, address: str = "", port: int = PORT) -> socket.socket:
    """Open a UDP socket as a CA server does."""
    found = place.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.bind((address, port))
    found.settimeout(SECONDS)
    return found


def sender(place: HostNamespace) -> socket.socket:
    """Open a UDP socket that may broadcast."""
    found = place.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    found.settimeout(SECONDS)
    return found


def next_datagram(target: socket.socket) -> bytes:
    """Return what arrives next, waiting for it.

    Absence is shown with it: what was sent first and does not arrive is followed by a sentinel that does.
    """
    return target.recv(4096)
