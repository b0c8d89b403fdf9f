"""Load over UDP: names searched for, of PVs that are served and of others; each measure returns a rate."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from canet.harness.bench.load import LoadError, Target, header, search

SEARCHED = tuple(f"search:{'long:' * (number % 5)}{number:0{1 + number % 7}d}" for number in range(22))
"""PVs that each server has to be searched for, of many lengths; one datagram of a client (1,024 bytes) holds them."""
_UNDERWAY = 16
"""Datagrams of searches that a server is given at a time: all that the receive buffer of any holds."""
_FOUND = b"\0\6\0\x08"
"""How the reply to a search begins."""


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
