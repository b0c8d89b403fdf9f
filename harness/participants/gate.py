"""Let a server's process do all that takes time, and wait at a gate before it binds its first socket.

The order in which servers of one host bind their sockets matters to the kernel. Their start-up does not, so they start
side by side; the lab opens the gates in order, by a byte on standard input.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any


def run(target: str, config: Mapping[str, Any]) -> int:
    """Import ``module:function``, call the module's ``prepare(config)`` if it has one, wait, then call the function.

    Returns:
        The exit code of the function; 0 if the gate is never opened, because the lab has ended.
    """
    name, _, function = target.partition(":")
    module = importlib.import_module(name)
    prepare = getattr(module, "prepare", None)
    if prepare is not None:
        prepare(config)
    if not os.read(0, 1):
        return 0
    return int(getattr(module, function)(config) or 0)
