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

ROUNDS = 48
"""Loopback round trips after each send. A frame is queued twice per cable and an ARP exchange doubles that, so a way
through four routers needs about thirty."""
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


def measure(case: Case, sentinel: Sentinel) -> CaseResult:
    """Build a case, try all its shots and return what was seen.

    Raises:
        TopologyError, NetworkError: the topology cannot be built.
    """
    result = CaseResult()
    opened: dict[str, tuple[SocketSpec, socket.socket]] = {}
    with OneCpu(), Network(case.topology) as net:
        try:
            for spec in case.sockets:
                made = _open(net[spec.host], spec)
                if isinstance(made, str):
                    result.refused[spec.name] = made
                else:
                    opened[spec.name] = (spec, made)
            for place, shot in enumerate(case.shots):
                result.shots.append(_shoot(net[shot.host], shot, place, opened, sentinel))
        finally:
            for _, made in opened.values():
                made.close()
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
            made.listen(8)
        for group in spec.groups:
            _join(host, made, group)
    except OSError as error:
        made.close()
        return errno.errorcode.get(error.errno or 0, str(error))
    return made


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
    sentinel: Sentinel,
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
            _try_connection(sender, shot, opened, sentinel, result)
        else:
            _try_datagram(sender, shot, place, opened, sentinel, result)
    finally:
        sender.close()
        if shot.tcp:
            sentinel.settle()
            _accept(opened)
    return result


def _accept(opened: dict[str, tuple[SocketSpec, socket.socket]]) -> list[str]:
    found = []
    for name, (spec, made) in opened.items():
        if spec.tcp:
            with suppress(BlockingIOError, ConnectionError):
                while True:
                    made.accept()[0].close()
                    found.append(name)
    return found


def _try_connection(
    sender: socket.socket,
    shot: ShotSpec,
    opened: dict[str, tuple[SocketSpec, socket.socket]],
    sentinel: Sentinel,
    result: ShotResult,
) -> None:
    sender.connect_ex((shot.to, shot.port))
    sentinel.settle()
    try:
        sender.getpeername()
    except OSError:
        _accept(opened)
        return
    accepted = _accept(opened)
    result.accepted = accepted[0] if accepted else None


def _try_datagram(
    sender: socket.socket,
    shot: ShotSpec,
    place: int,
    opened: dict[str, tuple[SocketSpec, socket.socket]],
    sentinel: Sentinel,
    result: ShotResult,
) -> None:
    payload = f"{place} ".encode().ljust(shot.size, b".")
    try:
        sender.sendto(payload, (shot.to, shot.port))
    except OSError as error:
        result.error = errno.errorcode.get(error.errno or 0, str(error))
    sentinel.settle()
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
    sentinel.settle()
    with suppress(BlockingIOError):
        while True:
            data, source = sender.recvfrom(65535)
            if data != payload:
                result.replies[data.decode()] = f"{source[0]}:{source[1]}"
