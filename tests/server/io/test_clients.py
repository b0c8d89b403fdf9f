"""Clients that people use (libca through pyepics and aioca, caproto) against the server on each backend.

Each client is a process of its own that prints what it saw as JSON.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from canet.server.core.pv import PV
from canet.server.protocol.alarm import Severity
from canet.server.protocol.dbr import CHAR, ENUM, FLOAT, SHORT
from canet.server.protocol.metadata import Metadata
from tests.server.live import BACKENDS, Live, live

METERS = Metadata(
    units="mm",
    precision=3,
    low_display=-10,
    high_display=10,
    low_control=-9,
    high_control=9,
    lolo=-8,
    low=-7,
    high=7,
    hihi=8,
)


def pvs() -> list[PV]:
    """Return one PV of each kind."""
    return [
        PV("double", 1.25, metadata=METERS, description="how far"),
        PV("float", 2.5, type=FLOAT, metadata=METERS),
        PV("long", 70000, metadata=METERS),
        PV("short", -7, type=SHORT, metadata=METERS),
        PV("char", 65, type=CHAR),
        PV("string", "hello"),
        PV("path", "/a/path/that/is/longer/than/forty/bytes/in/all", max_length=200),
        PV("enum", 1, type=ENUM, metadata=Metadata(states=("off", "on", "odd"), state_severities=(Severity(0),) * 3)),
        PV("array", [1.0, 2.0, 3.0], max_count=10),
        PV("words", ["a", "b", "c"]),
        PV("bytes", b"text\0", type=CHAR, max_count=20),
        PV("big", np.arange(1_250_000, dtype="f8")),
        PV("locked", 3.0, read_only=True),
        PV("bad", 1.0, putter=refuse),
    ]


def refuse(pv: PV, value: float) -> None:
    """Refuse what is negative."""
    if value < 0:
        raise ValueError("negative")


@pytest.fixture(scope="module", params=BACKENDS)
def running(request: pytest.FixtureRequest) -> Iterator[Live]:
    """Run a server with one PV of each kind."""
    with live(str(request.param), *pvs()) as server:
        yield server


def fresh(running: Live) -> None:
    """Give all PVs their first values: the tests of one server share it."""
    for pv in pvs():
        running.seam.from_thread(running.server.names.wire[pv.name.encode()].post, pv.value)
    running.call(lambda: None)


def ask(running: Live, program: str) -> Any:
    """Run a client and return what it printed as its last line of JSON."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("EPICS_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**env, **running.environment, "PYTHONUNBUFFERED": "1", "HOME": "/tmp"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("{", "["))]
    assert lines, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(lines[-1])


PYEPICS = """
import json, time, epics
seen = {}
for name in ("double", "float", "long", "short", "char", "string", "enum", "array", "words", "bytes"):
    pv = epics.PV(name, form="ctrl", connection_timeout=10)
    assert pv.wait_for_connection(10), name
    value = pv.get(as_string=name in ("enum", "bytes"), timeout=10)
    seen[name] = value.tolist() if hasattr(value, "tolist") else list(value) if isinstance(value, tuple) else value
double = epics.PV("double", form="ctrl")
double.get_ctrlvars()
seen["ctrl"] = [double.units, double.precision, double.upper_disp_limit, double.lower_ctrl_limit,
                double.upper_alarm_limit, double.upper_warning_limit]
enum = epics.PV("enum"); seen["states"] = list(enum.enum_strs or enum.get_ctrlvars()["enum_strs"])
seen["long string"] = bytes(epics.caget("path.VAL$")).rstrip(b"\\0").decode()
seen["field"] = epics.caget("double.DESC")
got = []
epics.camonitor("double", callback=lambda value=None, **_: got.append(value))
watched = epics.PV("double")
values = []
watch = epics.PV("double", auto_monitor=True, callback=lambda value=None, **_: values.append(value))
watch.wait_for_connection(10)
for number in range(20):
    watch.put(float(number), wait=True, timeout=10)
deadline = time.time() + 10
while (not values or values[-1] != 19.0) and time.time() < deadline:
    epics.ca.poll()
seen["monitored"] = values[-20:]
seen["put string"] = [epics.caput("double", "4.5", wait=True), epics.caget("double")]
seen["put enum"] = [epics.caput("enum", "odd", wait=True), epics.caget("enum"), epics.caget("enum", as_string=True)]
locked = epics.PV("locked"); locked.wait_for_connection(10)
seen["access"] = [locked.read_access, locked.write_access]
big = epics.PV("big", auto_monitor=False); big.wait_for_connection(10)
array = big.get(timeout=20)
seen["big"] = [len(array), float(array.sum())]
big.put(array * 2, wait=True, timeout=20)
seen["big put"] = float(big.get(timeout=20)[-1])
print(json.dumps(seen))
"""


