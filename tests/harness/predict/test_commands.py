"""The commands of the model: predict, explain, diagnose, lint, snapshot, selfcheck; their words and exit codes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from canet.harness.cli import main

LOTTERY = "multi_ioc_unicast_one_answers"
SITE = """
[segments.lan]
[hosts.opi.interfaces]
eth0 = { segment = "lan", addresses = ["10.1.0.1/16"] }
[hosts.vac.interfaces]
eth0 = { segment = "lan", addresses = ["10.1.0.2/24"] }
[iocs.vac01]
host = "vac"
prefixes = ["VAC:"]
[clients.opi]
host = "opi"
"""


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Return exit code and output of a command line."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0), capsys.readouterr().out


def test_predict_says_what_must_happen(capsys: pytest.CaptureFixture[str]) -> None:
    """Luck is told as luck."""
    code, text = run(capsys, "predict", f"{LOTTERY}[broken]", "--why")

    assert code == 0
    assert "reads         exactly one of ioc1:value, ioc2:value, ioc3:value" in text
    assert "socket-hash" in text


def test_predict_shows_what_a_change_makes_different(capsys: pytest.CaptureFixture[str]) -> None:
    """What-if: only the differences, before and now."""
    change = "clients.libca.env.EPICS_CA_ADDR_LIST=10.1.0.255"
    code, text = run(capsys, "predict", f"{LOTTERY}[broken]", "--set", change)

    assert code == 0
    assert "before  reads" in text
    assert "now     reads         ioc1:value, ioc2:value, ioc3:value" in text


def test_predict_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has the same fields."""
    _, text = run(capsys, "predict", LOTTERY, "--json")

    assert json.loads(text)[0]["clients"][0]["reads"]["kind"] == "one"


def test_explain_tells_the_story(capsys: pytest.CaptureFixture[str]) -> None:
    """From the variable to the value."""
    code, text = run(capsys, "explain", LOTTERY, "--client", "libca", "--pv", "ioc2:value")

    assert code == 0
    assert "So libca finds ioc2:value by luck" in text
    assert run(capsys, "explain", LOTTERY, "--client", "nobody")[0] == 2


def test_diagnose_names_the_cause(capsys: pytest.CaptureFixture[str]) -> None:
    """A broken variant is ill, a fixed one healthy."""
    code, text = run(capsys, "diagnose", "addr_without_brd[broken]")

    assert code == 1
    assert "cause    the address 10.1.0.1 of client has no broadcast attribute" in text
    assert run(capsys, "diagnose", "addr_without_brd[broadcast-address-set]")[0] == 0


def test_lint_and_diagnose_a_site(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A wrong mask is found, with the change that heals it."""
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    code, text = run(capsys, "lint", str(path))
    code_json, plain = run(capsys, "lint", str(path), "--json")
    ill, cause = run(capsys, "diagnose", str(path), "--client", "opi", "--pv", "VAC:P1")

    assert (code, code_json, ill) == (1, 1, 1)
    assert "netmask: hosts." in text
    assert "verified  in the model" in text
    assert {each["kind"] for each in json.loads(plain)} == {"netmask", "unreachable", "no-beacon"}
    assert "netmask of" in cause


def test_snapshot_reads_this_machine(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A snapshot is a site file, and merges."""
    out = tmp_path / "me.toml"
    code, _ = run(capsys, "snapshot", "--name", "me", "--out", str(out))
    merged, text = run(capsys, "snapshot", "--merge", str(out))

    assert (code, merged) == (0, 0)
    assert "me" in tomllib.loads(text)["hosts"]


def test_selfcheck_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """Agreement and coverage are printed."""
    code, text = run(capsys, "selfcheck", "--cases", "3", "--seed", "77", "--jobs", "1")

    assert code == 0
    assert "networks agree" in text
    assert "rules touched" in text
