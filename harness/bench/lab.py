"""Measure how long a scenario takes, from start to verdict and torn down: ``python -m canet.harness.bench.lab``.

Prints medians in one run, and ratios that mean something on any machine: the same topology is also built by
``ip -batch``, where that program is installed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable

from canet.netns import Network, enter


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="runs of each (default 20)")
    parser.add_argument("--scenario", default="broadcast_reaches_all", help="one segment, two hosts, three servers")
    options = parser.parse_args()
    enter()
    from canet.harness.run import run
    from canet.harness.run.cases import Case, without_clients
    from canet.scenarios.library import find

    scenario = without_clients(find(options.scenario)[0])
    topology = scenario.topology

    def network() -> None:
        with Network(topology):
            pass

    rows: dict[str, float] = {}
    for subject in ("asyncio", "curio", "trio", "mix"):
        case = Case(scenario, subject)

        def whole(case: Case = case) -> None:
            result = run.run_case(case)
            if result.verdict.outcome != "holds":
                raise SystemExit(f"{case.id}: {result.verdict}")

        rows[f"{scenario.id}, {subject}: start to verdict and torn down"] = median(whole, options.times)
    rows["the topology alone"] = median(network, options.times)
    if shutil.which("ip"):
        rows["the same topology by ip -batch"] = median(by_ip, options.times)
    print(f"{'load of the machine (last minute) per CPU':<82} {os.getloadavg()[0] / (os.cpu_count() or 1):7.2f}")
    for name, seconds in rows.items():
        print(f"{name:<82} {seconds * 1e3:7.1f} ms")
    if "the same topology by ip -batch" in rows:
        ratio = rows["the topology alone"] / rows["the same topology by ip -batch"]
        print(f"{'topology: canet / ip -batch':<82} {ratio:7.2f}")


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
