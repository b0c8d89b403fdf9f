"""What the load of a server is made of, over plain sockets: messages, where to send them, and a circuit."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from struct import Struct

HEADER = Struct(">HHHHII")


@dataclass(frozen=True, slots=True)
class Target:
    """A server under load."""

    host: str
    port: int
    """Its UDP port; where its TCP port is, a search tells."""
    window: int = 1 << 20
    """Bytes of requests that may be underway; some servers cannot take more than a few."""
    seconds: float = 1.0
    scalar: str = "x"
    array: str = "array"
    elements: int = 100_000


class LoadError(RuntimeError):
    """The server did not do what the measure needs."""


def header(command: int, size: int, kind: int, count: int, p1: int, p2: int) -> bytes:
    """Return a message header."""
    return HEADER.pack(command, size, kind, count, p1, p2)


def name_bytes(name: str) -> bytes:
    """Return a name as it is sent: with a zero, padded to eight."""
    raw = name.encode() + b"\0"
    return raw + bytes(-len(raw) & 7)


def search(name: str, cid: int = 1) -> bytes:
    """Return a search message."""
    raw = name_bytes(name)
    return header(6, len(raw), 5, 13, cid, cid) + raw


def find(target: Target, timeout: float = 20.0) -> int:
    """Return the TCP port that the server announces.

    Raises:
        LoadError: if it does not answer in time.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        # A new source port for each try: rsrv binds 127.0.0.1 twice and hears only one of its two sockets.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.05)
            sock.sendto(header(0, 0, 0, 13, 0, 0) + search(target.scalar), (target.host, target.port))
            try:
                data = sock.recv(65536)
            except OSError:
                continue
            for at in range(0, len(data) - 15, 8):
                command, size, port, *_ = HEADER.unpack_from(data, at)
                if command == 6 and size in (0, 8):
                    return int(port)
    raise LoadError(f"no answer to a search for {target.scalar} at {target.host}:{target.port} within {timeout:g} s")


class Connection:
    """A circuit with one channel."""

    def __init__(self, target: Target, name: str) -> None:
        self.target = target
        self.sock = socket.create_connection((target.host, find(target)), 20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = bytearray()
        raw = name_bytes(name)
        self.sock.sendall(
            header(0, 0, 0, 13, 0, 0)
            + header(20, 8, 0, 0, 0, 0)
            + b"bench\0\0\0"
            + header(21, 8, 0, 0, 0, 0)
            + b"bench\0\0\0"
            + header(18, len(raw), 0, 0, 1, 13)
            + raw
        )
        self.sid = self.wait(18)[5]

    def wait(self, command: int) -> tuple[int, ...]:
        """Read until a message of that command came, and return its header."""
        while True:
            while len(self.pending) >= 16:
                fields = HEADER.unpack_from(self.pending)
                start, size = 16, fields[1]
                if size == 0xFFFF:
                    if len(self.pending) < 24:
                        break
                    start, size = 24, int.from_bytes(self.pending[16:20])
                if len(self.pending) < start + size:
                    break
                del self.pending[: start + size]
                if fields[0] == command:
                    return fields
                if fields[0] in (11, 26):
                    raise LoadError(f"the server answered {fields}")
            data = self.sock.recv(1 << 20)
            if not data:
                raise LoadError("the server closed the connection")
            self.pending += data

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()
