"""Load over a circuit: each measure takes a target and returns a rate.

Requests are built once; while a measure runs, only bytes are moved and counted, so that the server is what is measured.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from struct import Struct

from canet.harness.bench.load import Connection, LoadError, Target, header, name_bytes

_DOUBLE = 6
_TIME_DOUBLE = 20


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


def _value(number: float) -> bytes:
    return Struct(">d").pack(number)
