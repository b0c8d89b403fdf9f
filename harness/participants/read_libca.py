"""Read PVs with libca, the C client of EPICS Base, through pyepics, and print what came (runs inside a lab).

libca reads ``EPICS_CA_*`` when its context is made, so one process reads with one environment: a fresh one per try.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

from canet.harness.participants.libca_messages import show_messages
from canet.harness.participants.patience import Patience

SILENCE = 2.0
"""Seconds after which a connected server that does not answer is given up, at least."""


def numeric(name: str) -> str:
    """Return ``A:PORT`` for what libca calls the host of a channel: it prefers names to addresses."""
    host, _, port = name.rpartition(":")
    try:
        return f"{socket.gethostbyname(host)}:{port}"
    except OSError:
        return name


def read(config: Mapping[str, Any]) -> None:
    """Connect to ``pvs``, read each, print one JSON line ``{"event": "read", …}`` and end the process.

    ``config``: ``pvs``; ``timeout`` in seconds after the first search for each, when what did not connect counts as
    missing; ``linger`` in seconds, for which it stays connected after the reading (late messages, such as the one on
    duplicate PVs).
    """
    from epics import ca

    ca.initialize_libca()
    _kept = show_messages(ca.libca)
    started = time.monotonic()
    names = [str(name) for name in config["pvs"]]
    channels = {name: ca.create_channel(name, connect=False, auto_cb=False) for name in names}
    ca.flush_io()
    attempts = ca.libca.ca_search_attempts
    attempts.restype = ctypes.c_uint
    patience = Patience(float(config["timeout"]), lambda: all(map(attempts, channels.values())))
    while not all(map(ca.isConnected, channels.values())) and patience.lasts():
        ca.pend_event(1e-3)
    connected: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, channel in channels.items():
        if ca.isConnected(channel):
            connected[name] = numeric(ca.host_name(channel))
            if config.get("access"):
                rights = [word for word, has in (("read", ca.read_access), ("write", ca.write_access)) if has(channel)]
                print(f"{name}: access: {', '.join(rights) or 'none'}", flush=True)
            value = ca.get(channel, timeout=max(SILENCE, patience.left))
            if value is not None:
                values[name] = value.tolist() if hasattr(value, "tolist") else value
    seconds = time.monotonic() - started
    if config.get("linger"):
        ca.pend_event(float(config["linger"]))
    sys.stderr.flush()
    answer = {
        "event": "read",
        "connected": connected,
        "values": values,
        "missing": [name for name in names if name not in connected],
        "seconds": seconds,
    }
    sys.stdout.flush()
    os.write(1, b"\n" + json.dumps(answer).encode() + b"\n")  # in one piece: libca's threads print too
    os._exit(0)  # libca's own clean-up waits for its threads
