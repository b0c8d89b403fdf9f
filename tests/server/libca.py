"""libca in a process of its own: connects to PVs by TCP searches alone, so that no other server can answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

_READER = """
import json, sys
from epics import ca
names = json.load(sys.stdin)
channels = {name: ca.create_channel(name, connect=False, auto_cb=False) for name in names}
for name, channel in channels.items():
    assert ca.connect_channel(channel, timeout=30), name
found = {}
for name, channel in channels.items():
    kind = ca.field_type(channel)
    value = ca.get(channel, timeout=30, as_string=kind in (0, 3))
    found[name] = kind, ca.element_count(channel), ca.access(channel), getattr(value, "tolist", lambda: value)()
json.dump(found, sys.stdout)
"""


_DESCRIBER = """
import json, sys
from epics import ca
names = json.load(sys.stdin)
channels = {name: ca.create_channel(name, connect=False, auto_cb=False) for name in names}
for name, channel in channels.items():
    assert ca.connect_channel(channel, timeout=30), name
kept = ("units", "precision", "enum_strs", *(f"{end}_{which}_limit" for end in ("upper", "lower")
        for which in ("disp", "ctrl", "alarm", "warning")))
found = {}
for name, channel in channels.items():
    said = ca.get_ctrlvars(channel, timeout=30) or {}
    found[name] = {key: repr(said[key]) for key in kept if key in said}
json.dump(found, sys.stdout)
"""


def describe_all(address: str, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Connect to all PVs and read their units, precision, limits and states, each as text."""
    found: dict[str, dict[str, str]] = _run(_DESCRIBER, address, names)
    return found


def read_all(address: str, names: Iterable[str]) -> dict[str, tuple[int, int, str, Any]]:
    """Connect to all PVs and read them.

    Args:
        address: Where the server listens, ``A:PORT``.
        names: What to read.

    Returns:
        Native type, element count, access and value of each; enumerations as text.
    """
    return {name: tuple(found) for name, found in _run(_READER, address, names).items()}


def _run(program: str, address: str, names: Iterable[str]) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(list(names)),
        capture_output=True,
        text=True,
        timeout=120,
        env={
            **os.environ,
            "EPICS_CA_NAME_SERVERS": address,
            "EPICS_CA_ADDR_LIST": "",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
