"""``canet nameserver`` and ``canet relay``: help, mistakes, and a name server that serves and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from canet.harness.cli import main; main()"]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("command", ["nameserver", "relay"])
def test_help_has_examples(command: str) -> None:
    """The help shows how it is called, and what clients must be told."""
    done = run(command, "--help")
    assert done.returncode == 0
    assert "Examples" in done.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("nameserver",), "nothing to tell"),
        (("nameserver", "a b c"), "line 1: 'a b c' is not NAME HOST[:PORT]"),
        (("nameserver", "--table", "/nowhere/pvs.txt"), "/nowhere/pvs.txt: not readable"),
        (("relay", "--gateway", "eth0"), "takes no interfaces"),
        (("relay", "nosuch0"), "nosuch0: no such interface"),
    ],
)
def test_mistakes_are_said_in_a_sentence(words: tuple[str, ...], complaint: str) -> None:
    """Exit code 2, and what to do."""
    done = run(*words)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_server_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    """It says where it listens and how much it knows; SIGINT ends it well."""
    table = tmp_path / "pvs.txt"
    table.write_text("a 127.0.0.1:6064\nb:* 127.0.0.1:6065\n")
    port = str(20000 + os.getpid() % 20000)
    settings = {
        "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_SERVER_PORT": port,
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
    }
    words = [*COMMAND, "nameserver", "--table", str(table)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, **settings}) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert f"127.0.0.1:{port}" in line
    assert "2 entries" in line
