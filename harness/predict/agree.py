"""Compare a prediction with what a run saw: each difference is a failed check, as a broken expectation is.

Steps that change servers or the network are not predicted: what runs after the first of them is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator

from canet.harness.observation import Check, ClientSeen, Observation, ProbeSeen, Shot
from canet.harness.predict.prediction import ClientPrediction, Prediction, ProbePrediction, Sure
from canet.scenarios.model import SUBJECTS, Scenario

QUIET_STEPS = frozenset({"probe", "client", "beacons"})
"""Steps that leave servers and network as they are."""


def check(scenario: Scenario, prediction: Prediction, observation: Observation) -> tuple[Check, ...]:
    """Return one check per probe or client and measure; ``holds`` is ``False`` where run and prediction differ."""
    names = comparable(scenario)
    own = observation.subject in SUBJECTS and all(each.implementation is None for each in scenario.servers)
    found: list[Check] = []
    for probe in observation.probes:
        told = next((each for each in prediction.probes if each.name == probe.name), None)
        if told is not None and told.modelled and probe.name in names:
            found.extend(_probe(told, probe, own))
    hosts = {each.name: each.host for each in scenario.clients}
    for client in observation.clients:
        foretold = next((each for each in prediction.clients if each.name == client.name), None)
        if foretold is not None and foretold.modelled and client.name in names:
            own_addresses = {str(each.ip) for each in scenario.topology.host(hosts[client.name]).addresses}
            found.extend(_client(foretold, client, own_addresses))
    return tuple(found)


def comparable(scenario: Scenario) -> frozenset[str]:
    """Return the probes and clients that run while everything still is as the scenario begins."""
    names = {each.name for each in scenario.probes} | {each.name for each in scenario.clients}
    if not scenario.steps:
        return frozenset(names)
    before: set[str] = set()
    after: set[str] = set()
    disturbed = False
    for step in scenario.steps:
        disturbed |= step.do not in QUIET_STEPS
        if step.target is not None:
            (after if disturbed else before).add(step.target)
    return frozenset((before & names) - after)


def _probe(told: ProbePrediction, seen: ProbeSeen, own: bool) -> Iterator[Check]:
    reached = {each.address: each.server or each.address for each in seen.connections if each.error is None}
    for measure in ("received", "answered", "connects"):
        sure = told.sure[measure]
        expected = getattr(told, measure)
        if measure == "received" and not own:
            sure = _witnessed(sure, told.sure["answered"])
        wrong = ""
        for shot in seen.shots:
            wrong = wrong or sure.allows(_names(measure, shot, reached))
        rounds = "; ".join(sorted({", ".join(sorted(_names(measure, s, reached))) or "nobody" for s in seen.shots}))
        yield _check(told.name, measure, str(expected), rounds, wrong)
    wrong = ""
    for shot in seen.shots:
        if not told.replies[0] <= len(shot.replies) <= told.replies[1]:
            wrong = wrong or f"{len(shot.replies)} replies to one datagram"
        for reply in shot.replies:
            host = reply.address.rpartition(":")[0]
            if reply.address not in told.reply_from and host not in told.reply_from:
                wrong = wrong or f"a reply from {reply.address}"
        if (shot.error or "").partition(" ")[0].rstrip(":") != (told.error or ""):
            wrong = wrong or f"the send gave {shot.error or 'no error'}, predicted was {told.error or 'none'}"
    low, high = told.replies
    expected = f"{low if low == high else f'{low} to {high}'} from {', '.join(told.reply_from) or 'nowhere'}"
    yield _check(told.name, "replies", expected, wrong or "as predicted", wrong)


def _witnessed(received: Sure, answered: Sure) -> Sure:
    """Other people's servers are seen to have read a datagram only by their replies."""
    return Sure(
        always=received.always & answered.always,
        maybe=received.maybe | (received.always - answered.always),
        picks=received.picks,
        maybe_none=True,
    )


def _names(measure: str, shot: Shot, reached: dict[str, str]) -> frozenset[str]:
    if measure == "received":
        return frozenset(shot.received)
    if measure == "answered":
        return frozenset(reply.server or reply.announced for reply in shot.replies)
    return frozenset(reached[reply.announced] for reply in shot.replies if reply.announced in reached)


def _client(told: ClientPrediction, seen: ClientSeen, own_addresses: set[str]) -> Iterator[Check]:
    for measure in ("reads", "connects"):
        wrong = ""
        rounds: set[str] = set()
        for each in seen.tries:
            got = frozenset(each.values) if measure == "reads" else frozenset(each.servers.values())
            rounds.add(", ".join(sorted(got)) or "nothing")
            wrong = wrong or told.sure[measure].allows(got)
        yield _check(told.name, measure, str(getattr(told, measure)), "; ".join(sorted(rounds)), wrong)
    expected = {each for each in told.searches_to if _visible(each, own_addresses)}
    sought = {each for each in seen.searched if _visible(each, own_addresses)}
    wrong = "" if expected == sought else f"searched {', '.join(sorted(sought)) or 'nowhere'}"
    yield _check(told.name, "searches_to", ", ".join(sorted(expected)), ", ".join(sorted(sought)), wrong)


def _visible(endpoint: str, own: set[str]) -> bool:
    """What stays on the host is on no cable."""
    host = endpoint.rpartition(":")[0]
    return not host.startswith("127.") and host not in own


def _check(subject: str, measure: str, expected: str, seen: str, wrong: str) -> Check:
    return Check(
        subject=subject,
        measure=f"prediction of {measure}",
        expected=expected,
        seen=seen,
        holds=not wrong,
        why=wrong,
    )
