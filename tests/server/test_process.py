"""A server as a process: says that it is ready, traces searches, ends with 0 on SIGTERM."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from canet.server.protocol.commands import Command
from tests.server.live import BACKENDS, TIMEOUT, Client, environment, free_port, search


def start(config: dict[str, Any], **env: str) -> subprocess.Popen[bytes]:
    """Start a server process."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("EPICS_")}
    return subprocess.Popen(
        [sys.executable, "-m", "canet.server.process", json.dumps(config)],
        env={**inherited, **environment(free_port()), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_life_of_a_process(backend: str, end: signal.Signals) -> None:
    """Ready, traced, connected, told to end: circuits close and the exit code is 0."""
    with start({"backend": backend, "pvs": {"x": 1.5, "s": "text", "a": [1, 2]}, "trace": True}) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ready = json.loads(process.stdout.readline())
        assert ready["event"] == "ready"
        search(ready["udp"][0], "x", "y")
        seen = json.loads(process.stdout.readline())
        assert (seen["event"], seen["socket"], seen["names"], seen["bytes"]) == (
            "datagram",
            ready["udp"][0],
            ["x", "y"],
            48,
        )
        with Client(int(ready["tcp"][0].rpartition(":")[2])) as client:
            client.open("a")
            process.send_signal(end)
            with pytest.raises((EOFError, ConnectionResetError)):
                client.receive(Command.ECHO)
        assert process.wait(TIMEOUT) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("config", "env", "code", "text"),
    [
        ({"backend": "twisted"}, {}, 2, "asyncio, curio, trio"),
        ({"pvs": {"x": None}}, {}, 2, "no DBR type"),
        ({}, {"EPICS_CAS_INTF_ADDR_LIST": "0.0.0.0 127.0.0.1"}, 2, "EPICS_CAS_INTF_ADDR_LIST"),
        ({}, {"EPICS_CAS_INTF_ADDR_LIST": "192.0.2.77"}, 1, "assign"),
    ],
)
def test_what_cannot_be_is_said(config: dict[str, Any], env: dict[str, str], code: int, text: str) -> None:
    """One line of JSON says why, and the exit code differs."""
    with start(config, **env) as process:
        output, _ = process.communicate(timeout=TIMEOUT)

    assert process.returncode == code
    assert text in json.loads(output)["error"]


@pytest.mark.parametrize("reuse", ["both", "addr", "port", "none"])
def test_socket_options(reuse: str) -> None:
    """Only servers that share the same way share the port."""
    port = free_port()
    env = environment(port)
    with start({"reuse": reuse}, **env) as first, start({"reuse": "both"}, **env) as second:
        try:
            assert first.stdout is not None
            assert second.stdout is not None
            lines = [json.loads(each.stdout.readline()) for each in (first, second) if each.stdout]
            assert sorted(each["event"] for each in lines) == (
                ["ready", "ready"] if reuse != "none" else ["error", "ready"]
            )
        finally:
            first.terminate()
            second.terminate()


def test_report_to_a_descriptor() -> None:
    """Lines may go to a pipe that was inherited."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "canet.server.process", json.dumps({"pvs": {"x": 1.0}, "report_fd": write})],
        env={**os.environ, **environment(free_port())},
        pass_fds=(write,),
    )
    os.close(write)
    with os.fdopen(read) as report, process:
        assert json.loads(report.readline())["event"] == "ready"
        process.terminate()
        assert process.wait(TIMEOUT) == 0
