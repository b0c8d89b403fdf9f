"""``python -m canet.server``, and a whole database served to libca."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from canet.server.__main__ import load, main, parser
from canet.server.backends import NAMES
from canet.server.ioc.background import LOOPBACK
from canet.server.ioc.group import host_of
from tests.server.libca import read_all

DATA = Path(__file__).parents[1] / "data"


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command; yields where it serves."""
    process = subprocess.Popen(
        [sys.executable, "-m", "canet.server", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **LOOPBACK, "EPICS_CAS_SERVER_PORT": str(free_port())},
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert " PVs served on " in said, (process.communicate(timeout=60), said)
        yield said.split(" served on ")[1].split(" ")[0], process
    finally:
        process.kill()
        process.communicate()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


@pytest.mark.parametrize("backend", NAMES)
def test_a_whole_database_is_read_by_libca(backend: str) -> None:
    """Each of a thousand records, its aliases and some fields; then SIGTERM ends the server with exit code 0."""
    group = load(parser().parse_args(["--db", str(DATA / "beamline.db")]))
    directory = host_of(group).directory
    names = [*directory.pvs, *(f"BL7:slit1:top:target.{field}" for field in ("DESC", "SCAN", "DRVH", "HIHI", "RTYP"))]
    with serving("--db", str(DATA / "beamline.db"), "--backend", backend) as (address, process):
        found = read_all(address, names)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0

    assert len(found) >= 1000
    assert {name: found[name][:3] for name in directory.pvs} == {
        name: (int(pv.type), pv.max_count, "read-only" if pv.read_only else "read/write")
        for name, pv in directory.pvs.items()
    }


def test_all_sources_at_once(tmp_path: Path) -> None:
    """Arguments, files and databases together, under one prefix, with macros."""
    file = tmp_path / "pvs.toml"
    file.write_text("[pvs]\nfrom_file = 1")
    group = load(
        parser().parse_args(
            [
                "x=1",
                "--toml",
                str(file),
                "--db",
                str(DATA / "templates" / "vacuum.db"),
                "-m",
                "P=v:",
                "-m",
                "G=g",
                "--prefix",
                "lab:",
            ]
        )
    )

    assert sorted(host_of(group).directory.pvs) == ["lab:from_file", "lab:v:g:p", "lab:v:g:pressure", "lab:x"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "nothing to serve: give NAME=VALUE, --toml FILE or --db FILE"),
        (["x"], "'x': expected NAME=VALUE"),
        (["x=1", "x=2"], "'x=2': 'x' is already served"),
        (["--db", "/does/not/exist.db"], "/does/not/exist.db:1: cannot read /does/not/exist.db"),
        (["--toml", "/does/not/exist.toml"], "/does/not/exist.toml: No such file or directory"),
        (
            ["--db", str(DATA / "templates" / "vacuum.db")],
            "vacuum.template:2: macro P has no value: define it with -m P=…",
        ),
    ],
)
def test_bad_input(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong, on standard error, and exit code 2."""
    try:
        code: object = main(arguments)
    except SystemExit as left:
        code = left.code

    assert code == 2
    assert part in capsys.readouterr().err


def test_pvs_may_follow_switches_that_take_several_words() -> None:
    """``--interfaces 127.0.0.1 x=1`` serves x."""
    with serving("--interfaces", "127.0.0.1", "x=1.5") as (address, _):
        assert read_all(address, ["x"]) == {"x": (6, 1, "read/write", 1.5)}


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """Each of them can be understood."""
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    examples = [line.split()[3:] for line in said.splitlines() if line.startswith("  python -m canet.server")]

    assert len(examples) >= 4
    for each in examples:
        parser().parse_args(each)
