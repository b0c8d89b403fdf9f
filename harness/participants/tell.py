"""Print what happened to a client as one line of JSON, whole even when several threads print."""

from __future__ import annotations

import json
import os
import sys
import time


def tell(what: str, pv: str = "", **more: object) -> None:
    """Write ``{"event": "change", "what": …, "pv": …, "time": …}`` to standard output; ``time`` as ``time.time()``."""
    sys.stdout.flush()
    line = {"event": "change", "what": what, "pv": pv, "time": time.time(), **more}
    os.write(1, b"\n" + json.dumps(line, default=str).encode() + b"\n")
