"""The library's own expectations: what its authors measured is what the model says."""

from __future__ import annotations

import pytest

from canet.harness.predict import ClientPrediction, Prediction, ProbePrediction, predict
from canet.scenarios import library
from canet.scenarios.model import Expectation, Outcome, Scenario

SUBJECTS = {"canet": "asyncio", "caproto": "caproto-asyncio"}


@pytest.mark.parametrize("theme", list(library.THEMES))
def test_model_agrees_with_what_scenarios_expect(theme: str) -> None:
    """Every outcome that a scenario expects of a modelled participant follows from the model."""
    wrong = []
    for scenario in library.all_scenarios():
        if not scenario.id.startswith(f"{theme}/"):
            continue
        for who in scenario.speaks_about or ("canet",):
            subject = SUBJECTS.get(who, who)
            wrong += list(differences(scenario, subject, predict(scenario, subject, why=False)))

    assert wrong == []


def comparable(scenario: Scenario) -> frozenset[str]:
    """Return the probes and clients that run while everything still is as the scenario begins."""
    names = {each.name for each in scenario.probes} | {each.name for each in scenario.clients}
    before, after, disturbed = set[str](), set[str](), False
    for step in scenario.steps:
        disturbed |= step.do not in ("probe", "client", "beacons")
        if step.target is not None:
            (after if disturbed else before).add(step.target)
    return frozenset((before & names) - after) if scenario.steps else frozenset(names)


def differences(scenario: Scenario, subject: str, told: Prediction) -> list[str]:
    """Return where expectation and prediction differ."""
    found = []
    plain = all(each.implementation != "gateway" for each in scenario.servers)
    for each in scenario.expected(subject):
        if each.subject not in comparable(scenario) or not plain:
            continue
        every: list[ProbePrediction | ClientPrediction] = [*told.probes, *told.clients]
        for mine in every:
            if mine.name == each.subject and mine.modelled:
                found += [f"{scenario.key}@{subject} {each.subject}: {line}" for line in _one(each, mine)]
    return found


def _one(expected: Expectation, told: ProbePrediction | ClientPrediction) -> list[str]:
    names = ("received", "answered", "connects") if isinstance(told, ProbePrediction) else ("reads", "connects")
    found = []
    for name in names:
        wanted, mine = getattr(expected, name), getattr(told, name)
        if wanted is None or fits(wanted, mine):
            continue
        if name == "received" and isinstance(told, ProbePrediction) and told.answered == Outcome("none"):
            continue  # other people's servers are seen to read only by their replies
        found.append(f"{name} expected {wanted}, predicted {mine}")
    return found


def fits(wanted: Outcome, told: Outcome) -> bool:
    """Tell whether a prediction is within an expectation; what is certain satisfies "some of"."""
    if wanted.kind == "some":
        return told.kind != "none" and set(told.members) <= set(wanted.members)
    if wanted.kind == "one" and not wanted.spread and told.kind == "all":
        return len(told.members) == 1 and set(told.members) <= set(wanted.members)
    return wanted.kind == told.kind and set(wanted.members) == set(told.members)
