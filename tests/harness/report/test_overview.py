"""One table of several scenarios: who saw the same, in a word or two."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canet.harness.observation import ClientSeen, ClientTry, Observation, ProbeSeen, Reply, Shot, Verdict
from canet.harness.report import overview
from canet.harness.run.cases import Case
from canet.harness.run.run import Result
from canet.harness.verdict import wording
from tests.harness.places import BROADCAST, asking, changed

TWO = changed(clients=(asking("libca"),))


def probe(*shots: tuple[str, str], error: str | None = None) -> ProbeSeen:
    """Return what a probe saw: source port, and the one-letter names of those who answered, without blanks between."""

    def reply(server: str) -> Reply:
        return Reply(time=0.0, server=server, address="10.1.0.2:5064", announced="10.1.0.2:1", pvs=("x",))

    return ProbeSeen(
        name="all",
        shots=tuple(
            Shot(source=source, received=tuple(who), replies=tuple(map(reply, who)), error=error)
            for source, who in shots
        ),
    )


def result(subject: str, seen: ProbeSeen, *read: tuple[int, ...], key: str = "broken") -> Result:
    """Return what a subject saw, with the numbers of PVs that each client read in its tries."""

    def a_try(number: int) -> ClientTry:
        return ClientTry(values=dict.fromkeys(map(str, range(number)), 1.0), connected={}, servers={}, missing=())

    clients = tuple(
        ClientSeen(name=name, tries=tuple(map(a_try, tries)))
        for name, tries in zip(("libca by libca", "libca by canet"), read, strict=False)
    )
    scenario = replace(TWO, variant=key)
    observation = Observation(scenario=scenario.key, subject=subject, probes=(seen,), clients=clients)
    return Result(
        Case(scenario, subject), Verdict(scenario=scenario.key, subject=subject, outcome="holds"), observation
    )


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (probe(), "not sent"),
        (probe(("1", ""), error="ENETUNREACH"), "ENETUNREACH"),
        (probe(("1", ""), ("2", "")), "none"),
        (probe(("1", "abc"), ("2", "cba")), "all"),
        (probe(("1", "a"), ("2", "b")), "one of 3"),
        (probe(("1", "a"), ("1", "a")), "one of 3"),
        (probe(("1", "c"), ("2", "c")), "always c"),
        (probe(("1", "ca"), ("2", "ca")), "a, c"),
        (probe(("1", "ab"), ("2", "bc")), "2 of 3"),
        (probe(("1", ""), ("2", "a")), "0 to 1 of 3"),
    ],
)
def test_a_probe_in_a_word(seen: ProbeSeen, word: str) -> None:
    """What chance decides is left out: one source port, or the shares of several."""
    assert wording.probe_word(seen, ["a", "b", "c"]) == word


def test_cells() -> None:
    """Received, answered and reached share a word where they can; clients tell how much they read."""
    found = overview.cells(result("trio", probe(("1", "ab")), (2, 2), (0, 1)))
    assert list(found.values()) == ["all / all / none", "2 of 2", "0 to 1 of 2"]
    assert overview.cells(result("trio", probe(("1", ""))))[next(iter(found))] == "none"


def test_who_saw_the_same_shares_a_column_and_clients_a_row() -> None:
    """Rows that differ have a mark; one scenario in which they differ parts implementations in all."""
    groups = {
        "first": [
            result("asyncio", probe(("1", "ab")), (2,), (2,)),
            result("trio", probe(("1", "ab")), (2,), (2,)),
            result("rsrv", probe(("1", "ab")), (2,), (2,)),
        ],
        "second": [
            result("asyncio", probe(("1", "")), (0,), (1,), key="x"),
            result("trio", probe(("1", "")), (0,), (1,), key="x"),
            result("rsrv", probe(("1", "ab")), (0,), (2,), key="x"),
        ],
    }
    every = [each for group in groups.values() for each in group]
    assert overview.columns(every) == (("asyncio", "trio"), ("rsrv",))

    lines = overview.table(groups).plain.splitlines()
    assert [line.split() for line in lines[:3]] == [["asyncio", "rsrv"], ["trio"], ["first"]]
    assert " ".join(lines[4].split()) == "libca by libca, canet 2 of 2 2 of 2"
    assert [line[0] for line in lines[6:]] == ["≠", " ", "≠"]
    assert "libca by canet" in lines[-1]


def test_what_was_not_run_says_so() -> None:
    """A missing peer is a row of its own."""
    skipped = Verdict(scenario="s", subject="rsrv", outcome="skipped", reason="rsrv is not installed")
    assert overview.cells(Result(Case(BROADCAST, "rsrv"), skipped, None)) == {"run": "skipped"}
