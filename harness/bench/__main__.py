"""Load our server on each backend, rsrv and caproto in one run, and print what each does (``make bench``).

All run in a network namespace of their own, one at a time, over loopback, with the same load generator; ratios of one
run on one machine mean something where figures from two do not. Memory is that of our server alone.

EPICS Base gives its threads real-time priority where it may (as root), so on a busy machine the rates favour rsrv:
then the table of processor time is the fair one, or a run under ``chrt --fifo``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import socket
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from canet.harness.bench.load import Connection, LoadError, Target, find, header
from canet.harness.bench.measures import MEASURES
from canet.harness.bench.servers import CONTENDERS, ELEMENTS, Contender, canet_with
from canet.netns import Host, HostNamespace, Network, Topology, Unavailable, enter
from canet.netns.process import Process

_PORT = 20_000
_TICKS = os.sysconf("SC_CLK_TCK")
ARRAY_BYTES = ELEMENTS * 8

Samples = dict[str, dict[str, list[float]]]
Figures = dict[str, dict[str, float | None]]
"""Work → server → figure."""

# What is to be reached on asyncio: (work, times rsrv, times caproto asyncio).
GOALS: dict[str, tuple[float | None, float | None]] = {
    "get DBR_DOUBLE, pipelined": (0.25, 100),
    "get DBR_TIME_DOUBLE, pipelined": (0.25, 100),
    "get, one at a time": (1, None),
    "put with notify, pipelined": (1, None),
    "put without notify, pipelined": (None, 50),
    "create channel, pipelined": (None, 50),
    "monitor updates, 10 subscribers, each put awaited": (1, None),
    "array of 100,000 doubles, get": (0.5, None),
    "UDP search, PV served": (0.5, None),
    "UDP search, PV not served": (0.25, None),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 0, or 3 where namespaces cannot be had."""
    options = _options(argv)
    try:
        enter()
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 3
    chosen = [each for each in CONTENDERS if not options.only or any(word in each.name for word in options.only)]
    missing = [each for each in chosen if each.needs and importlib.util.find_spec(each.needs) is None]
    for each in missing:
        print(f"{each.name} is left out: pip install {each.needs}", file=sys.stderr)
    chosen = [each for each in chosen if each not in missing]
    with Network(Topology(hosts=(Host(name="bench"),))) as network:
        host = network["bench"]
        rates, costs = host.call(_measure_all, host, chosen, options.seconds, options.rounds)
        memory = {} if options.no_memory else host.call(_measure_memory, host)
    names = [each.name for each in chosen]
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    if load > processors + 1:
        print(f"This machine is busy (load {load:.0f} on {processors} processors): trust processor time, not rates.\n")
    print(_table(names, rates))
    print(
        "\nProcessor time of the server for one operation (µs; ms for an array): what a busy machine does not distort"
    )
    print(_cost_table(names, costs))
    for line in _memory_lines(memory):
        print(line)
    if options.json:
        Path(options.json).write_text(json.dumps({"rates": rates, "costs": costs, "memory": memory}, indent=1))
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m canet.harness.bench", description=__doc__)
    parser.add_argument("only", nargs="*", help="servers to measure, by a part of their names (all)")
    parser.add_argument("--seconds", type=float, default=1.0, help="time of each measure (1)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured; the median counts (3)")
    parser.add_argument("--no-memory", action="store_true", help="leave the measures of memory out")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to a file")
    return parser.parse_args(argv)


def _measure_all(
    host: HostNamespace, contenders: Sequence[Contender], seconds: float, rounds: int
) -> tuple[Figures, Figures]:
    """Return rates, and the processor time of the server for one operation, in seconds.

    Servers take turns within each round, so that all see the same noise.
    """
    samples: Samples = {work: {} for work, *_ in MEASURES}
    costs: Samples = {work: {} for work, *_ in MEASURES}
    for turn in range(rounds):
        for number, contender in enumerate(contenders):
            port = _PORT + 10 * (turn * len(contenders) + number)
            process = contender.start(host, port)
            try:
                target = Target("127.0.0.1", port, contender.window, seconds)
                find(target, 30)
                for work, measure, divisor, _ in MEASURES:
                    _progress(f"round {turn + 1} of {rounds}: {contender.name}: {work}")
                    try:
                        before, begin = _processor(process), time.perf_counter()
                        rate = measure(target)
                        operations = rate * (time.perf_counter() - begin) / (ARRAY_BYTES if divisor > 1 else 1)
                        samples[work].setdefault(contender.name, []).append(rate / divisor)
                        costs[work].setdefault(contender.name, []).append((_processor(process) - before) / operations)
                    except (LoadError, OSError) as error:
                        _complain(f"{contender.name}: {work}: {error}")
            except LoadError as error:
                _complain(f"{contender.name}: {error}\n{process.output_text()[-2000:]}")
            finally:
                process.kill()
                process.wait(10)
    _progress("")
    return _medians(samples, contenders), _medians(costs, contenders)


def _medians(samples: Samples, contenders: Sequence[Contender]) -> Figures:
    """Return the medians of what was measured."""
    return {
        work: {each.name: statistics.median(got[each.name]) if got.get(each.name) else None for each in contenders}
        for work, got in samples.items()
    }


