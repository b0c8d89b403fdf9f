"""Runs that are stored and read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from canet.harness.observation import Verdict
from canet.harness.report import record
from canet.scenarios.model import Scenario
from tests.harness import talk


def test_round_trip(tmp_path: Path) -> None:
    """Scenario, observation with its frames, verdict and logs come back as they were."""
    record.save(tmp_path, talk.scenario(), talk.observation(), talk.verdict(), {"says": ["why"]})
    read = record.load(tmp_path)

    assert talk.scenario() == read.scenario
    assert talk.verdict() == read.verdict
    assert read.prediction == {"says": ["why"]}
    assert talk.observation() == read.observation
    assert (tmp_path / "logs" / "ioc1.log").read_text() == "serving <1> PV\n"


def test_found_below(tmp_path: Path) -> None:
    """Run directories are found at any depth, each once, and say where they are."""
    for subject in ("trio", "asyncio"):
        name = record.directory_name(talk.scenario().key, subject)
        record.save(tmp_path / "runs" / name, talk.scenario(), talk.observation(subject), talk.verdict(subject))
    found = record.find(tmp_path, tmp_path / "runs")

    assert [each.name for each in found] == ["statements.unicast.plain@asyncio", "statements.unicast.plain@trio"]
    assert found[0] == record.load(found[0]).directory


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "cannot be read"), ("{", "is not JSON"), ('{"scenario": 3}', "is no stored Observation")],
)
def test_damaged(tmp_path: Path, text: str | None, said: str) -> None:
    """A missing or damaged file is named."""
    record.save(tmp_path, talk.scenario(), talk.observation(), talk.verdict())
    path = tmp_path / record.OBSERVATION
    path.unlink()
    if text is not None:
        path.write_text(text)

    with pytest.raises(record.RecordError, match=said) as caught:
        record.load(tmp_path)
    assert str(path) in str(caught.value)


def test_unknown_keys_are_passed_over() -> None:
    """A record of a later version with more fields can be read."""
    data = {"scenario": "a[b]", "subject": "trio", "outcome": "holds", "later": 1}

    assert record.decode(Verdict, data) == Verdict(scenario="a[b]", subject="trio", outcome="holds")


def test_library_round_trip() -> None:
    """Every scenario of the library comes back from its JSON with nothing lost."""
    import msgspec

    from canet.scenarios.library import all_scenarios

    for each in all_scenarios():
        read = record.decode(Scenario, msgspec.json.decode(record.encode(each)))
        # What a step means by its arguments only the step knows: those stay plain values.
        assert replace(each, steps=(), expectations=()) == replace(read, steps=(), expectations=())
        assert record.encode(each) == record.encode(read)


def test_skipped_case(tmp_path: Path) -> None:
    """A case that was skipped is stored with its reason and no frames."""
    record.save(tmp_path, talk.scenario(), None, talk.verdict("rsrv", "skipped"))
    read = record.load(tmp_path)

    assert (read.observation.subject, read.observation.frames) == ("rsrv", ())
    assert "pip install" in read.verdict.reason
