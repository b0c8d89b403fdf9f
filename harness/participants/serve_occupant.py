"""Hold ports without sharing them, and answer nothing: a program that has nothing to do with Channel Access."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Mapping
from typing import Any


def serve(config: Mapping[str, Any]) -> None:
    """Bind UDP port ``udp`` and TCP port ``tcp`` (each if given) of all addresses, without any option, until SIGTERM.

    ``listen`` (default true): the TCP port accepts connections, and nobody reads them. ``backlog``: how many.
    """
    held = []
    udp, tcp = [], []
    if config.get("udp"):
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("0.0.0.0", int(config["udp"])))
        held.append(datagrams)
        udp.append(f"0.0.0.0:{config['udp']}")
    if config.get("tcp"):
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        stream.bind(("0.0.0.0", int(config["tcp"])))
        if config.get("listen", True):
            stream.listen(int(config.get("backlog", 8)))
        held.append(stream)
        tcp.append(f"0.0.0.0:{config['tcp']}")
    print("\n" + json.dumps({"event": "ready", "udp": udp, "tcp": tcp}), flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while True:
        if config.get("udp"):
            datagrams.recv(65536)  # reads like any program, and makes nothing of it
        else:
            signal.pause()