def test_pyepics(running: Live) -> None:
    """Values, properties, fields, monitors, puts and large arrays."""
    fresh(running)
    seen = ask(running, PYEPICS)

    assert {key: seen[key] for key in ("double", "float", "long", "short", "char", "string", "enum", "array")} == {
        "double": 1.25,
        "float": 2.5,
        "long": 70000,
        "short": -7,
        "char": 65,
        "string": "hello",
        "enum": "on",
        "array": [1.0, 2.0, 3.0],
    }
    assert seen["words"] == ["a", "b", "c"]
    assert seen["bytes"] == "text"
    assert seen["ctrl"] == ["mm", 3, 10.0, -9.0, 8.0, 7.0]
    assert seen["states"] == ["off", "on", "odd"]
    assert seen["long string"] == "/a/path/that/is/longer/than/forty/bytes/in/all"
    assert seen["field"] == "how far"
    assert seen["monitored"] == [float(number) for number in range(20)]
    assert seen["put string"] == [1, 4.5]
    assert seen["put enum"] == [1, 2, "odd"]
    assert seen["access"] == [True, False]
    assert seen["big"] == [1_250_000, float(np.arange(1_250_000, dtype="f8").sum())]
    assert seen["big put"] == 2.0 * 1_249_999


AIOCA = """
import asyncio, json, aioca
from aioca import FORMAT_CTRL, FORMAT_RAW, FORMAT_TIME, DBR_CHAR, DBR_DOUBLE, DBR_ENUM, DBR_FLOAT, DBR_LONG, DBR_SHORT
from aioca import DBR_STRING, DBR_CHAR_STR, DBR_CLASS_NAME, DBR_STSACK_STRING
async def main():
    seen = {}
    for name in ("double", "float", "long", "short", "char", "enum", "array", "string"):
        for kind in (DBR_STRING, DBR_SHORT, DBR_FLOAT, DBR_ENUM, DBR_CHAR, DBR_LONG, DBR_DOUBLE):
            if name == "string" and kind != DBR_STRING:
                continue
            for form in (FORMAT_RAW, FORMAT_TIME, FORMAT_CTRL):
                value = await aioca.caget(name, datatype=kind, format=form, timeout=10)
                assert value.ok, (name, kind, form)
                seen.setdefault(name, {})[str(kind)] = value.tolist() if hasattr(value, "tolist") else str(value)
    timed = await aioca.caget("double", format=FORMAT_TIME)
    seen["time"] = [timed.timestamp > 1.7e9, timed.severity, timed.status]
    seen["class"] = str(await aioca.caget("double", datatype=DBR_CLASS_NAME))
    seen["text"] = str(await aioca.caget("path.VAL$", datatype=DBR_CHAR_STR))
    bad = await aioca.caput("bad", -1.0, wait=True, throw=False, timeout=10)
    seen["bad"] = [bool(bad), str(bad)]
    locked = await aioca.caput("locked", 1.0, wait=True, throw=False, timeout=10)
    seen["locked"] = [bool(locked), str(locked)]
    gone = await aioca.caget("nobody", throw=False, timeout=0.5)
    seen["gone"] = bool(gone.ok)
    filtered = []
    watch = aioca.camonitor('double{"dbnd":{"abs":1.5}}', filtered.append, all_updates=True)
    plain = []
    other = aioca.camonitor("double", plain.append, all_updates=True)
    while not (plain and filtered):
        await asyncio.sleep(0.01)
    for number in range(1, 7):
        await aioca.caput("double", float(number), wait=True, timeout=10)
    while plain[-1] != 6.0:
        await asyncio.sleep(0.01)
    seen["plain"] = [float(value) for value in plain[-6:]]
    seen["filtered"] = [float(value) for value in filtered]
    print(json.dumps(seen))
asyncio.run(main())
"""


def test_aioca(running: Live) -> None:
    """Every type of every kind of PV, filters, refusals."""
    fresh(running)
    seen = ask(running, AIOCA)

    assert seen["double"]["0"] == "1.250"
    assert seen["double"]["5"] == "1"
    assert seen["enum"]["0"] == "on"
    assert seen["enum"]["6"] == "1.0"
    assert seen["array"]["1"] == [1, 2, 3]
    assert seen["time"] == [True, 0, 0]
    assert seen["class"] == "ai"
    assert seen["text"].startswith("/a/path/that")
    assert seen["bad"] == [False, "bad: Channel write request failed"]
    assert seen["locked"] == [False, "locked: Write access denied"]
    assert seen["gone"] is False
    assert seen["plain"] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert seen["filtered"] == [1.25, 3.0, 5.0]


CAPROTO = """
import json
from caproto.sync.client import read, write
seen = {}
for name in ("double", "float", "long", "short", "char", "enum", "array"):
    for kind in ("time", "control"):
        answer = read(name, data_type=kind, timeout=10, repeater=False)
        seen.setdefault(name, []).append([float(value) for value in answer.data])
answer = read("double", data_type="control", timeout=10, repeater=False)
seen["units"] = answer.metadata.units.decode()
seen["string"] = read("string", timeout=10, repeater=False).data[0].decode()
write("double", 7.5, notify=True, timeout=10, repeater=False)
seen["written"] = float(read("double", timeout=10, repeater=False).data[0])
seen["big"] = len(read("big", timeout=20, repeater=False).data)
print(json.dumps(seen))
"""


def test_caproto(running: Live) -> None:
    """Caproto's client reads, writes and gets large arrays."""
    fresh(running)
    seen = ask(running, CAPROTO)

    assert seen["double"] == [[1.25], [1.25]]
    assert seen["enum"][0] == [1.0]
    assert seen["array"] == [[1.0, 2.0, 3.0]] * 2
    assert (seen["units"], seen["string"], seen["written"], seen["big"]) == ("mm", "hello", 7.5, 1_250_000)
