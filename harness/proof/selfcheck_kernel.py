"""Ask the kernel what the model predicts: open the sockets of a case in namespaces, send, and see who reads.

Absence is proven, not waited for. The thread is kept on one CPU, where every cable and bridge hands frames to the
same queue in order; round trips over the loopback that were sent later and arrived show that the queue is empty of
what was sent before.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from contextlib import suppress

from canet.harness.predict.cases import Case, ShotSpec, SocketSpec
from canet.harness.predict.compare import CaseResult, ShotResult
from canet.netns import Network
from canet.netns.network import HostNamespace
from canet.netns.topology import Interface

ROUNDS = 48
"""Loopback round trips after each send. A frame is queued twice per cable and an ARP exchange doubles that, so a way
through four routers needs about thirty."""
DEFERRED_ROUNDS = 5
"""As many broadcasts may follow one from the other: a search, questions for neighbours, their consequences."""
EXPERIMENTAL = 0x88B5
SENTINEL_FRAME = b"\xff" * 6 + b"\x0e\xca\0\0\0\x01" + EXPERIMENTAL.to_bytes(2, "big") + bytes(46)
"""A broadcast of the ethertype for local experiments (IEEE 802)."""
SO_REUSEPORT = 15
_LIBC = ctypes.CDLL(None, use_errno=True)


class Sentinel:
    """Datagrams that are known to arrive, on the machine's loopback: when one has, all earlier frames have."""

    def __init__(self) -> None:
        self._reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._reader.bind(("127.0.0.1", 0))
        self._reader.settimeout(10)
        self._writer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._writer.connect(self._reader.getsockname())

    def settle(self) -> None:
        """Return when everything that was sent from this CPU before has been handled."""
        for _ in range(ROUNDS):
            self._writer.send(b".")
            self._reader.recv(8)

    def close(self) -> None:
        """Close both sockets."""
        self._reader.close()
        self._writer.close()


class OneCpu:
    """Keep the calling thread on the CPU where it is, and give it back its freedom at the end."""

    def __enter__(self) -> OneCpu:
        self._before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {next(iter(self._before))} if not hasattr(os, "sched_getcpu") else {os.sched_getcpu()})
        return self

    def __exit__(self, *_: object) -> None:
        os.sched_setaffinity(0, self._before)


class Deferred:
    """Macvlans hand broadcasts on from a work queue, in order, but later (drivers/net/macvlan.c, bc_work).

    A broadcast frame of our own that was put on the parent's cable later, and has come out of the macvlan, proves
    that the queue is empty of earlier ones.
    """

    def __init__(self, net: Network, case: Case, sentinel: Sentinel) -> None:
        self._sentinel = sentinel
        self._pairs: list[tuple[socket.socket, str]] = []
        self._writer: socket.socket | None = None
        for host in case.topology.hosts:
            for each in host.interfaces:
                port = self._port(net, case, each) if each.parent is not None and each.up else None
                if port is None:
                    continue
                reader = net[host.name].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EXPERIMENTAL))
                reader.bind((each.name, EXPERIMENTAL))
                reader.settimeout(10)
                self._pairs.append((reader, port))
        if self._pairs:
            self._writer = net.wire.socket(0)

    @staticmethod
    def _port(net: Network, case: Case, interface: Interface) -> str | None:
        name, _, card = (interface.parent or "").partition(".")
        parent = case.topology.host(name).interface(card)
        place = net.plan.places[name, card]
        carries = parent.up and parent.plugged and not parent.impairments and place.port is not None
        return f"p{place.port}" if carries else None

    def settle(self) -> None:
        """Return when everything that was sent before has been handled, work queues included."""
        self._sentinel.settle()
        for _ in range(DEFERRED_ROUNDS if self._writer is not None else 0):
            for reader, port in self._pairs:
                if self._writer is not None:
                    self._writer.sendto(SENTINEL_FRAME, (port, 0))
                    reader.recv(64)
            self._sentinel.settle()

    def close(self) -> None:
        """Close the sockets."""
        for reader, _ in self._pairs:
            reader.close()
        if self._writer is not None:
            self._writer.close()


def measure(case: Case, sentinel: Sentinel) -> CaseResult:
    """Build a case, try all its shots and return what was seen.

    Raises:
        TopologyError, NetworkError: the topology cannot be built.
    """
    result = CaseResult()
    opened: dict[str, tuple[SocketSpec, socket.socket]] = {}
    fillers: list[socket.socket] = []
    with OneCpu(), Network(case.topology) as net:
        barrier = Deferred(net, case, sentinel)
        try:
            for spec in case.sockets:
                made = _open(net[spec.host], spec)
                if isinstance(made, str):
                    result.refused[spec.name] = made
                    continue
                opened[spec.name] = (spec, made)
                if spec.full:
                    fillers += _fill(net[spec.host], spec)
                    barrier.settle()
            for place, shot in enumerate(case.shots):
                result.shots.append(_shoot(net[shot.host], shot, place, opened, barrier))
        finally:
            for made in [*fillers, *(each for _, each in opened.values())]:
                made.close()
            barrier.close()
    return result


def _make(kind: int, uid: int) -> socket.socket:
    """Open a socket as a user: the kernel notes the file-system user id, which is per thread (setfsuid(2))."""
    if uid:
        _LIBC.setfsuid(uid)
    try:
        return socket.socket(socket.AF_INET, kind)
    finally:
        if uid:
            _LIBC.setfsuid(0)


