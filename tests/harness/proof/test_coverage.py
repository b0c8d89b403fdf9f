"""What runs of the library compare with predictions, counted without a run."""

from __future__ import annotations

from dataclasses import replace

from typer.testing import CliRunner

from canet.harness.cli import application
from canet.harness.predict import play
from canet.harness.proof.coverage import Coverage, cover, moments
from canet.scenarios.library import all_scenarios
from canet.scenarios.model import Client, Step
from tests.harness.predict.nets import iocs, pair, scenario


def test_every_variant_of_the_library_is_compared_with_its_prediction() -> None:
    """In each something is; what is not says why."""
    found = cover(all_scenarios())
    compared, variants = found.variants()

    assert compared == variants
    for kind in ("server", "probe", "client", "beacons", "wait"):
        some, every = found.count(kind)
        assert some > 0.9 * every, kind
    assert sum(map(len, found.reasons().values())) == sum(each.unknown != "" for each in found.moments)


def test_what_is_not_compared_has_its_reason() -> None:
    """A foreign program, and a measure that is not the model's."""
    base = scenario(pair(), *iocs(1))
    strange = Client(name="script", host="client", implementation="command")
    steps = (Step(do="client", target="script"), Step(do="ports", args={"host": "ioc", "label": "held"}))
    mine = replace(base, clients=(strange,), steps=steps)

    found = Coverage(list(moments(mine, play(mine))))

    assert found.count() == (1, 3)
    assert found.count("client") == (0, 1)
    assert {each.name for left in found.reasons().values() for each in left} == {"script", "held"}


def test_the_command_prints_the_counts() -> None:
    """``canet selfcheck --library`` runs nothing and says how much is compared."""
    result = CliRunner().invoke(application(["selfcheck"]), ["selfcheck", "--library"])

    assert result.exit_code == 0
    assert "is compared with its prediction in each run" in result.output
    assert "known deviations: 0" in result.output
