"""Measure the harness itself: ``python -m canet.harness.bench.lab``.

Prints in one run, next to what is to be reached: how long a scenario takes from start to verdict and torn down; the
harness's own part of that with rsrv and libca, which take far longer themselves; a lab of 200 hosts; 200 scenarios as
items of pytest; and the topology alone as a ratio to the same work by ``ip -batch``, where that program is installed.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from canet.harness.bench.items import run as run_items
from canet.harness.bench.waits import waits
from canet.harness.run import run
from canet.harness.run.cases import Case, lacking, without_clients
from canet.netns import Network, Topology, enter
from canet.netns.bench import ours, site
from canet.scenarios.model import Scenario

ITEMS: Final = 200
HOSTS, SEGMENTS = 200, 10
WIDTH: Final = 74

Row = tuple[str, float, float | None]
"""What was measured, the seconds, and within which it should be."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="runs of each (default 20)")
    parser.add_argument("--items", type=int, default=ITEMS, help=f"scenarios as items of pytest (default {ITEMS})")
    parser.add_argument("--scenario", default="broadcast_reaches_all", help="one segment, two hosts, three servers")
    options = parser.parse_args(arguments)
    enter()
    from canet.scenarios.library import find

    scenario = find(options.scenario)[0]
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    print(f"{'load of the machine (last minute) per CPU':<{WIDTH}} {load:9.2f}", flush=True)
    for row in rows(scenario, options.times, options.items):
        print(line(*row), flush=True)
    if shutil.which("ip"):
        alone = median(functools.partial(network, scenario.topology), options.times)
        print(f"{'the topology alone: canet / ip -batch':<{WIDTH}} {alone / median(by_ip, options.times):9.2f}")


def line(what: str, seconds: float, goal: float | None) -> str:
    """Return a row as text.

    >>> line("up", 0.0421, 0.15).split()
    ['up', '42.1', 'ms', 'goal', '150', 'ms:', 'reached']
    >>> line("down", 20.0, 15).split()
    ['down', '20.00', 's', 'goal', '15', 's:', 'missed']
    """
    in_seconds = (goal or seconds) >= 1
    text = f"{what:<{WIDTH}} " + (f"{seconds:9.2f} s " if in_seconds else f"{seconds * 1e3:9.1f} ms")
    if goal is None:
        return text
    named = f"{goal:g} s" if in_seconds else f"{goal * 1e3:g} ms"
    return f"{text}  goal {named}: {'reached' if seconds <= goal else 'missed'}"


def rows(scenario: Scenario, times: int, items: int) -> Iterator[Row]:
    """Measure one after the other."""
    packets, name = without_clients(scenario), scenario.id.rpartition("/")[2]
    for subject in ("asyncio", "curio", "trio", "mix"):
        seconds = median(functools.partial(hold, Case(packets, subject)), times)
        yield f"{name}, {subject}: from start to verdict and down", seconds, 0.150
    for what, played, subject in (
        ("rsrv", packets, "rsrv"),
        ("libca", scenario, "asyncio"),
        ("rsrv and libca", scenario, "rsrv"),
    ):
        case = Case(played, subject)
        if lacking(case) is None:
            own, whole = own_part(case, max(3, times // 4))
            yield f"the same with {what}: the harness's own part (of {whole * 1e3:.0f} ms)", own, 0.100
    yield "the topology alone", median(functools.partial(network, scenario.topology), times), None
    pairs = [ours(site(HOSTS, SEGMENTS)) for _ in range(max(3, times // 5))]
    up, gone = (statistics.median(column) for column in zip(*pairs, strict=True))
    yield f"{HOSTS} hosts, {SEGMENTS} segments, a router: up", up, 3.0
    yield f"{HOSTS} hosts, {SEGMENTS} segments, a router: gone", gone, 1.0
    yield f"{items} scenarios of packets only as items of pytest -n auto", run_items(items), 15.0


def network(topology: Topology) -> None:
    """Build a network and take it down."""
    with Network(topology):
        pass


def hold(case: Case) -> None:
    """Run a case that holds."""
    result = run.run_case(case)
    if result.verdict.outcome != "holds":
        raise SystemExit(f"{case.id}: {result.verdict}")


def own_part(case: Case, times: int) -> tuple[float, float]:
    """Return medians of the seconds of a run without those in which the lab waits for participants, and with them."""
    hold(case)
    durations = []
    for _ in range(times):
        with waits() as waited:
            started = time.perf_counter()
            hold(case)
            whole = time.perf_counter() - started
        durations.append((whole - sum(waited), whole))
    own, every = zip(*durations, strict=True)
    return statistics.median(own), statistics.median(every)


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
