"""Which UDP socket gets a datagram: bind conflicts, scores, reuse groups.

The rules are those of ``net/ipv4/udp.c`` (udp_lib_get_port, udp4_lib_lookup2, __udp4_lib_mcast_deliver), measured
on Linux 6.18. Sockets are kept in the order in which they were bound, because that order decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from canet.harness.predict.network import LIMITED, Device, HostTables, is_multicast


@dataclass(slots=True, eq=False)
class UdpSocket:
    """A bound UDP socket of a server, or of whoever else."""

    owner: str
    """Who reads it: a server's name."""
    address: int
    port: int
    reuse_addr: bool = True
    reuse_port: bool = True
    uid: int = 0
    all_groups: bool = True
    """It hears every multicast group that anybody on the host joined (IP_MULTICAST_ALL, on by default)."""
    joined: frozenset[tuple[int, Device]] = frozenset()
    """Groups that it joined itself, and on which device."""
    reply_through: UdpSocket | None = None
    """Replies leave through this socket where it is not the one that the request came in by."""

    @property
    def source(self) -> int:
        """What it sends from: 0 where the kernel chooses (inet_bind clears broadcast and multicast addresses)."""
        return self._source

    _source: int = field(default=0, init=False)


def bind_address(host: HostTables, address: int) -> tuple[str | None, int]:
    """Check a bind address; return an errno name or ``None``, and the source address that the socket then has.

    ``inet_addr_valid_or_nonlocal``: local, broadcast and multicast addresses and the wildcard can be bound.
    """
    if address == 0:
        return None, 0
    if address == LIMITED or is_multicast(address):
        return None, 0
    if not host.local and not host.lo.up:
        return None, 0  # without a local table every address counts as a broadcast (__inet_dev_addr_type)
    for entry in host.local.get(address, ()):
        return None, address if entry.kind == "local" else 0
    if address >> 24 == 127 and host.lo.up:
        return None, address
    return (None, address) if host.nonlocal_bind else ("EADDRNOTAVAIL", 0)


class Bound:
    """The UDP sockets of one host by port, in binding order."""

    __slots__ = ("ports",)

    def __init__(self) -> None:
        self.ports: dict[int, list[UdpSocket]] = {}

    def bind(self, host: HostTables, new: UdpSocket) -> str | None:
        """Bind a socket; return ``None`` or the errno name why not."""
        error, source = bind_address(host, new.address)
        if error is not None:
            return error
        there = self.ports.setdefault(new.port, [])
        if conflict(there, new):
            return "EADDRINUSE"
        new._source = source
        there.append(new)
        return None

    def close(self, socket: UdpSocket) -> None:
        """Close a socket."""
        self.ports[socket.port].remove(socket)

    def receivers(
        self, address: int, port: int, device: Device | None, *, everyone: bool
    ) -> tuple[str, tuple[UdpSocket, ...]]:
        """Return the rule that decides, and the sockets that get a datagram to ``address`` through ``device``.

        ``everyone``: it came as a broadcast or multicast, and each socket returned gets a copy. Otherwise exactly
        one of those returned gets it.
        """
        there = self.ports.get(port, ())
        if everyone:
            found = tuple(each for each in there if each.address in (0, address))
            if is_multicast(address):
                # ip_mc_sf_allow: by the socket's own membership, else as IP_MULTICAST_ALL says
                found = tuple(each for each in found if each.all_groups or (address, device) in each.joined)
            return ("socket-every" if found else "socket-none"), found
        exact = [each for each in there if each.address == address]
        pool = exact or [each for each in there if each.address == 0]
        if not pool:
            return "socket-none", ()
        last = pool[-1]
        group = tuple(each for each in pool if same_group(each, last)) if last.reuse_port else (last,)
        if len(group) > 1:
            return "socket-hash", group
        if len(pool) > 1:
            return "socket-last", group
        return ("socket-exact" if exact and any(each.address == 0 for each in there) else "socket-only"), group


def same_group(one: UdpSocket, other: UdpSocket) -> bool:
    """Tell whether two sockets share unicasts (udp_reuseport_add_sock): SO_REUSEPORT, same user, same address."""
    return one.reuse_port and other.reuse_port and one.uid == other.uid and one.address == other.address


def conflict(there: list[UdpSocket], new: UdpSocket) -> bool:
    """Tell whether a bind fails with EADDRINUSE (udp_lib_lport_inuse, inet_rcv_saddr_equal).

    The kernel meets the last bound socket first, and the first overlapping pair that does not both reuse the
    address decides.
    """
    for each in reversed(there):
        if each.reuse_addr and new.reuse_addr:
            continue
        if each.address and new.address and each.address != new.address:
            continue
        return not (each.reuse_port and new.reuse_port and each.uid == new.uid)
    return False


@dataclass(slots=True, eq=False)
class TcpListener:
    """A listening TCP socket."""

    owner: str
    address: int
    port: int
    ephemeral: bool = False
    """The port was chosen by the kernel or at random: its number is chance."""
    uid: int = 0
    full: bool = False
    """Its queue is full and nobody accepts: connections are neither established nor refused (listen(2))."""


class Listening:
    """The listening TCP sockets of one host."""

    __slots__ = ("sockets",)

    def __init__(self) -> None:
        self.sockets: list[TcpListener] = []

    def taken(self, address: int, port: int) -> bool:
        """Tell whether ``listen`` on it would fail: SO_REUSEADDR does not help against a listening socket."""
        return any(
            each.port == port and (not each.address or not address or each.address == address) for each in self.sockets
        )

    def find(self, address: int, port: int) -> TcpListener | None:
        """Return who accepts a connection to ``address:port``: the exact address first, then the wildcard."""
        wildcard = None
        for each in self.sockets:
            if each.port == port:
                if each.address == address:
                    return each
                if not each.address:
                    wildcard = each
        return wildcard
