"""Read which processes speak Channel Access: their sockets, the options and owners of these, and ``EPICS_*``.

Only what this user may read under ``/proc`` is read. Socket options are asked of a copy of the descriptor
(pidfd_getfd(2)); where that is not allowed they stay unknown.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

SEARCH_PORT = 5064
SO_REUSEPORT = 15
TCP_LISTEN = "0A"
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound socket."""

    address: str
    port: int
    inode: int
    uid: int


@dataclass(slots=True)
class Speaker:
    """A process with Channel Access sockets or settings."""

    pid: int
    name: str
    uid: int
    env: dict[str, str] = field(default_factory=dict)
    udp: list[Bound] = field(default_factory=list)
    tcp: list[Bound] = field(default_factory=list)
    reuse: str | None = None
    """``both``, ``addr``, ``port``, ``none``; ``None`` where it may not be asked."""

    @property
    def serves(self) -> bool:
        """It listens for searches and for connections."""
        port = int(self.env.get("EPICS_CAS_SERVER_PORT") or self.env.get("EPICS_CA_SERVER_PORT") or SEARCH_PORT)
        return bool(self.tcp) and any(each.port == port for each in self.udp)


def speakers(proc: Path = Path("/proc")) -> list[Speaker]:
    """Return the processes of this network namespace that speak Channel Access, by process id."""
    udp = {each.inode: each for each in sockets(proc / "self/net/udp")}
    tcp = {each.inode: each for each in sockets(proc / "self/net/tcp", TCP_LISTEN)}
    found = []
    for path in sorted((each for each in proc.iterdir() if each.name.isdigit()), key=lambda each: int(each.name)):
        speaker = _speaker(path, udp, tcp)
        if speaker is not None and (speaker.serves or speaker.env):
            found.append(speaker)
    return found


def sockets(path: Path, state: str | None = None) -> Iterator[Bound]:
    """Yield the sockets of a table such as ``/proc/net/udp`` (proc(5))."""
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines()[1:]:
            words = line.split()
            if len(words) < 10 or (state is not None and words[3] != state):
                continue
            address, _, port = words[1].partition(":")
            text = str(IPv4Address(struct.pack("<I", int(address, 16))))
            yield Bound(text, int(port, 16), int(words[9]), int(words[7]))


def _speaker(path: Path, udp: dict[int, Bound], tcp: dict[int, Bound]) -> Speaker | None:
    try:
        if str((path / "ns/net").readlink()) != _own_namespace():
            return None
        name = (path / "comm").read_text().strip()
        uid = path.stat().st_uid
        raw = (path / "environ").read_bytes()
        descriptors = list((path / "fd").iterdir())
    except OSError:
        return None
    speaker = Speaker(int(path.name), name, uid)
    for each in raw.split(b"\0"):
        key, _, value = each.decode(errors="replace").partition("=")
        if key.startswith("EPICS_"):
            speaker.env[key] = value
    for link in descriptors:
        with contextlib.suppress(OSError):
            target = str(link.readlink())
            if not target.startswith("socket:["):
                continue
            inode = int(target[8:-1])
            if inode in udp:
                speaker.udp.append(udp[inode])
                if udp[inode].port == SEARCH_PORT and speaker.reuse is None:
                    speaker.reuse = reuse_of(speaker.pid, int(link.name))
            elif inode in tcp:
                speaker.tcp.append(tcp[inode])
    return speaker


def _own_namespace() -> str:
    try:
        return str(Path("/proc/thread-self/ns/net").readlink())
    except OSError:
        return ""


def reuse_of(pid: int, descriptor: int) -> str | None:
    """Return the sharing options of a process's socket, or ``None`` where this user may not look."""
    pidfd = _LIBC.syscall(_PIDFD_OPEN, pid, 0)
    if pidfd < 0:
        return None
    try:
        copy = _LIBC.syscall(_PIDFD_GETFD, pidfd, descriptor, 0)
        if copy < 0:
            return None
        with socket.socket(fileno=copy) as sock:
            address = sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
            port = sock.getsockopt(socket.SOL_SOCKET, SO_REUSEPORT)
        return {(1, 1): "both", (1, 0): "addr", (0, 1): "port"}.get((int(bool(address)), int(bool(port))), "none")
    finally:
        os.close(pidfd)
