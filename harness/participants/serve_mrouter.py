"""Route multicasts between the interfaces of a host, as a multicast routing daemon does (runs inside a lab).

The kernel forwards a multicast only by an entry for its source and group, and asks whoever opened the routing socket
when it has none (ip(7), ``linux/mroute.h``): this answers "to all other interfaces". The kernel lowers the TTL and
drops what arrives with 1, which is all that most multicasts have.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
from collections.abc import Mapping
from typing import Any

MRT_INIT, MRT_ADD_VIF, MRT_ADD_MFC = 200, 202, 204
VIFF_USE_IFINDEX = 8
NOCACHE = 1
_VIF = struct.Struct("=HBBIi4s")
_MFC = struct.Struct("=4s4sH32sxxIIIi")
_UPCALL = struct.Struct("=8xBBBB4s4s")


def serve(config: Mapping[str, Any]) -> None:
    """Route until SIGTERM; ``interfaces`` names them, separated by blanks (all but ``lo`` where missing)."""
    names = str(config.get("interfaces") or "").split() or [n for _, n in socket.if_nameindex() if n != "lo"]
    router = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
    router.setsockopt(socket.IPPROTO_IP, MRT_INIT, 1)
    for number, name in enumerate(names):
        index = socket.if_nametoindex(name)
        entry = _VIF.pack(number, VIFF_USE_IFINDEX, 1, 0, index, bytes(4))
        router.setsockopt(socket.IPPROTO_IP, MRT_ADD_VIF, entry)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print("\n" + json.dumps({"event": "ready", "udp": [], "tcp": []}), flush=True)
    while True:
        data = router.recv(65536)
        if len(data) < _UPCALL.size:
            continue
        kind, zero, arrived, _more, source, group = _UPCALL.unpack_from(data)
        if zero == 0 and kind == NOCACHE and arrived < len(names):
            ttls = bytes(0 if number == arrived or number >= len(names) else 1 for number in range(32))
            entry = _MFC.pack(source, group, arrived, ttls, 0, 0, 0, 0)
            router.setsockopt(socket.IPPROTO_IP, MRT_ADD_MFC, entry)
