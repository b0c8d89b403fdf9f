"""Measure the harness itself: ``python -m canet.harness.bench.lab``.

Prints in one run, next to what is to be reached: how long a scenario takes from start to verdict and torn down; the
harness's own part of that with rsrv and libca, which take far longer themselves; 200 scenarios as items of pytest; and
the topology alone as a ratio to the same work by ``ip -batch``, where that program is installed.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from canet.netns import Network, enter

ITEMS = 200
ROW = "{:<78} {:>9} {}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="runs of each (default 20)")
    parser.add_argument("--scenario", default="broadcast_reaches_all", help="one segment, two hosts, three servers")
    options = parser.parse_args()
    enter()
    from canet.scenarios.library import find

    scenario = find(options.scenario)[0]
    print(ROW.format("load of the machine (last minute) per CPU", f"{_load():.2f}", ""))
    for name, seconds, goal in _rows(scenario, options.times):
        shown = f"{seconds:.1f} s" if seconds > 2 else f"{seconds * 1e3:.1f} ms"
        print(ROW.format(name, shown, goal), flush=True)
    if shutil.which("ip"):
        ratio = median(lambda: _network(scenario.topology), options.times) / median(by_ip, options.times)
        print(ROW.format("the topology alone: canet / ip -batch", f"{ratio:.2f}", "goal 3"))


def _load() -> float:
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def _rows(scenario: Any, times: int) -> Iterator[tuple[str, float, str]]:
    """Yield what was measured, the seconds, and the goal."""
    from canet.harness.participants.recipe import missing
    from canet.harness.run.cases import Case, without_clients

    packets, name = without_clients(scenario), scenario.id.rpartition("/")[2]
    for subject in ("asyncio", "curio", "trio", "mix"):
        seconds = median(functools.partial(_run, Case(packets, subject)), times)
        yield f"{name}, {subject}: from start to verdict and down", seconds, "goal 150 ms"
    for subject, where, what in (("rsrv", packets, "rsrv"), ("asyncio", scenario, "libca"), ("rsrv", scenario, "both")):
        if missing("rsrv") or missing("libca"):
            continue
        case = Case(where, subject)
        own = statistics.median(_own_part(case) for _ in range(max(3, times // 4)))
        yield f"{name} with {what}: the harness's own part", own, "goal 100 ms"
    yield "the topology alone", median(lambda: _network(scenario.topology), times), ""
    yield f"{ITEMS} scenarios with packets only as items of pytest -n auto", _items(), "goal 15 s"


def _network(topology: Any) -> None:
    with Network(topology):
        pass


def _run(case: Any) -> None:
    """Run a case that holds."""
    from canet.harness.run import run

    result = run.run_case(case)
    if result.verdict.outcome != "holds":
        raise SystemExit(f"{case.id}: {result.verdict}")


def _own_part(case: Any) -> float:
    """Return the seconds of a run less those in which the harness waits for servers to start and for clients to end."""
    from canet.harness.lab import tries
    from canet.harness.lab.crew import Crew

    waited: list[float] = []
    started = time.perf_counter()
    with _timed(Crew, "start", waited), _timed(tries, "run", waited):
        _run(case)
    return time.perf_counter() - started - sum(waited)


@contextmanager
def _timed(owner: Any, name: str, durations: list[float]) -> Iterator[None]:
    """Note how long each call of a function takes."""
    real = getattr(owner, name)

    def timed(*args: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return real(*args, **options)
        finally:
            durations.append(time.perf_counter() - started)

    setattr(owner, name, timed)
    try:
        yield
    finally:
        setattr(owner, name, real)


ITEM = """
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


def _items() -> float:
    """Run many scenario files by pytest, as a user's repository would, and return the seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(ITEMS):
            (folder / f"item{number:03d}.canet.toml").write_text(ITEM.format(number=number))
        command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", name]
        (folder / "pytest.ini").write_text("[pytest]\n")
        started = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        if done.returncode or f"{ITEMS} passed" not in done.stdout:
            raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
        return seconds


def median(function: Callable[[], None], times: int) -> float:
    """Return the median duration in seconds; the first call warms up and does not count."""
    function()
    durations = []
    for _ in range(times):
        started = time.perf_counter()
        function()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


BY_IP = r"""
set -e
mount -t tmpfs none /run
mkdir -p /run/netns
printf '%s\n' 'netns add w' 'netns add a' 'netns add b' | ip -batch -
printf '%s\n' 'link add br0 type bridge' 'link set br0 up' \
  'link add pa type veth peer name eth0 netns a' 'link set pa master br0 up' \
  'link add pb type veth peer name eth0 netns b' 'link set pb master br0 up' | ip -n w -batch -
printf '%s\n' 'addr add 10.1.0.1/24 brd + dev eth0' 'link set eth0 up' 'link set lo up' | ip -n a -batch -
printf '%s\n' 'addr add 10.1.0.2/24 brd + dev eth0' 'link set eth0 up' 'link set lo up' | ip -n b -batch -
"""
"""The same bridge and hosts, as a shell script would build them; named namespaces live and end with a mount of it."""


def by_ip() -> None:
    """Build a bridge and two hosts with ``ip -batch``."""
    subprocess.run(["unshare", "--net", "--mount", "sh", "-c", BY_IP], check=True)


if __name__ == "__main__":
    main()
