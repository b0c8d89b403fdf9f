"""Compare what the model predicted with what was seen: one more check for each probe and client.

A prediction speaks about one datagram or one try: who always appears, who perhaps, and of whom exactly one. Each
datagram and each try must be allowed by it. Where something takes part that the model does not know, or where steps
change the network or the servers, there is nothing to compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from canet.harness.observation import Check, ClientSeen, Observation, ProbeSeen
from canet.harness.participants.recipe import all_pvs
from canet.harness.predict import ClientPrediction, Prediction, ProbePrediction, Sure
from canet.harness.verdict.verdict import answered, connected, in_words
from canet.harness.wire.inject import batches
from canet.scenarios.model import WITNESS, Scenario

STILL = frozenset({"probe", "client"})
"""Steps that change nothing."""


def comparable(scenario: Scenario) -> bool:
    """Tell whether the model speaks about all that happens in a scenario: no change, one datagram for each search."""
    pvs = all_pvs(scenario.servers)
    return (
        all(step.do in STILL for step in scenario.steps)
        and all(each.autostart for each in scenario.servers)
        and all(len(batches((WITNESS, *(probe.pvs or pvs)))) == 1 for probe in scenario.probes)
    )


def compare(prediction: Prediction, observation: Observation) -> tuple[Check, ...]:
    """Return a check for each measure that the prediction has of each probe and client that was run."""
    probes = {each.name: each for each in prediction.probes if each.modelled}
    clients = {each.name: each for each in prediction.clients if each.modelled}
    mute = frozenset(each.name for each in observation.participants if not each.implementation.startswith("canet"))
    checks: list[Check] = []
    for probe in observation.probes:
        if probe.name in probes:
            checks.extend(_probe(probes[probe.name], probe, mute))
    for client in observation.clients:
        if client.name in clients:
            checks.extend(_client(clients[client.name], client))
    return tuple(checks)


def _probe(predicted: ProbePrediction, seen: ProbeSeen, mute: frozenset[str]) -> Iterator[Check]:
    """Yield the checks of a probe; ``mute`` servers do not say what they read: only an answer shows it."""
    if predicted.error is not None or any(shot.error for shot in seen.shots):
        errors = {shot.error for shot in seen.shots}
        yield _check(
            seen.name,
            "error",
            str(predicted.error or "none"),
            ", ".join(sorted(str(each or "none") for each in errors)),
            "" if errors == {predicted.error} else "the model and the kernel refuse different things",
        )
        return
    if not seen.sentinel:
        return  # what was not proven cannot contradict
    shots = [(shot.source, shot) for shot in seen.shots]
    for measure, rounds in (
        ("received", [(source, frozenset(shot.received)) for source, shot in shots]),
        ("answered", [(source, answered(shot)) for source, shot in shots]),
        ("connects", [(source, connected(shot, seen)) for source, shot in shots]),
    ):
        if measure == "connects" and not seen.connections and any(got for _, got in rounds):
            continue
        sure = predicted.sure.get(measure)
        if sure is not None:
            unseen = sure.always & mute if measure == "received" else frozenset[str]()
            yield _sets(seen.name, measure, sure, [(source, got | unseen) for source, got in rounds], "datagram")


def _client(predicted: ClientPrediction, seen: ClientSeen) -> Iterator[Check]:
    for measure, rounds in (
        ("reads", [(f"try {n}", frozenset(each.values)) for n, each in enumerate(seen.tries, 1)]),
        ("connects", [(f"try {n}", frozenset(each.servers.values())) for n, each in enumerate(seen.tries, 1)]),
    ):
        sure = predicted.sure.get(measure)
        if sure is not None:
            yield _sets(seen.name, measure, sure, rounds, "try")


def _sets(name: str, measure: str, sure: Sure, rounds: Iterable[tuple[str, frozenset[str]]], unit: str) -> Check:
    rounds = list(rounds)
    wrong = next((f"{text} ({source})" for source, got in rounds if (text := sure.allows(got))), "")
    return _check(name, measure, str(sure.outcome()), in_words(rounds, unit), wrong)


def _check(name: str, measure: str, expected: str, seen: str, wrong: str) -> Check:
    return Check(
        subject=name,
        measure=f"{measure} (predicted)",
        expected=expected,
        seen=seen,
        holds=not wrong,
        why=wrong or "the model agrees",
    )
