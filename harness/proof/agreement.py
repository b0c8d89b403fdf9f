"""Compare what the model predicted with what was seen: one more check for each probe and client.

A prediction speaks about one datagram or one try: who always appears, who perhaps, and of whom exactly one. Each
datagram and each try must be allowed by it. Where something takes part that the model does not know there is nothing
to compare. What deviates all the same is named in :mod:`.deviations`, with its reason; a run without that deviation
fails, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from canet.harness.observation import Check, ClientSeen, Observation, ProbeSeen
from canet.harness.predict import ClientPrediction, Happening, Hearing, Prediction, ProbePrediction, Standing, Sure
from canet.harness.proof import deviations
from canet.harness.verdict.verdict import answered, connected, in_words
from canet.scenarios.model import Scenario


def compare(scenario: Scenario, prediction: Prediction, observation: Observation) -> tuple[Check, ...]:
    """Return a check for each measure that the prediction has of what was run: servers, probes, clients, waits."""
    probes = {each.name: each for each in prediction.probes if each.modelled}
    clients = {each.name: each for each in prediction.clients if each.modelled}
    mute = frozenset(each.name for each in observation.participants if not each.implementation.startswith("canet"))
    checks: list[Check] = []
    for standing in prediction.standings:
        if standing.modelled and "starts" in observation.measures.get(standing.name, {}):
            checks.extend(_standing(standing, observation.measures[standing.name]))
    for probe in observation.probes:
        if probe.name in probes:
            checks.extend(_probe(probes[probe.name], probe, mute))
    for client in observation.clients:
        if client.name in clients:
            checks.extend(_client(clients[client.name], client))
    measures = observation.measures
    checks.extend(
        _hearing(each, measures[each.label]) for each in prediction.hearings if each.modelled and each.label in measures
    )
    checks.extend(
        _happening(each, measures[each.label])
        for each in prediction.happenings
        if each.modelled and each.label in measures
    )
    return tuple(_excused(scenario, each) for each in checks)


def _excused(scenario: Scenario, check: Check) -> Check:
    """Let a known deviation pass, with its reason, and a deviation that is none any more not."""
    reason = deviations.DEVIATIONS.get((scenario.key, check.subject))
    if reason is None:
        return check
    if check.holds:
        return replace(check, holds=False, why=f"the model agrees, though it is known not to: {reason}")
    return replace(check, holds=True, why=f"known: {reason}")


def _standing(predicted: Standing, measured: Mapping[str, object]) -> Iterator[Check]:
    """Yield the checks of a server: whether it came up, and the sockets that it then heard searches on."""
    starts = measured.get("starts")
    wrong = "" if starts is predicted.starts else "the model says otherwise"
    yield _check(predicted.name, "starts", str(predicted.starts), str(starts), wrong)
    sockets = measured.get("sockets")
    if predicted.starts and starts and isinstance(sockets, tuple):
        seen = frozenset(map(str, sockets))
        wrong = "" if seen == predicted.sockets else "the model says otherwise"
        expected = ", ".join(sorted(predicted.sockets)) or "none"
        yield _check(predicted.name, "sockets", expected, ", ".join(sorted(seen)) or "none", wrong)


def _hearing(predicted: Hearing, measured: Mapping[str, object]) -> Check:
    """Compare whose beacons were heard; only some of those that may come need to have come in the time."""
    sources = measured.get("beacons_from", ())
    seen = frozenset(str(each).rpartition(":")[0] for each in sources) if isinstance(sources, tuple) else frozenset()
    wrong = ""
    if extra := seen - predicted.may:
        wrong = f"no beacon from {', '.join(sorted(extra))} was possible"
    elif predicted.some and not seen:
        wrong = "beacons should have come"
    expected = f"{'some' if predicted.some else 'perhaps some'} of {', '.join(sorted(predicted.may))}"
    shown = ", ".join(sorted(seen)) or "none"
    return _check(predicted.label, "beacons_from", expected if predicted.may else "none", shown, wrong)


def _happening(predicted: Happening, measured: Mapping[str, object]) -> Check:
    """Compare whether what was waited for happened to a client."""
    seen = measured.get("happens")
    wrong = "" if seen is predicted.happens else "the model says otherwise"
    return _check(predicted.label, "happens", str(predicted.happens), str(seen), wrong)


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
