"""What a server's process costs: memory, descriptors and threads, read from ``/proc`` by a step ``measure``."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from canet.harness.participants import sockets
from canet.scenarios.model import Step

if TYPE_CHECKING:
    from canet.harness.lab.lab import Lab

_LASTING = frozenset({sockets.LISTENING, sockets.ESTABLISHED, 0x06})
"""LISTEN, ESTABLISHED and TIME_WAIT of ``tcp_states.h``: nothing is repeated in these states."""
PAGE = os.sysconf("SC_PAGE_SIZE")


def cost(pid: int) -> dict[str, int]:
    """Return what a process and its descendants hold: ``memory`` in bytes, ``descriptors``, ``threads``.

    Memory is the resident set without what is shared with files (proc(5), ``statm``: resident − shared), so that
    libraries do not count.
    """
    total = {"memory": 0, "descriptors": 0, "threads": 0}
    for each in sockets.family(pid):
        place = Path(f"/proc/{each}")
        try:
            _size, resident, shared, *_rest = (place / "statm").read_text(encoding="utf-8").split()
            total["memory"] += (int(resident) - int(shared)) * PAGE
            total["descriptors"] += len(os.listdir(place / "fd"))  # noqa: PTH208
            total["threads"] += len(os.listdir(place / "task"))  # noqa: PTH208
        except OSError:
            continue  # it has just ended
    return total


def ports(lab: Lab, step: Step) -> None:
    """Say who holds a UDP port on a host: whether it is ``held``, and by how many sockets (``holders``)."""
    host, port = str(step.args["host"]), int(str(step.args["port"]))
    bound = [each for each in lab.network[host].call(sockets.table, "udp") if each.port == port]
    lab.measure(str(step.args.get("label", "ports")), held=bool(bound), holders=len(bound))


def forget(lab: Lab, step: Step) -> None:
    """Wait until the kernel of ``host`` has given up all closed TCP connections of ``port``, for ``seconds`` at most.

    A kernel goes on repeating the end of a connection to a peer that does not answer (``tcp_orphan_retries``), long
    after the process has gone. Measures ``forgotten``.
    """
    host, port = str(step.args["host"]), int(str(step.args["port"]))

    def closing() -> bool:
        table = lab.network[host].call(sockets.table, "tcp")
        return any(each.port == port and each.state not in _LASTING for each in table)

    lab.outputs.wait(lambda: not closing(), time.monotonic() + float(str(step.args.get("seconds", 10.0))), 0.02)
    lab.measure(str(step.args.get("label", "forget")), forgotten=not closing())


def measure(lab: Lab, step: Step) -> None:
    """Measure a server; with ``since`` (the label of an earlier measure) also what has been added since then.

    Measures ``memory``, ``descriptors``, ``threads``, and ``memory_grows_at_most``, ``descriptors_grow_at_most``.
    """
    label = str(step.args.get("label", step.target))
    now = cost(lab.crew.running[str(step.target)].process.pid)
    seen: dict[str, object] = dict(now)
    seen["descriptors_at_most"] = now["descriptors"]
    before = lab.measures.get(str(step.args.get("since", "")), {})
    if before:
        for what, grown in (("memory", "memory_grows"), ("descriptors", "descriptors_grow")):
            growth = now[what] - int(str(before[what]))
            seen |= {f"{grown}_at_most": growth, f"{grown}_at_least": growth}
    lab.measure(label, **seen)
