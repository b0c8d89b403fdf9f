"""Scenario files as items of pytest, in a folder such as a user's repository has."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

ITEM: Final = """
title = "Item {number}"
story = "Three servers on one host hear a broadcast."
speaks_about = ["asyncio"]

[segments.lan]

[hosts.client.interfaces]
eth0 = {{ segment = "lan", addresses = ["10.1.0.1/24"] }}

[hosts.ioc.interfaces]
eth0 = {{ segment = "lan", addresses = ["10.1.0.2/24"] }}

[servers]
ioc1 = {{ host = "ioc" }}
ioc2 = {{ host = "ioc" }}
ioc3 = {{ host = "ioc" }}

[probes.broadcast]
host = "client"
to = "10.1.0.255"

[expect.broadcast]
answered = "all of ioc1, ioc2, ioc3"
"""


class ItemsError(Exception):
    """Not all items passed: what pytest printed."""


def run(count: int) -> float:
    """Run scenario files by ``pytest -n auto`` and return the seconds, from its start to its end.

    Raises:
        ItemsError: not all passed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        for number in range(count):
            (folder / f"item{number:03d}.canet.toml").write_text(ITEM.format(number=number))
        command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", name]
        started = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
    if done.returncode or f"{count} passed" not in done.stdout:
        raise ItemsError(f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return seconds
