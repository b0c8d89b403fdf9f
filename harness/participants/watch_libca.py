"""Stay connected to PVs with libca, through pyepics, and print each change as it comes (runs inside a lab)."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from typing import Any

from canet.harness.participants import sockets
from canet.harness.participants.libca_messages import show_messages
from canet.harness.participants.tell import tell


def watch(config: Mapping[str, Any]) -> None:
    """Connect to ``pvs``, subscribe to each, and print changes until the process is ended.

    With ``repeater``, a repeater runs in a thread of this process, as libca does since 7.0.6 where it cannot start the
    program caRepeater; it ends with the process. Each change is a JSON line ``{"event": "change", "what": …, "pv": …,
    "time": …}``; ``what`` is ``connected``, ``disconnected`` or ``value``. What libca has to say otherwise comes as
    text; an unresponsive circuit counts as ``disconnected``.
    """
    from epics import ca

    if config.get("repeater"):
        _start_repeater()
    ca.initialize_libca()
    _kept = show_messages(ca.libca)
    first: queue.SimpleQueue[str] = queue.SimpleQueue()
    names = [str(name) for name in config["pvs"]]
    channels: dict[str, Any] = {}

    def connection(pvname: str, chid: Any, conn: bool) -> None:
        if conn:
            tell("connected", pvname, address=ca.host_name(chid))
            first.put(pvname)
        else:
            tell("disconnected", pvname)

    def update(pvname: str = "", value: Any = None, **_more: Any) -> None:
        tell("value", pvname, value=value.tolist() if hasattr(value, "tolist") else value)

    for name in names:
        channels[name] = ca.create_channel(name, connect=False, auto_cb=False, callback=connection)
    ca.flush_io()
    kept: dict[str, Any] = {}
    while True:
        name = first.get()
        if name not in kept:  # libca itself renews subscriptions after a reconnection
            kept[name] = ca.create_subscription(channels[name], callback=update)
            ca.flush_io()


def _start_repeater() -> None:
    """Start the thread, and wait until port 5065 is held, by it or by another repeater of this host."""
    from canet.harness.participants.serve_repeater import libca_repeater

    threading.Thread(target=libca_repeater(), daemon=True).start()
    while not any(each.port == 5065 for each in sockets.table("udp")):
        time.sleep(0.001)
