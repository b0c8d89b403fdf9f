"""What docs/ioc.md shows works as it is written."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

from canet.server.__main__ import load, parser
from canet.server.ioc import Group, background
from canet.server.ioc.given import add_file
from canet.server.ioc.group import host_of
from canet.server.ioc.options import Options
from tests.server.ioc.client import Client

PAGE = Path(__file__).parents[3] / "docs" / "ioc.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return all blocks of code of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: re.findall(r"class (\w+)", code)[0])
def test_each_excerpt_runs(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block of Python is a whole program, and its groups can be served."""
    module = types.ModuleType("excerpt")
    monkeypatch.setitem(sys.modules, "excerpt", module)
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    groups = [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == "excerpt"]

    for each in groups:
        group = each("t:", {"NAME": "n"})
        with background(group) as where, Client(where) as client:
            for pv in host_of(group).directory:
                client.get(pv.name)


def test_the_shutter_closes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest excerpt does what it says."""
    module = types.ModuleType("excerpt")
    monkeypatch.setitem(sys.modules, "excerpt", module)
    exec(next(code for code in blocks("python") if "class Shutter" in code), module.__dict__)
    with background(module.Shutter("t:")) as where, Client(where) as client:
        client.put("t:open", 1)
        assert client.get("t:open") == 1
        client.until("t:open", lambda value: value == 0)


def test_the_toml_file_is_one(tmp_path: Path) -> None:
    """The file that is shown can be loaded."""
    (code,) = blocks("toml")
    file = tmp_path / "pvs.toml"
    file.write_text(code)
    group = Group()
    add_file(group, file)

    assert sorted(host_of(group).directory.pvs) == ["lab:count", "lab:current"]


def test_the_commands_are_understood() -> None:
    """Every command line that is shown can be parsed, and the one that needs no file gives its PVs."""
    commands = [line.split()[3:] for line in TEXT.splitlines() if line.startswith("python -m canet.server")]
    parsed = [parser().parse_args([word.strip("'") for word in each]) for each in commands]

    assert len(host_of(load(parsed[0])).directory) == 3


def test_all_examples_and_keywords_are_named() -> None:
    """Nothing is missing from the tables."""
    for example in (PAGE.parent / "examples").glob("*.py"):
        assert f"(examples/{example.name})" in TEXT
    for keyword in Options.__annotations__:
        assert f"`{keyword}`" in TEXT
