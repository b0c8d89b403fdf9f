"""Read PVs with canet's own client and print what came (runs inside a lab).

Destinations come from ``EPICS_CA_ADDR_LIST``, ``EPICS_CA_AUTO_ADDR_LIST``, ``EPICS_CA_SERVER_PORT`` and
``EPICS_CA_NAME_SERVERS``, read as libca reads them (``iocinf.cpp``).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import time
from collections.abc import Mapping
from typing import Any

from canet.harness.client import search
from canet.harness.client.blocking import ClientError, Connection
from canet.harness.participants.patience import STEP, Patience
from canet.server.io.interfaces import interfaces

SILENCE = 2.0
"""Seconds after which a server that does not accept or answer is given up, at least."""
FIRST_PAUSE = 0.032
"""Seconds until the first repetition; each pause is twice the one before (``udpiiu.h``)."""


def read(config: Mapping[str, Any]) -> None:
    """Find ``pvs``, read each, print one JSON line ``{"event": "read", …}``."""
    started = time.monotonic()
    names = [str(name) for name in config["pvs"]]
    patience = Patience(float(config["timeout"]))
    found = find(names, destinations(os.environ), patience)
    connected: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, address in found.items():
        try:
            with Connection.open(address, timeout=max(SILENCE, patience.left)) as connection:
                channel = connection.channel(name)
                connected[name] = address
                value = connection.read(channel)
        except ClientError as error:
            print(f"{name}: {error}", flush=True)
            continue
        values[name] = value.tolist() if hasattr(value, "tolist") else value
    answer = {
        "event": "read",
        "connected": connected,
        "values": values,
        "missing": [name for name in names if name not in connected],
        "seconds": time.monotonic() - started,
    }
    print(json.dumps(answer), flush=True)


def destinations(env: Mapping[str, str]) -> list[tuple[str, int]]:
    """Return where searches go: the broadcast address of each interface, unless switched off, and the list."""
    port = int(env.get("EPICS_CA_SERVER_PORT") or 5064)
    found: list[tuple[str, int]] = []
    if "no" not in env.get("EPICS_CA_AUTO_ADDR_LIST", "").lower():
        here = [each for each in interfaces() if not each.loopback]
        found += [(str(each.peer or each.broadcast), port) for each in here if each.peer or each.broadcast]
        if not here:
            found.append(("127.0.0.1", port))  # "the loop back address if there is nothing else" (``iocinf.cpp``)
    for entry in env.get("EPICS_CA_ADDR_LIST", "").split():
        host, _, own = entry.partition(":")
        with contextlib.suppress(OSError, ValueError):
            found.append((socket.gethostbyname(host), int(own) if own else port))
    return list(dict.fromkeys(found))


def find(names: list[str], where: list[tuple[str, int]], patience: Patience) -> dict[str, str]:
    """Search until every name is answered or the patience is over; return the first answer for each."""
    found: dict[str, str] = {}
    pause, due = FIRST_PAUSE, 0.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        while len(found) < len(names) and patience.lasts():
            if (now := time.monotonic()) >= due:
                waiting = [(cid, name) for cid, name in enumerate(names) if name not in found]
                for data in search.datagrams(waiting):
                    for target in where:
                        with contextlib.suppress(OSError):
                            sock.sendto(data, target)
                due, pause = now + pause, pause * 2
            select.select([sock], [], [], min(max(0.0, due - time.monotonic()), STEP / 2))
            with contextlib.suppress(OSError):
                while True:
                    data, (address, _port) = sock.recvfrom(65536)
                    for each in search.answers(data, address):
                        if 0 <= each.cid < len(names):
                            found.setdefault(names[each.cid], each.announced)
    return found
