"""Load for a Channel Access server over plain sockets: prebuilt requests out, bytes counted back.

Each measure takes a :class:`Target` and returns a rate. Requests are built once; while a measure runs, the load
generator only moves bytes, so that the server is what is measured.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import Struct

HEADER = Struct(">HHHHII")
SEARCHED = tuple(f"search:{'long:' * (number % 5)}{number:0{1 + number % 7}d}" for number in range(22))
"""PVs that each server has to be searched for, of many lengths; one datagram of a client (1,024 bytes) holds them."""
_UNDERWAY = 16
"""Datagrams of searches that a server is given at a time: all that the receive buffer of any holds."""
_FOUND = b"\0\6\0\x08"
"""How the reply to a search begins."""
_DOUBLE = 6
_TIME_DOUBLE = 20


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


def _stream(connection: Connection, blocks: Sequence[bytes], replies: int) -> float:
    """Send blocks for the target's time, or all of them once, wait for all replies, and return blocks per second.

    Args:
        connection: the circuit.
        blocks: requests, all of one size; a single one is sent again and again.
        replies: bytes of all replies to one block.
    """
    sock, target = connection.sock, connection.target
    sock.setblocking(False)
    poller = select.poll()
    view = memoryview(bytearray(1 << 20))
    window = max(1, target.window // len(blocks[0]))
    sent = received = 0
    todo = memoryview(b"")
    start = time.perf_counter()
    deadline = start + target.seconds
    while True:
        if not todo:
            ending = time.perf_counter() >= deadline or (1 < len(blocks) <= sent)
            if ending and received >= sent * replies:
                break
            if not ending and sent - received // replies < window:
                todo = memoryview(blocks[sent % len(blocks)])
                sent += 1
        poller.register(sock, select.POLLIN | (select.POLLOUT if todo else 0))
        for _, events in poller.poll(20_000) or [(0, 0)]:
            if not events:
                raise LoadError(f"{received} of {sent * replies} bytes came, then nothing for 20 s")
            if events & select.POLLOUT:
                todo = todo[sock.send(todo) :]
            if events & ~select.POLLOUT:
                number = sock.recv_into(view)
                if not number:
                    raise LoadError("the server closed the connection")
                received += number
    elapsed = time.perf_counter() - start
    sock.setblocking(True)
    return sent / elapsed


def get_pipelined(target: Target, kind: int = _DOUBLE) -> float:
    """Return READ_NOTIFY per second, as many underway as the window lets."""
    number = min(2000, target.window // 16)
    with Connection(target, target.scalar) as connection:
        block = b"".join(header(15, 0, kind, 1, connection.sid, ioid) for ioid in range(number))
        return _stream(connection, [block], number * (16 + (8 if kind == _DOUBLE else 24))) * number


def get_time_pipelined(target: Target) -> float:
    """Return READ_NOTIFY of TIME_DOUBLE per second."""
    return get_pipelined(target, _TIME_DOUBLE)


def get_one_at_a_time(target: Target) -> float:
    """Return READ_NOTIFY per second, each sent when the one before was answered."""
    with Connection(target, target.scalar) as connection:
        request = header(15, 0, _DOUBLE, 1, connection.sid, 7)
        send, receive = connection.sock.sendall, connection.sock.recv
        number, start = 0, time.perf_counter()
        deadline = start + target.seconds
        while time.perf_counter() < deadline:
            for _ in range(50):
                send(request)
                receive(4096)
            number += 50
        return number / (time.perf_counter() - start)


def put_notify_pipelined(target: Target) -> float:
    """Return WRITE_NOTIFY per second."""
    number = min(500, target.window // 24)
    with Connection(target, target.scalar) as connection:
        block = b"".join(header(19, 8, _DOUBLE, 1, connection.sid, ioid) + _value(ioid + 0.5) for ioid in range(number))
        return _stream(connection, [block], number * 16) * number


def put_pipelined(target: Target) -> float:
    """Return WRITE per second; a read after each block shows that all of it was taken."""
    number = min(2000, target.window // 24)
    with Connection(target, target.scalar) as connection:
        block = b"".join(header(4, 8, _DOUBLE, 1, connection.sid, ioid) + _value(ioid + 0.5) for ioid in range(number))
        return _stream(connection, [block + header(15, 0, _DOUBLE, 1, connection.sid, 1)], 24) * number


def create_pipelined(target: Target) -> float:
    """Return CREATE_CHAN per second, each with an id of its own, at most 200,000 of them."""
    raw = name_bytes(target.scalar)
    number = min(1000, target.window // (16 + len(raw)))
    blocks = [
        b"".join(header(18, len(raw), 0, 0, cid, 13) + raw for cid in range(first, first + number))
        for first in range(2, 200_000, number)
    ]
    with Connection(target, target.scalar) as connection:
        return _stream(connection, blocks, number * 32) * number


def monitor_updates(target: Target, subscribers: int = 10) -> float:
    """Return puts per second, each awaited by ten subscriptions on the same circuit."""
    with Connection(target, target.scalar) as connection:
        sock = connection.sock
        mask = bytes(12) + b"\0\1\0\0"
        sock.sendall(
            b"".join(header(1, 16, _DOUBLE, 1, connection.sid, each) + mask for each in range(1, subscribers + 1))
        )
        for _ in range(subscribers):
            connection.wait(1)
        requests = [header(4, 8, _DOUBLE, 1, connection.sid, 1) + _value(each + 0.25) for each in range(2)]
        expected = subscribers * 24
        number, start = 0, time.perf_counter()
        deadline = start + target.seconds
        while time.perf_counter() < deadline:
            for request in requests * 10:
                sock.sendall(request)
                left = expected
                while left > 0:
                    left -= len(sock.recv(4096))
            number += 20
        return number / (time.perf_counter() - start)


def array_get(target: Target) -> float:
    """Return the bytes of an array of doubles that are read per second."""
    with Connection(target, target.array) as connection:
        size = target.elements * 8
        request = header(15, 0xFFFF, _DOUBLE, 0, connection.sid, 1) + (0).to_bytes(4) + target.elements.to_bytes(4)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        narrow = Connection.__new__(Connection)
        narrow.sock, narrow.target = connection.sock, Target(target.host, target.port, len(request) * 4, target.seconds)
        head = 24 if size >= 0xFFFF or target.elements >= 0xFFFF else 16
        return _stream(narrow, [request], head + size) * size


def _search_rate(target: Target, names: Sequence[str]) -> float:
    """Return names searched per second, all of them served, with a few datagrams underway all the while."""
    datagram = _searches(names)
    with _searcher(target) as sock:
        sent = received = 0
        start = time.perf_counter()
        deadline = start + target.seconds
        while (going := time.perf_counter() < deadline) or received < sent:
            while going and sent - received <= (_UNDERWAY - 1) * len(names):
                sock.send(datagram)
                sent += len(names)
            received += sock.recv(65536).count(_FOUND)
        return received / (time.perf_counter() - start)


def _unserved_rate(target: Target, names: Sequence[str]) -> float:
    """Return names searched per second, none of them served; the answer to one more name shows how far it is."""
    datagram, last = _searches(names), _searches([target.scalar])
    with _searcher(target) as sock:
        number, start = 0, time.perf_counter()
        deadline = start + target.seconds
        while time.perf_counter() < deadline:
            for _ in range(_UNDERWAY):
                sock.send(datagram)
            sock.send(last)
            sock.recv(65536)
            number += _UNDERWAY * len(names)
        return number / (time.perf_counter() - start)


def _searches(names: Sequence[str]) -> bytes:
    """Return a datagram of searches; no id looks like a message."""
    return header(0, 0, 0, 13, 0, 0) + b"".join(search(name, 1000 + cid) for cid, name in enumerate(names))


def _searcher(target: Target) -> socket.socket:
    """Return a socket whose searches the server hears.

    Raises:
        LoadError: if it hears none of twenty.
    """
    probe = header(0, 0, 0, 13, 0, 0) + search(target.scalar)
    for _ in range(20):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect((target.host, target.port))
        sock.settimeout(0.2)
        sock.send(probe)
        try:
            sock.recv(65536)
        except OSError:
            sock.close()
            continue
        sock.settimeout(5)
        return sock
    raise LoadError(f"no answer to searches for {target.scalar} from twenty ports")


def search_hit(target: Target) -> float:
    """Return names per second, all of them served, no two alike and of many lengths, as a client's are."""
    return _search_rate(target, SEARCHED)


def search_miss(target: Target) -> float:
    """Return names per second, none of them served."""
    return _unserved_rate(target, [f"no:{name}" for name in SEARCHED])


def _value(number: float) -> bytes:
    return Struct(">d").pack(number)


Measure = Callable[[Target], float]
MEASURES: tuple[tuple[str, Measure, float, str], ...] = (
    ("get DBR_DOUBLE, pipelined", get_pipelined, 1, "/s"),
    ("get DBR_TIME_DOUBLE, pipelined", get_time_pipelined, 1, "/s"),
    ("get, one at a time", get_one_at_a_time, 1, "/s"),
    ("put with notify, pipelined", put_notify_pipelined, 1, "/s"),
    ("put without notify, pipelined", put_pipelined, 1, "/s"),
    ("create channel, pipelined", create_pipelined, 1, "/s"),
    ("monitor updates, 10 subscribers, each put awaited", monitor_updates, 1, "/s"),
    ("array of 100,000 doubles, get", array_get, 1e6, "MB/s"),
    ("UDP search, PV served", search_hit, 1, "/s"),
    ("UDP search, PV not served", search_miss, 1, "/s"),
)
"""What is measured: (work, function, divisor, unit)."""
