"""Read PVs with caproto's threading client and print what came (runs inside a lab)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from canet.harness.participants.patience import Patience

SILENCE = 2.0
"""Seconds after which a connected server that does not answer is given up, at least."""


def read(config: Mapping[str, Any]) -> None:
    """Connect to ``pvs``, read each, print one JSON line ``{"event": "read", …}`` and end the process."""
    from caproto.threading.client import Context

    started = time.monotonic()
    names = [str(name) for name in config["pvs"]]
    context = Context()
    pvs = context.get_pvs(*names)
    searches = context.broadcaster.unanswered_searches

    def searched() -> bool:
        """Say whether each search that is not answered has a time at which it was sent."""
        return all(pv.connected for pv in pvs) or all(sent for _name, _queue, sent, _until in list(searches.values()))

    patience = Patience(float(config["timeout"]), searched)
    while not all(pv.connected for pv in pvs) and patience.lasts():
        time.sleep(1e-3)
    connected: dict[str, str] = {}
    values: dict[str, Any] = {}
    for pv in pvs:
        try:
            pv.wait_for_connection(timeout=0.01)
            host, port = pv.circuit_manager.circuit.address
            connected[pv.name] = f"{host}:{port}"
            data = pv.read(timeout=max(SILENCE, patience.left)).data
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
