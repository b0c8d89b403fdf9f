"""The example IOCs of the documentation, each on all three backends, as a client sees them."""

from __future__ import annotations

import importlib.util
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from canet.harness.client.blocking import ClientError
from canet.server.ioc import background
from canet.server.protocol.dbr import Layout, Native
from tests.server.ioc.client import Client

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
TIME_DOUBLE, CTRL_ENUM = Native.DOUBLE + 7 * Layout.TIME, Native.ENUM + 7 * Layout.CTRL


def example(name: str) -> ModuleType:
    """Import an example by its file."""
    spec = importlib.util.spec_from_file_location(f"canet_example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def serving(group: Any, backend: str, **options: Any) -> Iterator[Client]:
    with background(group, backend, **options) as addresses, Client(addresses) as client:
        yield client


def states(client: Client, name: str) -> tuple[str, ...]:
    """Return the names of the states of a PV."""
    metadata = client.read(name, CTRL_ENUM).metadata
    assert metadata is not None
    return metadata.states


def test_simple(backend: str) -> None:
    """What clients write is kept; long texts are read in full."""
    with serving(example("simple").Simple("simple:"), backend) as client:
        assert client.get("simple:temperature") == 21.5
        assert client.get("simple:temperature.EGU") == "degC"
        client.put("simple:temperature", 25.0)
        client.put("simple:message$", np.full(100, 120, np.uint8))

        assert client.get("simple:temperature") == 25.0
        assert bytes(client.get("simple:message$")).rstrip(b"\0") == b"x" * 100
        assert states(client, "simple:enabled") == ("Off", "On")
        with pytest.raises(ClientError, match="ECA_PUTFAIL"):
            client.put("simple:enabled", 2)
        assert client.get("simple:enabled") == 1


def test_motor(backend: str) -> None:
    """A write to the target is done when the axis is there; a stop ends it early; beyond the limits it fails."""
    with serving(example("motor").Motor("m:"), backend) as client:
        client.put("m:speed", 50.0)
        client.put("m:target", 2.0)
        assert client.get("m:position") == pytest.approx(2.0)
        assert client.get("m:moving") == 0
        with pytest.raises(ClientError):
            client.put("m:target", 11.0)

        client.put("m:speed", 0.5)
        with Client(client.addresses) as other:
            other.begin("m:target", -9.0)
            client.until("m:moving", bool)
            client.put("m:stop", 1)
            client.until("m:moving", lambda moving: not moving)
        assert -9 < client.get("m:target") <= 2


def test_waveform(backend: str) -> None:
    """The wave follows shape and amplitude."""
    with serving(example("waveform").Generator("g:"), backend) as client:
        assert len(client.get("g:wave")) == 1000
        client.put("g:amplitude", 3.0)
        client.until("g:wave", lambda wave: np.isclose(np.max(wave), 3.0, atol=0.01))
        client.put("g:shape", 1)

        client.until("g:wave", lambda wave: set(np.unique(np.abs(wave))) <= {0.0, 3.0})


def test_valve(backend: str) -> None:
    """States are alarms; a valve that is stuck refuses the write; the pressure keeps it shut."""
    with serving(example("valve").Valve("v:"), backend) as client:
        assert states(client, "v:position") == ("closed", "open", "between", "stuck")
        client.put("v:command", 1)
        assert (client.get("v:position"), client.get("v:position.SEVR")) == (1, 0)
        client.put("v:command", "close")
        assert client.get("v:position") == 0

        client.put("v:pressure", 1e-3)
        assert client.get("v:pressure.SEVR") == 2
        with pytest.raises(ClientError):
            client.put("v:command", 1)
        client.put("v:pressure", 1e-9)
        client.put("v:jam", 1)
        assert client.read("v:pressure", TIME_DOUBLE).severity == 3
        with pytest.raises(ClientError):
            client.put("v:command", "close")
        assert (client.get("v:position"), client.get("v:position.SEVR")) == (3, 2)


def test_thermostat(backend: str) -> None:
    """It measures before the first client asks, heats, keeps the set point in range, and switches off at the end."""
    thermostat = example("thermostat").Thermostat("t:")
    with serving(thermostat, backend) as client:
        assert client.get("t:temperature") > 14.9
        client.put("t:setpoint", 99.0)
        assert client.get("t:setpoint") == 30.0
        client.put("t:setpoint", 22.0)
        client.until("t:temperature", lambda value: value > 20)
        client.until("t:power", lambda value: 0 < value <= 100)

    assert thermostat.power.value == 0.0


def test_beamline(backend: str) -> None:
    """Macros make the names, a getter computes, PVs come and go while clients are connected."""
    with serving(example("beamline").Beamline("$(P):", {"P": "b"}), backend) as client:
        client.put("b:entrance:right:pos", 3.0)
        client.put("b:entrance:left:pos", 1.0)
        assert client.get("b:entrance:gap") == 2.0
        assert client.get("b:exit:left:pos.DESC") == "left blade of exit slit"
        client.put("b:channels", 3)
        assert client.get("b:counts3") == 0
        client.put("b:channels", 1)

        del client.channels["b:counts3"]
        with pytest.raises(ClientError):
            client.get("b:counts3")
        assert client.get("b:counts1") == 0


def test_driver(backend: str) -> None:
    """Blocking calls run beside the loop; a thread posts values and alarms."""
    driver = example("driver").Driver("d:")
    with serving(driver, backend) as client:
        client.until("d:reading", lambda value: value == 42.0)
        client.put("d:gain", 2.7)
        assert client.get("d:gain") == 3.0
        client.until("d:reading", lambda value: value == 126.0)
        driver.device.connected = False
        client.until("d:reading.SEVR", lambda severity: severity == 3)
        driver.device.connected = True
        client.until("d:reading.SEVR", lambda severity: severity == 0)


def test_security(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    """Rights depend on the user and on a PV, are announced when it changes, and what a rule traps is logged."""
    caplog.set_level("INFO")
    security = example("security")
    with (
        background(security.Shutter("s:"), backend, acf=security.RULES) as where,
        Client(where, user="anna") as anna,
        Client(where, user="eve") as eve,
    ):
        for client in (anna, eve):
            assert not client.channel("s:shutter").writable
            assert client.channel("s:shutter").readable
        with pytest.raises(ClientError):
            anna.put("s:shutter", 1)
        with pytest.raises(ClientError):
            eve.put("s:note", "mine")
        eve.put("s:permit", 1)
        anna.connection.echo()
        assert anna.channel("s:shutter").writable
        anna.put("s:shutter", 1)
        assert not eve.channel("s:shutter").writable
        eve.put("s:permit", 0)
        anna.connection.echo()

        assert not anna.channel("s:shutter").writable
        assert anna.get("s:shutter") == 1
    assert "anna@localhost writes s:shutter: 1, was 0" in caplog.text


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py")))
def test_every_example_is_a_program(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each one says what it is and knows the switches; and each one is tested above."""
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")

    assert left.value.code == 0
    assert "--list-pvs" in capsys.readouterr().out
    assert f"test_{name}" in globals()


def test_a_signal_ends_a_program(backend: str) -> None:
    """An example as a process of its own: it says where it serves, and SIGTERM ends it with exit code 0."""
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / "simple.py", "--backend", backend, "--interfaces", "127.0.0.1", "--list-pvs"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO", "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1"},
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(4)]
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=60)

    assert lines[:3] == ["simple:enabled\n", "simple:message\n", "simple:temperature\n"]
    assert lines[3].startswith("3 PVs served on 127.0.0.1:")
    assert lines[3].endswith(f" by {backend}\n")
    assert (process.returncode, rest, errors) == (0, "", "")
