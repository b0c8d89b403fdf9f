"""Describe a network of hosts as values: nothing here needs root, a socket or a kernel.

A :class:`Topology` is what a scenario file says about its network. :mod:`canet.netns.plan` turns it into ordered
steps, :mod:`canet.netns.apply` makes the kernel do them, and :mod:`canet.harness.predict` computes from the same
values what must happen. Everything is frozen, hashable, comparable and printable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal

Hook = Literal["prerouting", "input", "forward", "output", "postrouting"]
Proto = Literal["udp", "tcp", "icmp"]
Verdict = Literal["accept", "drop", "reject"]
CtState = Literal["new", "established", "related", "invalid", "untracked"]
RouteType = Literal["unicast", "blackhole", "unreachable", "prohibit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An IPv4 address of an interface.

    ``broadcast`` is the IFA_BROADCAST attribute. ``None`` leaves it unset, as ``ip addr add`` does without ``brd``:
    the kernel still accepts the subnet's broadcast, but ``getifaddrs`` then reports the host's own address
    (measured; problem ``addr-without-brd``).
    """

    ip: IPv4Address
    prefix: int = 24
    broadcast: IPv4Address | None = None
    peer: IPv4Address | None = None
    """The far end of a point-to-point link (IFA_ADDRESS), when it differs from ``ip``."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``A/N [brd ADDRESS|+|none] [peer ADDRESS]``; the broadcast address of the subnet is the default.

        Raises:
            ValueError: with the part that is wrong.

        >>> Address.parse("10.1.0.2/24").broadcast
        IPv4Address('10.1.0.255')
        >>> Address.parse("10.1.0.2/24 brd none").broadcast is None
        True
        """
        head, *rest = text.split()
        interface = IPv4Interface(head)
        prefix = interface.network.prefixlen
        broadcast: IPv4Address | None = interface.network.broadcast_address if prefix < 31 else None
        peer: IPv4Address | None = None
        if len(rest) % 2:
            raise ValueError(f"{rest[-1]!r} has no value in {text!r}")
        for key, value in zip(rest[::2], rest[1::2], strict=True):
            if key == "brd":
                if value == "none":
                    broadcast = None
                elif value != "+":
                    broadcast = IPv4Address(value)
            elif key == "peer":
                peer, broadcast = IPv4Address(value), None
            else:
                raise ValueError(f"{key!r} in {text!r} is neither 'brd' nor 'peer'")
        return cls(ip=interface.ip, prefix=prefix, broadcast=broadcast, peer=peer)

    @property
    def network(self) -> IPv4Network:
        """The subnet that the prefix spans."""
        return IPv4Network((self.peer or self.ip, self.prefix), strict=False)

    def __str__(self) -> str:
        text = f"{self.ip}/{self.prefix}"
        if self.peer is not None:
            return f"{text} peer {self.peer}"
        if self.prefix < 31 and self.broadcast != self.network.broadcast_address:
            text += f" brd {self.broadcast or 'none'}"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """The bridge's side of an interface: what a switch may refuse to do for it (bridge(8), ``bridge link``)."""

    bcast_flood: bool = True
    """Broadcasts are sent out of this port, towards its host."""
    mcast_flood: bool = True
    flood: bool = True
    """Frames to unknown unicast addresses are sent out of this port."""
    isolated: bool = False
    """Isolated ports exchange nothing with each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """What a cable does to packets, in one direction. Fractions are 0..1, times are seconds, rates are bit/s."""

    direction: Literal["in", "out"] = "out"
    """Seen from the host: ``out`` hurts what it sends, ``in`` what it receives."""
    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    rate: int | None = None
    cut: bool = False
    """Nothing passes in this direction."""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A network interface of a host: one end of a veth pair whose other end is a port of ``segment``.

    Exactly one of ``segment``, ``link`` and ``parent`` is set. ``link`` names ``host.interface`` at the far end of a
    direct cable (no bridge; both ends name each other). ``parent`` names ``host.interface`` to put a macvlan upon.
    """

    name: str
    segment: str | None = None
    link: str | None = None
    parent: str | None = None
    addresses: tuple[Address, ...] = ()
    up: bool = True
    plugged: bool = True
    """The cable is in the switch (``segment`` only); without it the interface is up but has no carrier."""
    mtu: int = 1500
    mac: str | None = None
    port: Port = Port()
    impairments: tuple[Impairment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A layer-2 network: a bridge that all interfaces on it are plugged into."""

    name: str
    mtu: int = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route of a host's main table. ``to`` 0.0.0.0/0 is the default route."""

    to: IPv4Network
    via: IPv4Address | None = None
    dev: str | None = None
    src: IPv4Address | None = None
    metric: int = 0
    type: RouteType = "unicast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One nftables rule. All conditions that are given must match; then exactly one action is taken.

    The action is ``verdict``, or a translation: ``dnat`` (prerouting, output), ``snat`` or ``masquerade``
    (postrouting). ``saddr``/``daddr`` take an address or a network.
    """

    hook: Hook
    proto: Proto | None = None
    saddr: IPv4Network | None = None
    daddr: IPv4Network | None = None
    sport: tuple[int, int] | None = None
    """First and last source port."""
    dport: tuple[int, int] | None = None
    iif: str | None = None
    oif: str | None = None
    ct: tuple[CtState, ...] = ()
    uid: int | None = None
    """The user id that owns the sending socket (output only)."""
    chance: float = 1.0
    """The rule applies to this fraction of packets (``numgen random``)."""
    verdict: Verdict | None = None
    dnat: IPv4Address | None = None
    dnat_port: int | None = None
    snat: IPv4Address | None = None
    masquerade: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A computer: one network, PID, mount and UTS namespace."""

    name: str
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    policies: tuple[tuple[Hook, Literal["accept", "drop"]], ...] = ()
    """Policies of the filter hooks (input, forward, output); ``accept`` where not named."""
    sysctls: tuple[tuple[str, str], ...] = ()
    """For example ``("net.ipv4.ip_forward", "1")``; applied in order, after the interfaces exist."""
    hostname: str | None = None
    """What ``gethostname`` says; the host's name where ``None``."""
    files: tuple[tuple[str, str], ...] = ()
    """Absolute path and text of files that only this host sees, such as ``/etc/hosts``."""
    loopback: bool = True
    """The interface ``lo`` is up."""
    private_tmp: bool = False
    """The host has an empty ``/tmp`` of its own."""

    def interface(self, name: str) -> Interface:
        """Return the interface of that name; ``KeyError`` if there is none."""
        for each in self.interfaces:
            if each.name == name:
                return each
        raise KeyError(f"host {self.name} has no interface {name}")

    def sysctl(self, name: str, default: str = "0") -> str:
        """Return the last value given to a sysctl, or ``default``."""
        return dict(self.sysctls).get(name, default)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All addresses but the loopback's, in interface order."""
        return tuple(address for interface in self.interfaces for address in interface.addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Hosts, and the segments that join them."""

    hosts: tuple[Host, ...] = ()
    segments: tuple[Segment, ...] = field(default=())

    def host(self, name: str) -> Host:
        """Return the host of that name; ``KeyError`` if there is none."""
        for each in self.hosts:
            if each.name == name:
                return each
        raise KeyError(f"no host is called {name}")

    def on_segment(self, segment: str) -> Iterator[tuple[Host, Interface]]:
        """Yield each host and interface that is plugged into ``segment``, in order."""
        for host in self.hosts:
            for interface in host.interfaces:
                if interface.segment == segment:
                    yield host, interface