def _socket(host: HostNamespace, kind: int, uid: int) -> socket.socket:
    made = host.call(_make, kind, uid) if uid else host.socket(socket.AF_INET, kind)
    made.setblocking(False)
    return made


def _open(host: HostNamespace, spec: SocketSpec) -> socket.socket | str:
    made = _socket(host, socket.SOCK_STREAM if spec.tcp else socket.SOCK_DGRAM, spec.uid)
    try:
        if spec.reuse_addr:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if spec.reuse_port:
            made.setsockopt(socket.SOL_SOCKET, SO_REUSEPORT, 1)
        if not spec.tcp:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.bind((spec.address, spec.port))
        if spec.tcp:
            made.listen(0 if spec.full else 8)
        for group in spec.groups:
            _join(host, made, group)
    except OSError as error:
        made.close()
        return errno.errorcode.get(error.errno or 0, str(error))
    return made


def _fill(host: HostNamespace, spec: SocketSpec) -> list[socket.socket]:
    """Fill the queue of a listener with connections of its own host, which nobody accepts."""
    fillers = [_socket(host, socket.SOCK_STREAM, 0) for _ in range(4)]
    for each in fillers:
        each.connect_ex((spec.address if spec.address != "0.0.0.0" else "127.0.0.1", spec.port))
    return fillers


def _join(host: HostNamespace, made: socket.socket, group: str) -> None:
    text, _, name = group.partition("@")
    index = host.call(socket.if_nametoindex, name) if name else 0
    request = struct.pack("=4s4si", socket.inet_aton(text), b"\0" * 4, index)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)


def _shoot(
    host: HostNamespace,
    shot: ShotSpec,
    place: int,
    opened: dict[str, tuple[SocketSpec, socket.socket]],
    barrier: Deferred,
) -> ShotResult:
    result = ShotResult()
    sender = _socket(host, socket.SOCK_STREAM if shot.tcp else socket.SOCK_DGRAM, shot.uid)
    try:
        if shot.tcp:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.bind((shot.bind, shot.sport))
    except OSError as error:
        result.error = errno.errorcode.get(error.errno or 0, str(error))
        sender.close()
        return result
    try:
        if shot.tcp:
            _try_connection(sender, shot, opened, barrier, result)
        else:
            _try_datagram(host, sender, shot, place, opened, barrier, result)
    finally:
        sender.close()
        if shot.tcp:
            barrier.settle()
            _accept(opened)
    return result


def _accept(opened: dict[str, tuple[SocketSpec, socket.socket]]) -> list[str]:
    found = []
    for name, (spec, made) in opened.items():
        if spec.tcp and not spec.full:
            with suppress(BlockingIOError, ConnectionError):
                while True:
                    made.accept()[0].close()
                    found.append(name)
    return found


def _try_connection(
    sender: socket.socket,
    shot: ShotSpec,
    opened: dict[str, tuple[SocketSpec, socket.socket]],
    barrier: Deferred,
    result: ShotResult,
) -> None:
    sender.connect_ex((shot.to, shot.port))
    barrier.settle()
    try:
        sender.getpeername()
    except OSError:
        _accept(opened)
        return
    accepted = _accept(opened)
    result.accepted = accepted[0] if accepted else None


def _forge(host: HostNamespace, shot: ShotSpec, payload: bytes) -> None:
    """Put a frame for everybody on a cable, with a source address of choice."""
    with host.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as card:
        card.bind((shot.through, 0))
        mac = card.getsockname()[4]
        addresses = socket.inet_aton(shot.claims) + socket.inet_aton(shot.to)
        udp = struct.pack("!HHHH", shot.sport, shot.port, 8 + len(payload), 0) + payload  # no checksum: allowed
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, socket.IPPROTO_UDP, 0) + addresses
        card.send(b"\xff" * 6 + mac + b"\x08\0" + head[:10] + _checksum(head) + head[12:] + udp)


def _checksum(header: bytes) -> bytes:
    """Return the checksum of an IP header whose own is zero (RFC 1071)."""
    total = sum(struct.unpack("!10H", header))
    total = (total >> 16) + (total & 0xFFFF)
    return struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF)


def _try_datagram(
    host: HostNamespace,
    sender: socket.socket,
    shot: ShotSpec,
    place: int,
    opened: dict[str, tuple[SocketSpec, socket.socket]],
    barrier: Deferred,
    result: ShotResult,
) -> None:
    payload = f"{place} ".encode().ljust(shot.size, b".")
    try:
        if shot.through:
            _forge(host, shot, payload)
        else:
            sender.sendto(payload, (shot.to, shot.port))
    except OSError as error:
        result.error = errno.errorcode.get(error.errno or 0, str(error))
    barrier.settle()
    for name, (spec, made) in opened.items():
        if spec.tcp:
            continue
        with suppress(BlockingIOError):
            while True:
                data, source = made.recvfrom(65535)
                if data == payload:
                    result.seen.append(name)
                    with suppress(OSError):
                        made.sendto(name.encode(), source)
    result.seen.sort()
    barrier.settle()
    with suppress(BlockingIOError):
        while True:
            data, source = sender.recvfrom(65535)
            if data != payload:
                result.replies[data.decode()] = f"{source[0]}:{source[1]}"