def _processor(process: Process) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _progress(text: str) -> None:
    """Show what is being done, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _complain(text: str) -> None:
    """Say what could not be measured, and why."""
    _progress("")
    print(text, file=sys.stderr, flush=True)


def _measure_memory(host: HostNamespace) -> dict[str, dict[str, float]]:
    """Return what our server takes: bytes of a PV, of an idle circuit, of a stalled client; seconds to start."""
    result = {}
    for number, backend in enumerate(("asyncio", "curio", "trio")):
        _progress(f"memory: {backend}")
        port = _PORT + 5000 + 10 * number
        small, _ = _resident(host, canet_with(backend, 0), port)
        large, started_large = _resident(host, canet_with(backend, 100_000), port + 2)
        try:
            target = Target("127.0.0.1", port)
            base = _rss(small[0])
            idle = [Connection(target, "x") for _ in range(200)]
            circuit = (_rss(small[0]) - base) / len(idle)
            for each in idle:
                each.sock.close()
            result[backend] = {
                "bytes per scalar PV": (large[1] - small[1]) / 100_000,
                "seconds to start with 100,000 PVs": started_large,
                "bytes per idle circuit": circuit,
                "bytes for a stalled client": _stall(Target("127.0.0.1", port + 2), large[0]),
            }
        finally:
            for process, _ in (small, large):
                process.kill()
                process.wait(10)
    _progress("")
    return result


def _resident(host: HostNamespace, contender: Contender, port: int) -> tuple[tuple[Process, int], float]:
    """Start a server; return it with its memory, and the seconds until it answered."""
    begin = time.perf_counter()
    process = contender.start(host, port)
    find(Target("127.0.0.1", port), 60)
    return (process, _rss(process)), time.perf_counter() - begin


def _rss(process: Process) -> int:
    """Return the resident bytes of a process."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096


def _stall(target: Target, process: Process) -> float:
    """Return by how much a client grows the server that watches a thousand fast PVs and does not read."""
    mask = bytes(12) + b"\0\1\0\0"
    with Connection(target, "x") as stalled, Connection(target, "x") as writer:
        sock = stalled.sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        names = [f"pv:{number}" for number in range(1000)]
        for connection in (stalled, writer):
            for number, name in enumerate(names):
                raw = name.encode() + bytes(8 - len(name) % 8)
                connection.sock.sendall(header(18, len(raw), 0, 0, 10 + number, 13) + raw)
                connection.wait(18)
        first = 2  # SIDs count from 1, which is x
        for number in range(1000):
            sock.sendall(header(1, 16, 20, 1, first + number, number) + mask)
        before = _rss(process)
        for turn in range(200):
            writer.sock.sendall(
                b"".join(header(4, 8, 6, 1, first + number, 0) + int(turn).to_bytes(8) for number in range(1000))
            )
        writer.sock.sendall(header(15, 0, 6, 1, 1, 1))
        writer.wait(15)
        return float(_rss(process) - before)


def _table(names: Sequence[str], rates: Figures) -> str:
    """Return the table: a row for each work, a column for each server, then ratios and whether goals are reached."""
    rows = [["work", *names, "asyncio / rsrv", "asyncio / caproto", "goal"]]
    for work, _, _, unit in MEASURES:
        got = rates[work]
        ours, base, python = got.get("canet asyncio"), got.get("rsrv"), got.get("caproto asyncio")
        to_base = ours / base if ours and base else None
        to_python = ours / python if ours and python else None
        rows.append(
            [
                f"{work} ({unit})",
                *(f"{value:,.0f}" if (value := got.get(name)) is not None else "–" for name in names),
                f"{to_base:.2f}" if to_base else "–",
                f"{to_python:.0f}" if to_python else "–",
                _goal(work, to_base, to_python),
            ]
        )
    return _aligned(rows)


def _cost_table(names: Sequence[str], costs: Figures) -> str:
    """Return the table of processor time."""
    rows = [["work", *names]]
    for work, _, divisor, _ in MEASURES:
        scale = 1e3 if divisor > 1 else 1e6
        cells = [f"{value * scale:.2f}" if (value := costs[work].get(name)) is not None else "–" for name in names]
        rows.append([work, *cells])
    return _aligned(rows)


def _aligned(rows: list[list[str]]) -> str:
    """Return rows as a table."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| "
        + " | ".join(
            cell.ljust(width) if not index else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    lines.insert(
        1, "|" + "|".join("-" * (width + 1) + (":" if index else "-") for index, width in enumerate(widths)) + "|"
    )
    return "\n".join(lines)


def _goal(work: str, to_base: float | None, to_python: float | None) -> str:
    """Return the goals of a work, and whether they are reached."""
    parts = []
    for goal, ratio, name in zip(GOALS[work], (to_base, to_python), ("rsrv", "caproto"), strict=True):
        if goal is not None:
            mark = "?" if ratio is None else "reached" if ratio >= goal else "missed"
            parts.append(f"≥ {goal:g} × {name}: {mark}")
    return ", ".join(parts)


def _memory_lines(memory: dict[str, dict[str, float]]) -> list[str]:
    """Return the measures of memory as text."""
    return [
        f"{backend}: "
        + ", ".join(
            f"{value:,.2f} {what}" if "seconds" in what else f"{value:,.0f} {what}" for what, value in got.items()
        )
        for backend, got in memory.items()
    ]


if __name__ == "__main__":
    started = time.perf_counter()
    code = main()
    print(f"{time.perf_counter() - started:.0f} s")
    sys.exit(code)
