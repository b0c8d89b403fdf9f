"""Expectations against observations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canet.harness.observation import ClientSeen, ClientTry, Connection, Observation, ProbeSeen, Reply, Shot
from canet.harness.verdict.verdict import judge
from canet.netns.topology import Topology
from canet.scenarios.model import Expectation, Outcome, Scenario


def reply(server: str, port: int = 5064) -> Reply:
    return Reply(time=0.0, server=server, address="10.1.0.2:5064", announced=f"10.1.0.2:{port}", pvs=(f"{server}:x",))


def shot(source: str, *servers: str) -> Shot:
    return Shot(source=source, received=servers, replies=tuple(reply(each, ord(each[-1])) for each in servers))


def outcome(expectation: Expectation, **seen: object) -> tuple[str, list[bool | None], str]:
    """Judge one expectation; return the outcome, what each check says, and the first reason."""
    scenario = Scenario(id="t/t", title="", story="", topology=Topology(), expectations=(expectation,))
    observation = Observation(scenario="t/t[broken]", subject="asyncio", **seen)  # type: ignore[arg-type]
    verdict = judge(scenario, observation)
    return verdict.outcome, [each.holds for each in verdict.checks], next((c.why for c in verdict.checks), "")


@pytest.mark.parametrize(
    ("text", "shots", "holds"),
    [
        ("all of a, b", [shot("p1", "a", "b"), shot("p2", "b", "a")], True),
        ("all of a, b", [shot("p1", "a", "b"), shot("p2", "b")], False),
        ("all of a, b", [shot("p1", "a", "b", "c")], False),
        ("only a", [shot("p1", "a")], True),
        ("one of a, b", [shot("p1", "a"), shot("p1", "a")], True),
        ("one of a, b", [shot("p1", "a"), shot("p1", "b")], False),
        ("one of a, b", [shot("p1", "a", "b")], False),
        ("one of a, b", [shot("p1")], False),
        ("one of a, b, spread", [shot("p1", "a"), shot("p2", "b")], True),
        ("one of a, b, spread", [shot("p1", "a"), shot("p2", "a")], False),
        ("some of a, b", [shot("p1", "a"), shot("p2", "a", "b")], True),
        ("some of a, b", [shot("p1")], False),
        ("none", [shot("p1"), shot("p2")], True),
        ("none", [shot("p1"), shot("p2", "a")], False),
        ("none", [], None),
    ],
)
def test_an_outcome_is_a_set_for_each_datagram(text: str, shots: list[Shot], holds: bool | None) -> None:
    """Each kind of outcome accepts its sets and no others; a probe without datagrams proves nothing."""
    seen = ProbeSeen(name="p", shots=tuple(shots))
    for expectation in (
        Expectation(subject="p", received=Outcome.parse(text)),
        Expectation(subject="p", answered=Outcome.parse(text)),
    ):
        assert outcome(expectation, probes=(seen,))[1] == [holds]


def test_what_is_not_proven_is_not_a_pass() -> None:
    """Without a sentinel, or with lost frames, only what must not be there can be judged."""
    right = Expectation(subject="p", received=Outcome.parse("only a"))
    late = ProbeSeen(name="p", shots=(shot("p1", "a"),), sentinel=False)
    assert outcome(right, probes=(late,))[:2] == ("error", [None])
    proven = ProbeSeen(name="p", shots=(shot("p1", "a"),))
    assert outcome(right, probes=(proven,), dropped=3) == (
        "error",
        [None],
        "the capture lost 3 frames, so it proves no absence",
    )
    assert outcome(Expectation(subject="p", received=Outcome.parse("none")), probes=(late,))[:2] == ("fails", [False])
    assert outcome(Expectation(subject="q", received=Outcome.parse("none")))[:2] == ("error", [None])


def test_connections_belong_to_the_datagrams_that_led_to_them() -> None:
    """A server counts as connected where its reply led to a connection that read the PV."""
    seen = ProbeSeen(
        name="p",
        shots=(shot("p1", "a"), shot("p2", "b")),
        connections=(
            Connection(server="a", address=f"10.1.0.2:{ord('a')}", pv="a:x", value=1.0),
            Connection(server="b", address=f"10.1.0.2:{ord('b')}", pv="b:x", error="refused"),
        ),
    )
    wanted = Expectation(subject="p", connects=Outcome.parse("one of a, b"))
    assert outcome(wanted, probes=(seen,))[:2] == ("fails", [False])
    assert outcome(Expectation(subject="p", connects=Outcome.parse("some of a, b")), probes=(seen,))[1] == [False]


def test_a_reply_may_answer_twice() -> None:
    """A server that gets a search twice answers once or twice, as it reads them, and both are the same."""
    once = Reply(time=0.0, server="a", address="10.1.0.2:5064", announced="10.1.0.2:5064", pvs=("x", "y"))
    twice = replace(once, pvs=("x", "y", "x", "y"))
    for replies in ((once, once), (twice,)):
        seen = (ProbeSeen(name="p", shots=(Shot(source="1", received=("a",), replies=replies),)),)
        assert outcome(Expectation(subject="p", replies=2), probes=seen)[1] == [True]
        assert outcome(Expectation(subject="p", replies=1), probes=seen)[1] == [False]


def test_addresses_and_numbers_of_replies() -> None:
    """Addresses match with or without a port; each must be seen and no other."""
    seen = (ProbeSeen(name="p", shots=(shot("p1", "a"), shot("p2", "a", "b"))),)
    for wanted, holds in (("10.1.0.2",), True), (("10.1.0.2:5064",), True), (("10.1.0.2", "10.1.0.3"), False):
        assert outcome(Expectation(subject="p", reply_from=wanted), probes=seen)[1] == [holds]
    assert outcome(Expectation(subject="p", replies=1), probes=seen)[1] == [False]
    assert outcome(Expectation(subject="p", replies=1), probes=(ProbeSeen(name="p", shots=(shot("x", "a"),)),))[1] == [
        True
    ]


def test_clients_are_judged_by_try() -> None:
    """What a client read and where it connected is a set for each try; what it said and searched is as well."""
    first = ClientTry(connected={"a:x": "h:1"}, servers={"a:x": "a"}, values={"a:x": 1.0}, missing=(), output="hello")
    second = ClientTry(connected={}, servers={"b:x": "b"}, values={"b:x": 1.0}, missing=("a:x",))
    seen = (ClientSeen(name="c", tries=(first, second), searched=("10.1.0.255:5064",)),)
    one = Outcome.parse("one of a, b, spread")
    assert outcome(Expectation(subject="c", connects=one), clients=seen)[1] == [True]
    reads = Outcome.parse("one of a:x, b:x, spread")
    assert outcome(Expectation(subject="c", reads=reads, says="^hel+o$"), clients=seen)[1] == [True, True]
    assert outcome(Expectation(subject="c", says="bye"), clients=seen)[1] == [False]
    assert outcome(Expectation(subject="c", silent=True), clients=seen)[1] == [False]
    assert outcome(Expectation(subject="c", searches_to=("10.1.0.255",)), clients=seen)[1] == [True]


def test_other_measures_have_judges() -> None:
    """A measure is judged by its name; one that nobody took cannot be judged."""
    wanted = Expectation(subject="s", extra={"beacons_from": ["10.1.0.2"], "reconnects_within": 2.0})
    seen = {"s": {"beacons_from": ["10.1.0.2:43210"], "reconnects_within": 1.5}}
    assert outcome(wanted, measures=seen)[1] == [True, True]
    late = {"s": {"beacons_from": ["10.1.0.2:43210"], "reconnects_within": None}}
    assert outcome(wanted, measures=late)[1] == [True, False]
    assert outcome(Expectation(subject="s", extra={"new": 1}), measures=seen)[1] == [None]
