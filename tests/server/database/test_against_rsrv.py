"""The same database in EPICS Base's own server: all that we serve of it must look the same to libca."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from canet.server.database import load
from canet.server.database.build import build
from canet.server.database.record_types import RECORD_TYPES
from canet.server.ioc import Group, background
from canet.server.ioc.background import LOOPBACK
from canet.server.ioc.group import host_of
from tests.server.libca import describe_all, read_all

FILE = Path(__file__).parents[2] / "data" / "beamline.db"
PROCESSED = {"calc", "histogram", "printf", "sel"}
"""Record types whose values come only from processing."""

LIMITLESS = {"seq", "aSub"}
"""Record types without limits, which rsrv describes by those of their C types."""


@contextmanager
def rsrv() -> Iterator[str]:
    """Run the database in an IOC of EPICS Base; yields where it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address, port = probe.getsockname()
    process = subprocess.Popen(
        [sys.executable, "-m", "epicscorelibs.ioc", "-d", FILE],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **LOOPBACK, "EPICS_CAS_SERVER_PORT": str(port)},
    )
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as client:
                if client.connect_ex((address, port)) == 0:
                    break
            assert process.poll() is None
            time.sleep(0.02)
        yield f"{address}:{port}"
    finally:
        process.kill()
        process.communicate()


def test_types_and_values_are_those_of_epics_base() -> None:
    """Every record, alias and field of every record type: type, count, rights; values, units, limits and states."""
    database = load(FILE)
    first = {record.type: record.name for record in reversed(database.records.values())}
    fields = [f"{first[kind]}.{field}" for kind in first for field in RECORD_TYPES[kind]]
    fields.remove(f"{first['subArray']}.NORD")  # the one array record whose NORD is a DBF_LONG
    names = [*database.records, *database.aliases, *fields]
    group = Group()
    host_of(group).directory = build(database)
    with rsrv() as theirs, background(group) as ours:
        expected = read_all(theirs, names)
        found = read_all(ours.tcp[0], names)
        said_there, said_here = (describe_all(at, database.records) for at in (theirs, ours.tcp[0]))

    assert {name: each[:2] for name, each in found.items()} == {name: each[:2] for name, each in expected.items()}
    rights = [name for name in names if not name.endswith((".RTYP", ".ACKS", ".ACKT"))]  # we do what writing them means
    assert {name: found[name][2] for name in rights} == {name: expected[name][2] for name in rights}
    kept = [name for name, record in database.records.items() if record.type not in PROCESSED]
    assert {name: found[name][3] for name in kept} == {name: expected[name][3] for name in kept}
    described = [name for name in fields if name.rpartition(".")[2] in ("DESC", "EGU", "PREC", "HOPR", "SCAN", "DTYP")]
    assert {name: found[name][3] for name in described} == {name: expected[name][3] for name in described}
    compared = [name for name, record in database.records.items() if record.type not in LIMITLESS]
    assert {name: said_here[name] for name in compared} == {name: said_there[name] for name in compared}
