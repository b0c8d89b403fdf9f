"""Read PVs with caproto's threading client and print what came (runs inside a lab)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any


def read(config: Mapping[str, Any]) -> None:
    """Connect to ``pvs``, read each, print one JSON line ``{"event": "read", …}`` and end the process."""
    from caproto.threading.client import Context

    started = time.monotonic()
    timeout = float(config["timeout"])
    names = [str(name) for name in config["pvs"]]
    context = Context()
    pvs = context.get_pvs(*names)
    connected: dict[str, str] = {}
    values: dict[str, Any] = {}
    for pv in pvs:
        try:
            pv.wait_for_connection(timeout=max(0.01, started + timeout - time.monotonic()))
            host, port = pv.circuit_manager.circuit.address
            connected[pv.name] = f"{host}:{port}"
            data = pv.read(timeout=max(0.5, started + timeout - time.monotonic())).data
            items = [each.decode() if isinstance(each, bytes) else each for each in data.tolist()]
            values[pv.name] = items[0] if len(items) == 1 else items
        except Exception as error:  # whatever a foreign client raises is what we report about it
            print(f"{pv.name}: {type(error).__name__}: {error}", flush=True)
    answer = {
        "event": "read",
        "connected": connected,
        "values": values,
        "missing": [name for name in names if name not in connected],
        "seconds": time.monotonic() - started,
    }
    print("\n" + json.dumps(answer, default=str), flush=True)
    os._exit(0)  # its threads would keep the process
