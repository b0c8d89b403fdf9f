"""What the server counts, as PVs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from canet.server.core.statistics import Statistics
from canet.server.ioc.declare import pv
from canet.server.ioc.group import Group
from canet.server.ioc.hooks import scan


class ServerStatistics(Group):
    """Counters of the server that serves this group, brought up to date each second."""

    clients = pv(0, description="Clients that are connected", read_only=True)
    channels = pv(0, description="Channels that are open", read_only=True)
    searches = pv(0.0, description="Names searched for", precision=0, read_only=True)
    found = pv(0.0, description="Searches that were answered", precision=0, read_only=True)
    bytesIn = pv(0.0, description="Bytes received", units="B", precision=0, read_only=True)  # noqa: N815 - a PV's name
    bytesOut = pv(0.0, description="Bytes sent", units="B", precision=0, read_only=True)  # noqa: N815 - a PV's name
    replaced = pv(0.0, description="Updates replaced by newer", precision=0, read_only=True)
    uptime = pv(0.0, description="Time since the start", units="s", precision=0, read_only=True)
    memory = pv(0.0, description="Resident memory", units="MiB", precision=1, read_only=True)

    def __init__(self, prefix: str = "", macros: Mapping[str, str] | None = None) -> None:
        super().__init__(prefix, macros)
        self.source: Callable[[], Statistics] = Statistics
        """Where the counters are read."""
        self._begin = time.monotonic()

    @scan(1.0)
    def update(self) -> None:
        """Post what changed."""
        counted = self.source()
        self.clients.post(counted.clients)
        self.channels.post(counted.channels)
        self.searches.post(float(counted.searches))
        self.found.post(float(counted.found))
        self.bytesIn.post(float(counted.bytes_in))
        self.bytesOut.post(float(counted.bytes_out))
        self.replaced.post(float(counted.updates_replaced))
        self.uptime.post(time.monotonic() - self._begin)
        self.memory.post(_resident())


def _resident() -> float:
    """Return the resident memory of this process in MiB (``proc(5)``: the second number of statm, in pages)."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - each second: no more than needed
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
