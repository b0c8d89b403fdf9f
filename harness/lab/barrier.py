"""Prove that all packets that were on their way have arrived: sentinel frames that follow them on every path.

A veth hands a frame to the receiving side's per-CPU queue (``netif_rx``), and each such queue is first in, first out.
So a frame that is sent later *from the same CPU over the same cable* arrives later. The barrier sends one small frame
from every CPU from each host to each other host on its segments, over loopback as well, and waits for them all: then
whatever was sent before has been delivered or dropped. The frames have an EtherType of their own (0x88B5, for local
experiments, IEEE 802), so no firewall, route or server sees them, and captures leave them out.

A path over routers is as many cables long: the barrier is repeated for each. Where a cable is cut or a link is down
the sentinels do not arrive either; such a pair is left out, since nothing else passes there.
"""

from __future__ import annotations

import itertools
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from canet.netns import Network
from canet.netns.topology import Host, Interface, Topology

ETHERTYPE = 0x88B5
PATIENCE = 0.5
"""Seconds after which a pair whose sentinels have never arrived counts as cut."""
RESEND = 0.1
"""Seconds after which missing sentinels are sent again: a cable may lose some."""
TRUST = 5.0
"""The same for a pair over which they did arrive since the network last changed: it is late, not cut."""


@dataclass(slots=True, eq=False)
class End:
    """One interface of a host, with the raw socket that sends and hears sentinels there."""

    host: str
    interface: str
    cable: str
    """What it is plugged into: a segment, a direct cable, or its host's own loopback."""
    isolated: bool
    socket: socket.socket
    mac: bytes


class Barrier:
    """The sentinel sockets of some hosts of a network. Close it after use."""

    def __init__(self, network: Network, topology: Topology, hosts: Iterable[str]) -> None:
        self._network = network
        self._numbers = itertools.count(1)
        self._cut: set[tuple[int, int]] = set()
        self._sound: set[tuple[int, int]] = set()
        self._ends: list[End] = []
        self._closing: list[threading.Thread] = []
        names = dict.fromkeys([*hosts, *(each.name for each in topology.hosts if _routes(each))])
        for name in names:
            host = topology.host(name)
            for interface in host.interfaces:
                self._add(host.name, interface.name, _cable(topology, host, interface), interface.port.isolated)
            if host.loopback:
                self._add(host.name, "lo", f"lo of {host.name}", False)
        self.cables = max(1, len({each.cable for each in self._ends if not each.cable.startswith("lo of")}))
        """How many cables a path can be long."""
        self._cpus = sorted(os.sched_getaffinity(0))

    def __enter__(self) -> Barrier:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
        self.await_closed()

    def close(self) -> None:
        """Begin to close the sockets, side by side: the kernel waits 10–16 ms for RCU at each (measured)."""
        self._closing = [threading.Thread(target=each.socket.close) for each in self._ends]
        for thread in self._closing:
            thread.start()
        self._ends.clear()

    def await_closed(self) -> None:
        """Wait until the sockets are closed; other things can be taken down meanwhile."""
        for thread in self._closing:
            thread.join()

    @property
    def cut(self) -> frozenset[tuple[str, str]]:
        """Pairs of hosts, sender and receiver, between which nothing passes on some cable."""
        return frozenset((self._ends[a].host, self._ends[b].host) for a, b in self._cut)

    def forget_cuts(self) -> None:
        """Try every pair again: the network has changed."""
        self._cut.clear()
        self._sound.clear()

    def wait(self) -> None:
        """Return when all that was sent before has been delivered or dropped, along paths of any length."""
        for _ in range(self.cables):
            self._pass()

    def _add(self, host: str, interface: str, cable: str, isolated: bool) -> None:
        raw = self._network[host].socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            raw.bind((interface, ETHERTYPE))
        except OSError:  # the interface does not exist (yet): nothing passes there
            raw.close()
            return
        mac = raw.getsockname()[4][:6]
        self._ends.append(End(host, interface, cable, isolated, raw, mac))

    def _pass(self) -> None:
        """Send a sentinel from every CPU over every pair and wait for all; those that get lost are sent again."""
        number = next(self._numbers)
        pairs = set(self._pairs())
        awaited = {(cpu, a, b) for cpu in self._cpus for a, b in pairs}
        began = time.monotonic()
        while awaited:
            self._send(number, awaited)
            self._receive(number, awaited)
            late = any((a, b) in self._sound for _, a, b in awaited)
            if time.monotonic() - began > (TRUST if late else PATIENCE):
                break
        missing = {(a, b) for _, a, b in awaited}
        self._cut |= missing
        self._sound |= pairs - missing

    def _pairs(self) -> Iterator[tuple[int, int]]:
        """Yield the pairs of ends, by number, between which sentinels should pass."""
        for a, sender in enumerate(self._ends):
            for b, receiver in enumerate(self._ends):
                if sender.cable != receiver.cable or (a, b) in self._cut or (sender.isolated and receiver.isolated):
                    continue
                if (a == b) is sender.cable.startswith("lo of"):
                    yield a, b

    def _send(self, number: int, awaited: set[tuple[int, int, int]]) -> None:
        """Send what is awaited; take out what cannot be sent, because a link is down."""
        before = os.sched_getaffinity(0)
        try:
            for cpu in sorted({each[0] for each in awaited}):
                os.sched_setaffinity(0, {cpu})
                for item in [each for each in awaited if each[0] == cpu]:
                    _, a, b = item
                    sender, receiver = self._ends[a], self._ends[b]
                    frame = receiver.mac + sender.mac + struct.pack("!HQHHH", ETHERTYPE, number, cpu, a, b)
                    try:
                        sender.socket.send(frame.ljust(60, b"\0"))
                    except OSError:
                        awaited.discard(item)
        finally:
            os.sched_setaffinity(0, before)

    def _receive(self, number: int, awaited: set[tuple[int, int, int]]) -> None:
        """Take out of ``awaited`` what arrives, until nothing is missing or it is time to send again."""
        deadline = time.monotonic() + RESEND
        poll = select.poll()
        ends = {each.socket.fileno(): each for each in self._ends}
        for descriptor in ends:
            poll.register(descriptor, select.POLLIN)
        while awaited and (left := deadline - time.monotonic()) > 0:
            for descriptor, events in poll.poll(left * 1000):
                if events & ~select.POLLIN:
                    _error(ends[descriptor].socket)  # ENETDOWN is reported once and must be fetched
                while (frame := _next(ends[descriptor].socket)) is not None:
                    got, cpu, a, b = struct.unpack_from("!QHHH", frame, 14)
                    if got == number:
                        awaited.discard((cpu, a, b))


def _next(raw: socket.socket) -> bytes | None:
    try:
        return raw.recv(64)
    except OSError:
        return None


def _error(raw: socket.socket) -> int:
    return raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def _routes(host: Host) -> bool:
    return host.sysctl("net.ipv4.ip_forward") not in ("", "0") or host.sysctl("net.ipv4.conf.all.forwarding") == "1"


def _cable(topology: Topology, host: Host, interface: Interface) -> str:
    """Name what an interface is plugged into; both ends of a direct cable get the same name."""
    if interface.segment is not None:
        return interface.segment
    if interface.parent is not None:
        parent_host, _, parent = interface.parent.partition(".")
        owner = topology.host(parent_host)
        return _cable(topology, owner, owner.interface(parent))
    return " – ".join(sorted((f"{host.name}.{interface.name}", str(interface.link))))
