"""How long a lab waits for its participants: for servers to be ready, for clients to answer and to end.

What it does before, between and after is the harness's own part: it builds the network, forks the processes, probes,
waits for packets, judges, and takes all of it down. What it does while it waits, such as to look into ``/proc``, costs
no time besides; a server is seen to be ready one look later, 2 ms.

The first answer over TCP belongs to a server's start-up, too: rsrv's listener sleeps 0.1 s at a time until the IOC
runs (``req_server`` in ``caservertask.c``), and takes no connection before it wakes. Other servers answer in 0.2 ms.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from canet.harness.client.blocking import Connection
from canet.harness.lab.outputs import Outputs
from canet.netns.process import Process

WAITS: Final[tuple[tuple[type, str], ...]] = ((Outputs, "wait"), (Process, "wait"), (Connection, "channel"))


@contextmanager
def waits() -> Iterator[list[float]]:
    """Note the seconds of each wait for participants, of all labs of this process, within the ``with`` block."""
    noted: list[float] = []
    real = [(owner, name, getattr(owner, name)) for owner, name in WAITS]
    for owner, name, wait in real:
        setattr(owner, name, _noting(wait, noted))
    try:
        yield noted
    finally:
        for owner, name, wait in real:
            setattr(owner, name, wait)


def _noting(wait: Callable[..., Any], noted: list[float]) -> Callable[..., Any]:
    def noting(*args: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return wait(*args, **options)
        finally:
            noted.append(time.perf_counter() - started)

    return noting
