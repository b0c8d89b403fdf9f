"""The commands that need no kernel: list, show, check, new, search, guide."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canet.harness import cli
from canet.scenarios import library
from canet.scenarios.load import ROOT


def canet(*words: str) -> int:
    """Run the command line in this process and return its exit code."""
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    return int(caught.value.code or 0)


def test_list_counts_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line counts, and each file is named."""
    assert canet("list") == 0
    text = capsys.readouterr().out
    assert f"{len(library.files())} scenarios in {len(library.all_scenarios())} variants" in text
    assert all(path.stem in text for path in library.files())


def test_list_by_tag_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON holds one entry for each variant; several tags all hold."""
    assert canet("list", "--tag", "statement", "--tag", "nat", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {each["id"] for each in found} == {"several_servers_on_one_host/dnat_unicast_to_broadcast"}
    assert {"key", "title", "subjects", "cause"} <= found[0].keys()


def test_list_of_tags(capsys: pytest.CaptureFixture[str]) -> None:
    """Tags come with their counts."""
    assert canet("list", "--tags") == 0
    assert "9  statement\n" in capsys.readouterr().out


@pytest.mark.parametrize("path", library.files(), ids=lambda path: path.stem)
def test_show_every_scenario(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Title, story and every variant are shown."""
    assert canet("show", path.stem) == 0
    text = capsys.readouterr().out
    for each in library.find(path.stem):
        assert each.title in text
        assert f"[{each.variant}]" in text


def test_show_as_json_and_as_source(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON holds the variants, the source is the file."""
    assert canet("show", "multicast_group", "--json") == 0
    assert [each["variant"] for each in json.loads(capsys.readouterr().out)] == ["plain", "all-join", "other-group"]
    assert canet("show", "multicast_group", "--source") == 0
    assert capsys.readouterr().out == Path(library.find("multicast_group")[0].source).read_text()


def test_new_writes_a_file_that_is_right_and_keeps_an_old_one(tmp_path: Path) -> None:
    """What `new` writes, `check` accepts; nothing is overwritten unasked."""
    file = tmp_path / "mine.canet.toml"
    assert canet("new", str(file)) == 0
    assert canet("check", str(file)) == 0
    file.write_text("precious")
    assert canet("new", str(file)) == 2
    assert file.read_text() == "precious"
    assert canet("new", str(file), "--force") == 0
    assert canet("new", str(tmp_path / "none" / "x.toml")) == 2


def test_check_says_every_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One wrong file does not hide another."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text("titel = 'x'")
    assert canet("check", str(tmp_path)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all("did you mean 'title'?" in line for line in lines)


def test_check_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file the shipped ones are checked."""
    assert canet("check") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(library.files())


def test_search_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """A hit says how to see more; no hit is exit code 1."""
    assert canet("search", "iptables", "rule", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["id"].endswith("dnat_unicast_to_broadcast")
    assert canet("search", "localhost") == 0
    assert "canet show multi_ioc_localhost_127" in capsys.readouterr().out
    assert canet("search", "xylophone") == 1


def test_guide_holds_every_problem_and_its_measured_outcome(tmp_path: Path) -> None:
    """Each problem has an anchor; what a run measured is told."""
    verdict = {
        "scenario": "interfaces_addresses_routes/multicast_group[plain]",
        "subject": "trio",
        "outcome": "holds",
        "checks": [{"subject": "group", "measure": "answered", "seen": "ioc1, ioc2", "holds": True}],
    }
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "verdicts.json").write_text(json.dumps({"verdicts": [verdict]}))
    out = tmp_path / "guide.md"
    assert canet("guide", "--run", str(tmp_path / "run"), "--out", str(out)) == 0
    text = out.read_text()
    assert all(f'<a id="{path.stem}"></a>' in text for path in library.files())
    assert "- Last run: as said with trio." in text
    assert "Measured: answered ioc1, ioc2." in text


def test_the_guide_in_the_documentation_knows_every_problem() -> None:
    """A new scenario is not forgotten there: run `canet guide --run RESULTS --out docs/troubleshooting.md`."""
    text = (ROOT.resolve().parent / "docs" / "troubleshooting.md").read_text()
    missing = [path.stem for path in library.files() if f'<a id="{path.stem}"></a>' not in text]
    assert missing == []


def test_guide_of_no_run_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without results is said, not ignored."""
    assert canet("guide", "--run", str(tmp_path)) == 2
    assert "canet run --json" in capsys.readouterr().err
