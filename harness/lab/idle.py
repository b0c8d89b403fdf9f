"""Tell whether processes have nothing left to do, from ``/proc`` alone: no traffic, no sleep, any implementation.

A datagram that was delivered to a socket is either still in its queue, or being worked on, or done with. The queue
stands in ``/proc/net/udp``; work shows as a thread that is not asleep, or that has run in the meantime (its context
switches are counted in ``/proc/PID/task/TID/status``, proc(5)). If all threads are asleep in two looks and none ran
in between, there was a moment, between the looks, at which all were asleep at once: then nothing was being worked on.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

BYSTANDERS = ("scan-", "taskwd", "CAS-beacon")
"""Names of threads of EPICS Base that run by the clock and never touch a search: record scanning, beacons."""

Activity = dict[int, tuple[int, int]]
"""Thread → (voluntary, involuntary) context switches."""


def activity(pids: Iterable[int]) -> Activity | None:
    """Return the switch counters of the threads of the processes; ``None`` if one of the threads is not asleep.

    A process that has ended has no threads, and so is idle.
    """
    found: Activity = {}
    for pid in pids:
        try:
            tasks = tuple(Path(f"/proc/{pid}/task").iterdir())
        except OSError:
            continue
        for task in tasks:
            try:
                text = (task / "status").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            if text.startswith(tuple(f"Name:\t{name}" for name in BYSTANDERS)):
                continue
            state, voluntary, involuntary = _status(text)
            if state not in "STtZX":  # asleep, stopped, traced, ended
                return None
            found[int(task.name)] = voluntary, involuntary
    return found


def _status(text: str) -> tuple[str, int, int]:
    r"""Read the three lines of interest.

    >>> _status("State:\tS (sleeping)\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t2\n")
    ('S', 7, 2)
    """
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return (
        lines["State"].strip()[0],
        int(lines.get("voluntary_ctxt_switches", "0")),
        int(lines.get("nonvoluntary_ctxt_switches", "0")),
    )
