"""Stay connected to PVs with caproto's threading client, and print each change as it comes (runs inside a lab)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from canet.harness.participants.tell import tell


def watch(config: Mapping[str, Any]) -> None:
    """Connect to ``pvs``, subscribe to each, and print changes until the process is ended; see ``watch_libca``."""
    from caproto.threading.client import Context

    def connection(pv: Any, state: str) -> None:
        address = ""
        if state == "connected":
            host, port = pv.circuit_manager.circuit.address
            address = f"{host}:{port}"
        tell(state, pv.name, address=address)

    def update(subscription: Any, response: Any) -> None:
        items = response.data.tolist()
        tell("value", subscription.pv.name, value=items[0] if len(items) == 1 else items)

    context = Context()
    kept = []
    for pv in context.get_pvs(*[str(name) for name in config["pvs"]], connection_state_callback=connection):
        subscription = pv.subscribe()
        subscription.add_callback(update)
        kept.append((pv, subscription))
    threading.Event().wait()
