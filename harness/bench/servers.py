"""The servers of a benchmark: how each is started in the namespace of its own that all share."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from canet.harness.bench.searches import SEARCHED
from canet.netns import HostNamespace
from canet.netns.process import Process

ELEMENTS = 100_000

_CANET = """
import sys
from canet.server.process import serve
pvs = {"x": 1.5, "array": [0.0] * 100_000, **{f"pv:{number}": 0.0 for number in range(int(sys.argv[2]))}}
pvs |= dict.fromkeys(sys.argv[3:], 0.0)
sys.exit(serve({"backend": sys.argv[1], "pvs": pvs}))
"""

_RSRV = """
import os, signal, sys
import softioc  # loads the record types
from softioc.imports import dbLoadDatabase, iocInit
memory = os.memfd_create("bench.db")
os.write(memory, b'record(ao, "x") { } record(waveform, "array") { field(FTVL, "DOUBLE") field(NELM, "100000") }')
for name in sys.argv[1:]:
    os.write(memory, f'record(ao, "{name}") {{ }}'.encode())
dbLoadDatabase(f"/proc/self/fd/{memory}", None, None)
iocInit()
signal.sigwait({signal.SIGTERM, signal.SIGINT})
os._exit(0)
"""

_CAPROTO = """
import sys
from caproto import ChannelDouble
from caproto.server import run
run({"x": ChannelDouble(value=1.5), "array": ChannelDouble(value=[0.0] * 100_000),
     **{name: ChannelDouble(value=0.0) for name in sys.argv[2:]}},
    module_name=f"caproto.{sys.argv[1]}.server", log_pv_names=False)
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """A server in the benchmark."""

    name: str
    program: str
    args: tuple[str, ...] = ()
    window: int = 1 << 20
    """Bytes of requests that it is given at a time; caproto disconnects clients that send more."""
    needs: str = ""
    """A package that must be importable."""

    def start(self, host: HostNamespace, port: int) -> Process:
        """Start it on a port of its own."""
        argv = [sys.executable, "-W", "ignore", "-c", self.program, *self.args, *SEARCHED]
        return host.spawn(argv, env=environment(port), cwd=Path.cwd())


def environment(port: int) -> Mapping[str, str]:
    """Return the variables of a server; its namespace has nothing but the loopback."""
    return {
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
        "EPICS_CA_SERVER_PORT": str(port),
    }


_FEW = 16 * 400
CONTENDERS = (
    Contender("rsrv", _RSRV, needs="softioc"),
    Contender("canet asyncio", _CANET, ("asyncio", "0")),
    Contender("canet curio", _CANET, ("curio", "0")),
    Contender("canet trio", _CANET, ("trio", "0")),
    Contender("caproto asyncio", _CAPROTO, ("asyncio",), _FEW, "caproto"),
    Contender("caproto trio", _CAPROTO, ("trio",), _FEW, "caproto"),
)
"""rsrv first, since ratios refer to it."""


def canet_with(backend: str, pvs: int) -> Contender:
    """Return our server with many scalar PVs, for the measures of memory."""
    return Contender(f"canet {backend}", _CANET, (backend, str(pvs)))
