"""The IPv4 addresses of this host, and word of their changes. The only file that knows ``netifaces``."""

from __future__ import annotations

import socket

import netifaces

from canet.server.core.binding import Interface

_LINK = 0x1
_ADDRESS = 0x10
"""Multicast groups of rtnetlink(7): links, IPv4 addresses."""


def interfaces() -> tuple[Interface, ...]:
    """Return the addresses of the calling thread's network namespace, in the order of the interfaces."""
    found = []
    for name in netifaces.interfaces():
        for each in netifaces.ifaddresses(name).get(netifaces.AF_INET, []):
            address = each.get("addr")
            if not address:
                continue
            # netifaces says "netmask", netifaces2 says "mask"; the mask may come as a prefix length.
            mask = str(each.get("netmask") or each.get("mask") or "255.255.255.255").rpartition("/")[2]
            found.append(Interface(name, address, mask, each.get("broadcast"), each.get("peer")))
    return tuple(found)


def change_socket() -> socket.socket:
    """Return a socket that becomes readable when a link or an address changes (``rtnetlink``).

    Raises:
        OSError: where the kernel refuses.
    """
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    try:
        sock.bind((0, _LINK | _ADDRESS))
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
