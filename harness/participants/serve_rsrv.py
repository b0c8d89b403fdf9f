"""Serve PVs with rsrv, the C server of EPICS Base, in this process (runs inside a lab).

The package ``softioc`` brings EPICS Base as shared libraries. The IOC is started through its two lowest functions:
``python -m epicscorelibs.ioc`` would start a pvAccess server as well, which aborts where there is only loopback.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

DONE = "canet: done afterwards"
"""Printed when what ``afterwards`` says is done."""


def prepare(config: Mapping[str, Any]) -> None:
    """Load a database with the PVs of ``config``; nothing is bound yet.

    ``config``: ``pvs`` (name → value), optionally ``db`` (a database file to load as well), ``acf`` (an access
    security file), ``macros``, ``startup`` (lines for the IOC shell, run before the IOC starts; in one text with ``;``
    between them), ``afterwards`` (a line for the IOC shell that is run when it has started).
    """
    import softioc  # noqa: F401  # loads base.dbd and registers the record types
    from epicscorelibs.ioc import iocshCmd
    from softioc.imports import dbLoadDatabase

    text = database(config.get("pvs", {}))
    memory = os.memfd_create("pvs.db")  # a file that has no name and leaves nothing behind
    os.write(memory, text.encode())
    dbLoadDatabase(f"/proc/self/fd/{memory}", None, None)
    os.close(memory)
    if config.get("db"):
        dbLoadDatabase(str(config["db"]), None, str(config.get("macros", "")) or None)
    if config.get("acf"):
        iocshCmd(f'asSetFilename("{config["acf"]}")'.encode())
    # As root an IOC locks all its memory: some 80 MB of Python to copy at the start and to give back at the end.
    iocshCmd(b"var dbThreadRealtimeLock 0")
    startup = config.get("startup") or ()
    for line in startup.split(";") if isinstance(startup, str) else startup:
        iocshCmd(str(line).encode())


def serve(config: Mapping[str, Any]) -> None:
    """Start the IOC that was prepared, and serve until SIGTERM."""
    from epicscorelibs.ioc import iocshCmd
    from softioc.imports import iocInit

    iocInit()
    if config.get("afterwards"):
        iocshCmd(str(config["afterwards"]).encode())
        print(DONE, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)  # the IOC's threads do not end by themselves


def database(pvs: Mapping[str, Any]) -> str:
    r"""Return EPICS records that serve ``pvs``: ``ai``, ``longin``, ``stringin`` and ``waveform``.

    >>> print(database({"a": 1.5, "b": "x"}), end="")
    record(ai, "a") { field(VAL, "1.5") field(PINI, "YES") }
    record(stringin, "b") { field(VAL, "x") field(PINI, "YES") }
    """
    return "".join(_record(name, value) + "\n" for name, value in pvs.items())


def _record(name: str, value: Any) -> str:
    if isinstance(value, (list, tuple)):
        kind = "STRING" if value and isinstance(value[0], str) else "DOUBLE"
        if value and all(isinstance(each, int) for each in value):
            kind = "LONG"
        items = ", ".join(f'"{each}"' if isinstance(each, str) else str(each) for each in value)
        fields = f'field(FTVL, "{kind}") field(NELM, "{max(len(value), 1)}") field(INP, {{const: [{items}]}})'
        return f'record(waveform, "{name}") {{ {fields} field(PINI, "YES") }}'
    if isinstance(value, str):
        record = "stringin"
    elif isinstance(value, int):
        record = "longin"
    else:
        record = "ai"
    return f'record({record}, "{name}") {{ field(VAL, "{value}") field(PINI, "YES") }}'
