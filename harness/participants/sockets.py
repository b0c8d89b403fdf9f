"""Read the UDP and TCP sockets of a namespace, and whose they are, from ``/proc``.

The tables are those of the network namespace of the *calling thread* (``/proc/thread-self/net``): call
:func:`table` through ``host.call``. A process is matched to its sockets by inode (``/proc/PID/fd``); proc(5).
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ESTABLISHED = 0x01
LISTENING = 0x0A
"""TCP_ESTABLISHED and TCP_LISTEN of ``include/net/tcp_states.h``."""


@dataclass(frozen=True, slots=True)
class Socket:
    """One line of ``/proc/net/udp`` or ``/proc/net/tcp``."""

    proto: Literal["udp", "tcp"]
    address: str
    port: int
    state: int
    queued: int
    """Bytes that wait to be read."""
    inode: int
    drops: int
    """UDP only: datagrams lost because the queue was full."""
    unsent: int = 0
    """Bytes that wait to be sent, or to be acknowledged."""

    @property
    def name(self) -> str:
        """``A:PORT``."""
        return f"{self.address}:{self.port}"


def table(proto: Literal["udp", "tcp"]) -> tuple[Socket, ...]:
    """Return the IPv4 sockets of the calling thread's network namespace."""
    text = Path(f"/proc/thread-self/net/{proto}").read_text(encoding="utf-8")
    return tuple(parse(proto, text))


def parse(proto: Literal["udp", "tcp"], text: str) -> Iterator[Socket]:
    """Read the kernel's table (``udp4_format_sock``, ``get_tcp4_sock``); addresses are host-order hexadecimal.

    >>> line = " 1: 0200010A:13C8 00000000:0000 07 00000000:00000300 00:00000000 00000000  0   0 4711 2 0 0"
    >>> [(s.name, s.queued, s.inode) for s in parse("udp", "head" + chr(10) + line)]
    [('10.1.0.2:5064', 768, 4711)]
    """
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10:
            continue
        host, port = fields[1].split(":")
        yield Socket(
            proto=proto,
            address=socket.inet_ntoa(struct.pack("=I", int(host, 16))),
            port=int(port, 16),
            state=int(fields[3], 16),
            queued=int(fields[4].split(":")[1], 16),
            unsent=int(fields[4].split(":")[0], 16),
            inode=int(fields[9]),
            drops=int(fields[12]) if proto == "udp" and len(fields) > 12 else 0,
        )


def family(pid: int) -> tuple[int, ...]:
    """Return a process and all its descendants; empty when it is gone."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        try:
            children = [
                int(child)
                for task in Path(f"/proc/{each}/task").iterdir()
                for child in (task / "children").read_text(encoding="utf-8").split()
            ]
        except OSError:
            children = []
        found.append(each)
        waiting.extend(children)
    return tuple(found)


def inodes(pids: Iterable[int]) -> frozenset[int]:
    """Return the inodes of all sockets that the processes hold open."""
    found: set[int] = set()
    for pid in pids:
        try:
            names = tuple(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            continue  # it has just ended
        for name in names:
            try:
                link = os.readlink(name)  # noqa: PTH115  # pathlib reads "socket:[1]" through needless objects
            except OSError:
                continue  # closed in between
            if link.startswith("socket:["):
                found.add(int(link[8:-1]))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Bound:
    """The sockets of one process: what it listens on."""

    udp: tuple[Socket, ...] = ()
    tcp: tuple[Socket, ...] = ()

    @property
    def udp_names(self) -> tuple[str, ...]:
        """``A:PORT`` of the UDP sockets, in the order of their making (inodes grow)."""
        return tuple(each.name for each in sorted(self.udp, key=lambda s: s.inode))

    @property
    def tcp_names(self) -> tuple[str, ...]:
        """``A:PORT`` of the listening TCP sockets."""
        return tuple(dict.fromkeys(each.name for each in sorted(self.tcp, key=lambda s: s.inode)))


def bound_by(held: frozenset[int], tables: Iterable[Socket]) -> Bound:
    """Return those sockets of the tables that ``held`` holds: bound UDP ones, listening TCP ones.

    A UDP socket that only sends has a port as well; it is told from a server's by whoever asks, by its port.
    """
    mine = [each for each in tables if each.inode in held]
    return Bound(
        udp=tuple(each for each in mine if each.proto == "udp" and each.port),
        tcp=tuple(each for each in mine if each.proto == "tcp" and each.state == LISTENING),
    )


SYS_PIDFD_GETFD = 438
"""The same number on all architectures that came after 5.6 (``unistd.h``); the standard library has no wrapper."""


def reuse(pid: int, ports: frozenset[int]) -> str | None:
    """Say how a process shares its UDP ports with others, by asking the kernel about its own sockets.

    A duplicate of the descriptor is fetched (pidfd_getfd(2)) and asked (socket(7)).

    Returns:
        ``SO_REUSEADDR and SO_REUSEPORT``, one of them, ``nothing``; ``None`` if the process may not be asked.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for each in family(pid):
        try:
            handle = os.pidfd_open(each)
        except OSError:
            continue
        try:
            for link in Path(f"/proc/{each}/fd").iterdir():
                if (words := _reuse_of(libc, handle, int(link.name), ports)) is not None:
                    return words
        except OSError:
            continue
        finally:
            os.close(handle)
    return None


def _reuse_of(libc: ctypes.CDLL, handle: int, number: int, ports: frozenset[int]) -> str | None:
    copy = libc.syscall(SYS_PIDFD_GETFD, handle, number, 0)
    if copy < 0:
        return None
    try:
        sock = socket.socket(fileno=copy)
    except OSError:  # not a socket
        os.close(copy)
        return None
    with sock:
        if sock.family != socket.AF_INET or sock.type != socket.SOCK_DGRAM or sock.getsockname()[1] not in ports:
            return None
        names = [
            name for name in ("SO_REUSEADDR", "SO_REUSEPORT")
            if sock.getsockopt(socket.SOL_SOCKET, getattr(socket, name))
        ]  # fmt: skip
        return " and ".join(names) or "nothing"
