"""The commands that run something: run, statements, compare, find, lab, shell, doctor; their words and exit codes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from canet.harness.cli import main
from tests.harness.places import need_namespaces

MINE = """
title = "Two servers"
story = "A test."
base = "plain"
[segments.lan]
[hosts.client.interfaces]
eth0 = { segment = "lan", addresses = ["10.1.0.1/24"] }
[hosts.ioc.interfaces]
eth0 = { segment = "lan", addresses = ["10.1.0.2/24"] }
[servers.a]
host = "ioc"
pvs = { "a:x" = 1.0 }
[servers.b]
host = "ioc"
pvs = { "b:x" = 2.0, "a:x" = 3.0 }
[probes.all]
host = "client"
to = "10.1.0.255"
[expect.all]
answered = "all of a, b"
"""


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    need_namespaces()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A scenario file of two servers, of which both serve ``a:x``."""
    path = tmp_path / "mine.canet.toml"
    path.write_text(MINE)
    return path


def canet(*words: object) -> int:
    """Run the command line in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_run_tells_and_leaves_files(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run prints a line for each case, and leaves capture, JUnit and run directories where asked."""
    out, junit, pcap = tmp_path / "out", tmp_path / "junit.xml", tmp_path / "frames.pcapng"
    code = canet("run", file, "--subject", "trio", "--out", out, "--junit", junit, "--pcap", pcap, "--verbose")
    text = capsys.readouterr().out
    assert code == 0
    assert "mine[plain]@trio" in text
    assert "expected  all of a, b" in text
    assert "SEARCH" in text
    assert "1 case: 1 holds" in text
    assert list(out.glob("*/verdict.json"))
    assert "testcase" in junit.read_text()
    assert pcap.stat().st_size > 1000


def test_run_in_json_and_with_changes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON is one document; a changed setting that makes the expectation wrong gives exit code 1."""
    code = canet("run", file, "-s", "asyncio", "--json", "--set", "probes.all.to=10.1.0.2", "--times", "2")
    answer = json.loads(capsys.readouterr().out)
    assert code == 1
    assert [each["outcome"] for each in answer] == ["fails", "fails"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run",), "canet list"),
        (("run", "no_such_scenario_here"), "no_such_scenario_here"),
        (("run", "broadcast_reaches_all", "--variant", "nix"), "plain"),
        (("run", "broadcast_reaches_all", "--subject", "nix"), "caproto-trio"),
        (
            ("run", "--tag", "unicast", "--variant", "reuseaddr-alone", "--subject", "rsrv"),
            "speak about who was asked for",
        ),
        (("run", "carepeater_lifetime", "--packets-only"), "about what clients do"),
        (("statements", "12"), "1 to 9"),
        (("find", "broadcast_reaches_all", "x", "--from", "nix"), "client, ioc"),
        (("find", "broadcast_reaches_all", "x", "--to", "nix"), "IPv4"),
        (("compare", "broadcast_reaches_all", "--client", "nix"), "libca"),
        (("shell", "broadcast_reaches_all", "nix"), "client, ioc"),
    ],
)
def test_mistakes_are_exit_code_2(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name is told with what there is; nothing is started."""
    assert canet(*words) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_mistake_in_a_file_is_exit_code_2(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File, key, what was found and the nearest spelling are in one sentence."""
    file.write_text(MINE.replace("[probes.all]", "[prob.all]"))
    assert canet("run", file) == 2
    assert "probes" in capsys.readouterr().err


def test_statements_in_words_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A statement is printed with figures for each backend, and says the same in JSON."""
    assert canet("statements", 2, "--packets-only") == 0
    text = capsys.readouterr().out
    for words in ("A broadcast search reaches every server", "asyncio", "curio", "trio", "mix", "all 3 answer"):
        assert words in text
    assert canet("statements", 3, "--packets-only", "--subject", "trio", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["statements"][0]["number"] == 3
    assert "over 20 source ports" in answer["statements"][0]["measured"]["trio"]["words"]


def test_compare_says_where_implementations_differ(capsys: pytest.CaptureFixture[str]) -> None:
    """EPICS Base hears broadcasts when bound to an address, canet does not, and their sockets say why."""
    code = canet("compare", "bound_to_own_address", "-v", "broken", "-s", "trio", "-s", "rsrv", "--packets-only")
    text = capsys.readouterr().out
    assert code == 0
    assert "≠ broadcast 10.1.0.255:5064  none      all" in text
    assert "trio  none of 3 answers" in text
    assert "rsrv  all 3 answer" in text
    assert "broadcasts only" in text


def test_find_names_server_host_port_and_process(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer tells where a PV is served, what is served twice, and what nowhere."""
    assert canet("find", file, "b:x", "--from", "client") == 0
    text = capsys.readouterr().out
    assert "b:x: b (canet-asyncio, process" in text
    assert "on ioc, TCP 10.1.0.2:" in text
    assert "value 2.0" in text
    assert canet("find", file, "a:x", "nowhere", "--to", "10.1.0.255:5064") == 1
    text = capsys.readouterr().out
    assert "nobody answers for nowhere" in text
    assert "a:x is served more than once: " in text


def test_the_prompt_of_a_lab(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands come from a pipe too: look around, search, break, heal, capture."""
    lines = (
        "hosts|servers|search client b:x nix --to 10.1.0.255|fault ioc down eth0 --heal 60|search client b:x|"
        "fault ioc up eth0|kill a|servers|restart b|output b|messages all|history|capture x.pcapng|help|foo|"
        "search|fault ioc explode|probe all|quit"
    )
    monkeypatch.chdir(file.parent)
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines.replace("|", "\n") + "\n"))
    main_code = canet("lab", file, "--subject", "mix")
    text = capsys.readouterr().out
    assert main_code == 0
    for words in (
        "client: eth0 10.1.0.1/24",
        "b: canet-curio on ioc",
        "value 2.0",
        "nobody answers for nix",
        "ioc: eth0 down",
        "ended a: SIGKILL",
        "SEARCH",
        "frames in x.pcapng",
        "no command is called 'foo'",
        "not done: a fault 'explode' is none of",
        "probed all",
    ):
        assert words in text


def test_shell_runs_a_command_on_a_host(file: Path) -> None:
    """The exit code is that of the command."""
    assert canet("shell", file, "ioc", "--", "sh", "-c", 'test "$(hostname)" = ioc && exit 7') == 7


def test_doctor_says_what_works(capsys: pytest.CaptureFixture[str]) -> None:
    """Where labs can be run, it says so."""
    assert canet("doctor") == 0
    assert "Scenarios can be run here" in capsys.readouterr().out
    assert canet("doctor", "--json") == 0
    assert {each["group"] for each in json.loads(capsys.readouterr().out)} >= {"machine", "namespaces", "peers"}


def test_an_interrupted_run_ends_with_130(file: Path) -> None:
    """Ctrl-C ends a run at once; its processes go with it."""
    # Whoever runs the tests in the background of a shell has SIGINT ignored, and children inherit that.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from canet.harness.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "run", str(file), "--times", "500"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline()  # it runs: a case has ended
        os.kill(running.pid, signal.SIGINT)
        running.communicate(timeout=60)
    assert running.returncode == 130
