"""Run a CA repeater, the one of EPICS Base or of caproto, as a process of its own (runs inside a lab)."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from canet.harness.participants import sockets


def serve(config: Mapping[str, Any]) -> None:
    """Run until the process is ended; ``kind`` is ``libca`` (as the program ``caRepeater``) or ``caproto``.

    Prints ``{"event": "ready", …}`` when its socket is bound. A repeater ends by itself when another one is there.
    """
    run = _caproto if config.get("kind") == "caproto" else libca_repeater()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    port = int(os.environ.get("EPICS_CA_REPEATER_PORT") or 5065)
    while thread.is_alive():
        mine = sockets.bound_by(sockets.inodes([os.getpid()]), sockets.table("udp"))
        names = [each.name for each in mine.udp if each.port == port]
        if names:
            print("\n" + json.dumps({"event": "ready", "udp": names, "tcp": []}), flush=True)
            break
        time.sleep(0.002)
    thread.join()
    print("the repeater has ended: another one is there", flush=True)
    os._exit(1)


def libca_repeater() -> Callable[[], object]:
    """Return the repeater of EPICS Base: it runs in the thread that calls it, or ends at once if another one is there.

    What it needs is imported here, because two threads that import at the same time may wait for each other for ever.
    """
    import ctypes

    from epicscorelibs.path import get_lib

    return ctypes.CDLL(get_lib("ca"))["_Z11ca_repeaterv"]  # ca_repeater() of cadef.h, compiled as C++


def _caproto() -> None:
    from caproto.sync.repeater import run

    run("0.0.0.0")
