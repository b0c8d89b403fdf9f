"""Where implementations differ in the same scenario: what each saw, and in words how that comes about."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from canet.harness.observation import Participant, ProbeSeen, Shot
from canet.harness.participants.recipe import all_pvs
from canet.harness.run.run import Result
from canet.harness.verdict import wording
from canet.harness.verdict.verdict import answered, connected


@dataclass(frozen=True, slots=True)
class Row:
    """One measure: what was seen, and who saw it."""

    name: str
    seen: tuple[tuple[str, tuple[str, ...]], ...]
    """What was seen → the implementations; the largest group first."""

    @property
    def differs(self) -> bool:
        """Whether not all saw the same."""
        return len(self.seen) > 1


def _received(_probe: ProbeSeen, shot: Shot) -> frozenset[str]:
    return frozenset(shot.received)


def _answered(_probe: ProbeSeen, shot: Shot) -> frozenset[str]:
    return answered(shot)


def _connected(probe: ProbeSeen, shot: Shot) -> frozenset[str]:
    return connected(shot, probe)


PICKS: tuple[tuple[str, Callable[[ProbeSeen, Shot], frozenset[str]], tuple[str, str]], ...] = (
    ("received", _received, ("receives", "receive")),
    ("answered", _answered, ("answers", "answer")),
    ("connected", _connected, ("is reached", "are reached")),
)
"""What is counted of each datagram, and how it is said."""


def measures(result: Result) -> dict[str, str]:
    """Return what one implementation saw, by measure; figures that chance decides are left out."""
    observation = result.observation
    if observation is None:
        return {"result": f"{result.verdict.outcome}: {result.verdict.reason}"}
    scenario = result.case.scenario
    names = [each.name for each in scenario.servers]
    found: dict[str, str] = {}
    for probe in observation.probes:
        target = next((f"{p.to}:{p.port}" for p in scenario.probes if p.name == probe.name), "")
        what = f"{probe.name} ({target})"
        for measure, pick, verbs in PICKS:
            words = wording.probe_words(probe, names, functools.partial(pick, probe), verbs)
            found[f"{what}: {measure}"] = _without_shares(words)
    for client in observation.clients:
        plan = next((each for each in scenario.clients if each.name == client.name), None)
        wanted = plan.pvs if plan is not None and plan.pvs else all_pvs(scenario.servers)
        found[f"{client.name}: read"] = _without_shares(wording.client_words(client, wanted))
    for each in observation.participants:
        if each.died:
            found[f"{each.name}: runs"] = each.died.splitlines()[0]
    return found


def rows(results: Sequence[Result]) -> tuple[Row, ...]:
    """Return a row for each measure."""
    table: dict[str, dict[str, list[str]]] = {}
    for result in results:
        for name, seen in measures(result).items():
            table.setdefault(name, {}).setdefault(seen, []).append(result.case.subject)
    return tuple(
        Row(name, tuple(sorted(((seen, tuple(who)) for seen, who in by.items()), key=lambda each: -len(each[1]))))
        for name, by in table.items()
    )


def sentences(results: Sequence[Result]) -> Iterator[str]:
    """Yield what explains the differences: which sockets each implementation has bound, where these differ."""
    if not any(row.differs for row in rows(results)):
        yield "All see the same."
        return
    groups: dict[str, list[str]] = {}
    for result in results:
        if result.observation is not None:
            groups.setdefault(_bindings(result.observation.participants), []).append(result.case.subject)
    if len(groups) < 2:
        yield "All have bound the same sockets: they differ in what they do with a search."
    for bindings, who in groups.items():
        yield f"{', '.join(who)}: {bindings}."


def plain(results: Sequence[Result]) -> dict[str, object]:
    """Return rows and sentences as plain values."""
    return {
        "measures": {row.name: {seen: list(who) for seen, who in row.seen} for row in rows(results)},
        "why": list(sentences(results)),
    }


def _bindings(participants: Sequence[Participant]) -> str:
    """Say which UDP sockets hear searches; servers that have bound the same are named together."""
    by_sockets: dict[str, list[str]] = {}
    for each in participants:
        words = _hears(each) if each.udp else "no search socket"
        if each.shares is not None:
            words += f" with {each.shares}"
        by_sockets.setdefault(words, []).append(each.name)
    return "; ".join(f"{', '.join(names)} on {words}" for words, names in by_sockets.items())


def _hears(participant: Participant) -> str:
    return " and ".join(_kind(name) for name in dict.fromkeys(participant.udp))


def _kind(name: str) -> str:
    """Say what a bound address hears.

    >>> _kind("0.0.0.0:5064"), _kind("10.1.0.255:5064")
    ('all addresses (0.0.0.0:5064: unicasts and broadcasts)', 'a broadcast address (10.1.0.255:5064: broadcasts only)')
    """
    address = name.rpartition(":")[0]
    first, last = int(address.partition(".")[0]), address.rpartition(".")[2]
    if address == "0.0.0.0":
        return f"all addresses ({name}: unicasts and broadcasts)"
    if 224 <= first <= 239:
        return f"a multicast group ({name})"
    if last == "255":
        return f"a broadcast address ({name}: broadcasts only)"
    return f"an own address ({name}: unicasts only)"


def _without_shares(words: str) -> str:
    """Leave out how chance shared the datagrams out: ``exactly one of 3 answers; over 20 source ports 7/6/7``."""
    if words.startswith("exactly one") and " times of " in words:
        return words.partition(", ")[0]
    head, _, tail = words.partition("; over ")
    return f"{head}; over {tail.rpartition(' ')[0]}" if tail else words
