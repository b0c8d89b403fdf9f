"""Write verdicts as JSON. ``harness/result.schema.json`` is the published schema; it changes additively."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from canet.harness.observation import Verdict
from canet.harness.report.record import case_id, encode


def plain(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values, with the id of its case."""
    values: dict[str, Any] = json.loads(encode(verdict))
    return {"id": case_id(verdict.scenario, verdict.subject), **values}


def results(verdicts: Iterable[Verdict]) -> str:
    """Return the JSON document: an array with one object for each case."""
    return json.dumps([plain(each) for each in verdicts], indent=2, ensure_ascii=False) + "\n"


def write(path: Path, verdicts: Iterable[Verdict]) -> None:
    """Write the document into a file."""
    path.write_text(results(verdicts), encoding="utf-8")


def schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of the document."""
    text = files("canet.harness").joinpath("result.schema.json").read_text(encoding="utf-8")
    read: dict[str, Any] = json.loads(text)
    return read
