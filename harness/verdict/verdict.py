"""Compare what must be seen with what was seen: expectations × observation → checks, in words.

A check has three answers. It holds, it fails, or it cannot be judged, because the capture lost frames or because
nobody proved that a missing datagram is not merely late. What cannot be judged is never a pass.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from canet.harness.observation import Check, ClientSeen, Observation, ProbeSeen, Reply, Shot, Verdict
from canet.harness.verdict import measures
from canet.scenarios.model import Expectation, Outcome, Scenario

_MORTAL = frozenset({"alive", "starts"})
"""Measures of a server: whoever expects something of them is not surprised by its end."""


def judge(scenario: Scenario, observation: Observation) -> Verdict:
    """Check every expectation that speaks about the implementation of this run.

    Returns:
        The verdict: ``holds`` if every check holds, ``fails`` if one does not, ``error`` if one cannot be judged or
        a server died.
    """
    checks: list[Check] = []
    for expectation in scenario.expected(observation.subject):
        checks.extend(_checks(expectation, observation))
    foretold = {each.subject for each in scenario.expected(observation.subject) if _MORTAL & each.extra.keys()}
    died = [
        f"{each.name} on {each.host} {each.died}"
        for each in observation.participants
        if each.died and each.name not in foretold
    ]
    unjudged = [f"{each.subject} {each.measure}: {each.why}" for each in checks if each.holds is None]
    if any(each.holds is False for each in checks):
        outcome, reason = "fails", "; ".join(died)
    elif died or unjudged:
        outcome, reason = "error", "; ".join(died + unjudged)
    else:
        outcome, reason = "holds", ""
    return Verdict(
        scenario=scenario.key,
        subject=observation.subject,
        outcome=outcome,  # type: ignore[arg-type]  # one of the four, above
        checks=tuple(checks),
        reason=reason,
        seconds=observation.seconds,
    )


def _checks(expectation: Expectation, observation: Observation) -> Iterator[Check]:
    """Yield the checks of one expectation."""
    name = expectation.subject
    probe = next((each for each in observation.probes if each.name == name), None)
    client = next((each for each in observation.clients if each.name == name), None)
    found = False
    if probe is not None:
        found = True
        yield from _probe_checks(expectation, probe, observation)
    elif client is not None:
        found = True
        yield from _client_checks(expectation, client, observation)
    if expectation.says is not None:
        output = _output(name, client, observation)
        if output is not None:
            found = True
            yield _says(expectation, output)
    seen = observation.measures.get(name, {})
    for measure, wanted in expectation.extra.items():
        found = True
        yield measures.judge(name, measure, wanted, seen, observation, expectation.because)
    if not found:
        yield Check(
            subject=name, measure="run", expected="a result", seen="nothing", holds=None, why=f"{name} was not run"
        )


# -- probes ----------------------------------------------------------------------------------------------------------


def _probe_checks(expectation: Expectation, probe: ProbeSeen, observation: Observation) -> Iterator[Check]:
    doubt = ""
    if observation.dropped:
        doubt = f"the capture lost {observation.dropped} frames, so it proves no absence"
    elif not probe.sentinel:
        doubt = "no later sentinel proved that nothing was left to read"
    errors = Counter(shot.error for shot in probe.shots if shot.error)
    note = "; ".join(f"{count} datagrams not sent: {error}" for error, count in errors.items())
    for measure, outcome, pick in (
        ("received", expectation.received, lambda shot: shot.received),
        ("answered", expectation.answered, answered),
        ("connects", expectation.connects, lambda shot: connected(shot, probe)),
    ):
        if outcome is not None:
            rounds = [(shot.source, frozenset(pick(shot))) for shot in probe.shots]
            yield _outcome_check(probe.name, measure, outcome, rounds, "datagram", doubt, expectation.because or note)
    if expectation.reply_from is not None:
        yield _addresses(
            probe.name,
            "reply_from",
            expectation.reply_from,
            [reply.address for shot in probe.shots for reply in shot.replies],
            doubt,
            expectation.because or note,
        )
    if expectation.replies is not None:
        counts = Counter(sum(map(_times, shot.replies)) for shot in probe.shots)
        holds = set(counts) == {expectation.replies}
        yield Check(
            subject=probe.name,
            measure="replies",
            expected=f"{expectation.replies} for each datagram",
            seen=", ".join(f"{many}× {count}" for count, many in sorted(counts.items())) or "no datagram was sent",
            holds=_doubted(holds, doubt),
            why=doubt if holds and doubt else expectation.because or note,
        )


def _times(reply: Reply) -> int:
    """Return how often a reply answers: servers join the replies to datagrams that they read together."""
    return max(Counter(reply.pvs).values(), default=1)


def answered(shot: Shot) -> frozenset[str]:
    """Return the servers whose reply to this datagram came back."""
    return frozenset(reply.server or reply.announced for reply in shot.replies)


def connected(shot: Shot, probe: ProbeSeen) -> frozenset[str]:
    """Return the servers that answered this datagram and were then reached by TCP and read."""
    reached = {each.address: each.server or each.address for each in probe.connections if each.error is None}
    return frozenset(reached[reply.announced] for reply in shot.replies if reply.announced in reached)


# -- clients ---------------------------------------------------------------------------------------------------------


def _client_checks(expectation: Expectation, client: ClientSeen, observation: Observation) -> Iterator[Check]:
    tries = list(client.tries)
    because = expectation.because
    if expectation.connects is not None:
        rounds = [(f"try {n}", frozenset(each.servers.values())) for n, each in enumerate(tries, 1)]
        yield _outcome_check(client.name, "connects", expectation.connects, rounds, "try", "", because)
    if expectation.reads is not None:
        rounds = [(f"try {n}", frozenset(each.values)) for n, each in enumerate(tries, 1)]
        yield _outcome_check(client.name, "reads", expectation.reads, rounds, "try", "", because)
    doubt = f"the capture lost {observation.dropped} frames" if observation.dropped else ""
    if expectation.silent is not None:
        silent = not client.searched
        yield Check(
            subject=client.name,
            measure="silent",
            expected="sends no search" if expectation.silent else "sends searches",
            seen="searched " + ", ".join(client.searched) if client.searched else "sent no search",
            holds=_doubted(silent is expectation.silent, doubt),
            why=doubt or because,
        )
    if expectation.searches_to is not None:
        yield _addresses(client.name, "searches_to", expectation.searches_to, client.searched, doubt, because)


def _output(name: str, client: ClientSeen | None, observation: Observation) -> str | None:
    if client is not None:
        return "\n".join(each.output for each in client.tries)
    for participant in observation.participants:
        if participant.name == name:
            return participant.output
    return None


def _says(expectation: Expectation, output: str) -> Check:
    match = re.search(expectation.says or "", output, re.MULTILINE)
    lines = output.strip().splitlines()
    return Check(
        subject=expectation.subject,
        measure="says",
        expected=f"output that matches {expectation.says!r}",
        seen=repr(match.group(0)) if match else (f"last of {len(lines)} lines: {lines[-1]!r}" if lines else "nothing"),
        holds=match is not None,
        why=expectation.because,
    )


# -- sets ------------------------------------------------------------------------------------------------------------

Rounds = Sequence[tuple[str, frozenset[str]]]
"""For each datagram or try: where it came from, and the names that it brought."""


def _all_of(outcome: Outcome, rounds: Rounds) -> str:
    wanted = frozenset(outcome.members)
    for source, got in rounds:
        if missing := wanted - got:
            return f"{_names(missing)} {_is(missing)} missing ({source})"
    return ""


def _one_of(outcome: Outcome, rounds: Rounds) -> str:
    chosen: dict[str, frozenset[str]] = {}
    for source, got in rounds:
        if len(got) != 1:
            return f"{_names(got) or 'nobody'} instead of exactly one ({source})"
        if chosen.setdefault(source, got) != got:
            return f"{source} reached {_names(chosen[source])} once and {_names(got)} another time"
    if outcome.spread and len(set(chosen.values())) < 2:
        return f"always {_names(next(iter(chosen.values()), frozenset()))}: not spread over {len(chosen)} sources"
    return ""


def _some_of(outcome: Outcome, rounds: Rounds) -> str:
    for source, got in rounds:
        if not got & frozenset(outcome.members):
            return f"none of {_names(outcome.members)} ({source})"
    return ""


def _none_of(_outcome: Outcome, _rounds: Rounds) -> str:
    return ""


_RULES: dict[str, Callable[[Outcome, Rounds], str]] = {
    "all": _all_of,
    "one": _one_of,
    "some": _some_of,
    "none": _none_of,
}
"""Kind of outcome → what is wrong about what is *missing*, or nothing. Who must not appear is the same for all."""


def compare(outcome: Outcome, rounds: Rounds) -> tuple[str, str]:
    """Return what is wrong: what is there and should not be, and what is missing (each empty when right).

    >>> compare(Outcome.parse("only a"), [("10.1.0.1:9", frozenset("ab"))])
    ('b is there (10.1.0.1:9)', '')
    """
    for source, got in rounds:
        if strangers := got - frozenset(outcome.members):
            return f"{_names(strangers)} {_is(strangers)} there ({source})", ""
    return "", _RULES[outcome.kind](outcome, rounds)


def _outcome_check(
    subject: str, measure: str, outcome: Outcome, rounds: Rounds, unit: str, doubt: str, because: str
) -> Check:
    surplus, lacking = compare(outcome, rounds)
    expected, seen = str(outcome), in_words(rounds, unit)
    if not rounds:
        return Check(
            subject=subject, measure=measure, expected=expected, seen=seen, holds=None, why=f"no {unit} was made"
        )
    if surplus:
        return Check(subject=subject, measure=measure, expected=expected, seen=seen, holds=False, why=surplus)
    if doubt:
        return Check(subject=subject, measure=measure, expected=expected, seen=seen, holds=None, why=doubt)
    why = lacking or because
    return Check(subject=subject, measure=measure, expected=expected, seen=seen, holds=not lacking, why=why)


def in_words(rounds: Rounds, unit: str = "datagram") -> str:
    """Say what the rounds brought, shortly.

    >>> in_words([("p1", frozenset({"a"})), ("p2", frozenset({"b"})), ("p3", frozenset({"a"}))])
    'exactly one for each of 3 datagrams: a 2, b 1'
    >>> in_words([("p1", frozenset({"b", "a"}))])
    'a, b'
    >>> in_words([("p1", frozenset())])
    'none'
    """
    if not rounds:
        return f"no {unit}"
    many = len(rounds)
    different = {got for _, got in rounds}
    if len(different) == 1:
        text = _names(next(iter(different))) or "none"
        return text if many == 1 else f"{text} for each of {many} {_plural(unit)}"
    counts = Counter(name for _, got in rounds for name in got)
    spelled = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    if all(len(got) == 1 for got in different):
        return f"exactly one for each of {many} {_plural(unit)}: {spelled}"
    empty = sum(1 for _, got in rounds if not got)
    return f"{many} {_plural(unit)}: {spelled}" + (f", none {empty}" if empty else "")


def _addresses(
    subject: str, measure: str, wanted: Iterable[str], seen: Iterable[str], doubt: str, because: str
) -> Check:
    """Compare addresses: each that was seen is wanted, each that is wanted was seen. ``A`` matches any port of A."""
    wanted, seen = tuple(wanted), tuple(dict.fromkeys(seen))

    def fits(want: str, got: str) -> bool:
        return want == (got if ":" in want else got.rpartition(":")[0])

    strangers = [got for got in seen if not any(fits(want, got) for want in wanted)]
    missing = [want for want in wanted if not any(fits(want, got) for got in seen)]
    if all(":" not in want for want in wanted):
        seen = tuple(dict.fromkeys(got.rpartition(":")[0] for got in seen))
    why = because
    if strangers:
        why = f"{', '.join(strangers)} not expected"
    elif doubt:
        why = doubt
    elif missing:
        why = f"{', '.join(missing)} missing"
    holds = False if strangers else _doubted(not missing, doubt)
    return Check(
        subject=subject,
        measure=measure,
        expected=", ".join(wanted) or "none",
        seen=", ".join(seen) or "none",
        holds=holds,
        why=why,
    )


def _doubted(holds: bool, doubt: str) -> bool | None:
    return None if doubt else holds


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _is(names: frozenset[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _plural(unit: str) -> str:
    return "tries" if unit == "try" else unit + "s"
