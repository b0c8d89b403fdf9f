"""The schema for editors and the reference in the documentation say what the code says."""

from __future__ import annotations

import tomllib
from pathlib import Path

import jsonschema
import pytest

from canet.scenarios import library, schema
from canet.scenarios.load import ROOT

FIX = "run: python -m canet.scenarios.schema"


def test_the_schema_that_ships_is_current() -> None:
    """It is generated, never edited."""
    assert schema.FILE.read_text() == schema.text(), FIX


def test_the_reference_is_current() -> None:
    """So are the tables in the documentation."""
    page = (ROOT.resolve().parent / "docs" / "scenarios.md").read_text()
    assert schema.documented(page) == page, FIX


@pytest.mark.parametrize("path", library.files(), ids=lambda path: path.stem)
def test_every_file_obeys_the_schema(path: Path) -> None:
    """An editor marks nothing in a file that canet accepts."""
    jsonschema.Draft202012Validator(schema.schema()).validate(tomllib.loads(path.read_text()))


def test_the_schema_refuses_what_the_loader_refuses() -> None:
    """A misspelt key is marked by an editor too."""
    validator = jsonschema.Draft202012Validator(schema.schema())
    assert validator.is_valid({"title": "t"})
    assert not validator.is_valid({"title": "t", "hots": {}})
    assert not validator.is_valid({"title": "t", "servers": {"a": {"host": "b", "reuse": "all"}}})
