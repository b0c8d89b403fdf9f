"""How results are said: figures of statements, differences of implementations, recipes and cases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canet.harness.observation import (
    ClientSeen,
    ClientTry,
    Connection,
    Observation,
    Participant,
    ProbeSeen,
    Reply,
    Shot,
    Verdict,
)
from canet.harness.participants import recipe
from canet.harness.predict import predict
from canet.harness.proof import agreement
from canet.harness.report import showing
from canet.harness.report.comparison import rows, sentences
from canet.harness.report.statements import AGAINST_THE_DOCUMENTS, STATEMENTS, Statement, scenarios_of, sentence
from canet.harness.run import cases
from canet.harness.run.cases import Case
from canet.harness.run.run import Result, failed, with_agreement
from canet.harness.verdict import wording
from canet.scenarios.library import all_scenarios
from canet.scenarios.model import Client, Server
from tests.harness.places import BROADCAST, asking, changed


def probe(*shots: tuple[str, str], error: str | None = None) -> ProbeSeen:
    """Return what a probe saw: source port, and names of those who answered, without blanks between."""

    def reply(server: str) -> Reply:
        return Reply(time=0.0, server=server, address="10.1.0.2:5064", announced=f"10.1.0.2:{ord(server)}", pvs=("x",))

    return ProbeSeen(
        name="all",
        shots=tuple(
            Shot(source=source, received=tuple(names), replies=tuple(map(reply, names)), error=error)
            for source, names in shots
        ),
        connections=tuple(Connection(server=each, address=f"10.1.0.2:{ord(each)}", pv="x", value=1.0) for each in "ab"),
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (probe(("1", "ab"), ("2", "ab")), "all 2 answer"),
        (probe(("1", "a"), ("2", "b"), ("3", "b")), "exactly one of 2 answers; over 3 source ports 1/2"),
        (probe(("1", "a"), ("1", "a")), "exactly one of 2 answers, a 2 times of 2"),
        (probe(("1", "b"), ("2", "b")), "always b answers, over 2 source ports"),
        (probe(("1", ""), ("2", "")), "none of 2 answers"),
        (probe(("1", ""), ("2", "ab")), "0 of 2 1 times, 2 of 2 1 times"),
        (probe(("1", ""), error="ENETUNREACH"), "cannot be sent: ENETUNREACH"),
        (probe(), "nothing was sent"),
    ],
)
def test_probes_in_words(seen: ProbeSeen, words: str) -> None:
    """Who of how many answered, and how it was shared out."""
    assert wording.probe_words(seen, ["a", "b"]) == words


def test_clients_in_words() -> None:
    """How many of the PVs were read, in how many tries."""

    def tries(*counts: int) -> ClientSeen:
        each = [
            ClientTry(connected={}, servers={}, values={str(n): 1.0 for n in range(count)}, missing=())
            for count in counts
        ]
        return ClientSeen(name="c", tries=tuple(each))

    assert wording.client_words(tries(1, 1), ["x", "y"]) == "1 of 2 PVs in each of 2 tries"
    assert wording.client_words(tries(1, 2), ["x", "y"]) == "1/2 of 2 PVs in 2 tries"
    assert wording.client_words(tries(2), ["x", "y"]) == "2 of 2 PVs"


@pytest.mark.parametrize("statements", [STATEMENTS, AGAINST_THE_DOCUMENTS], ids=["one-host", "documents"])
def test_every_figure_of_a_statement_is_in_its_scenarios(statements: tuple[Statement, ...]) -> None:
    """The tables of statements name variants, probes, clients and steps that exist, and all have scenarios."""
    library = all_scenarios()
    assert [each.number for each in statements] == list(range(1, len(statements) + 1))
    for statement in statements:
        variants = {each.variant: each for each in scenarios_of(statement, library)}
        for figure in statement.figures:
            scenario = variants[figure.variant]
            names = [*(p.name for p in scenario.probes), *(c.name for c in scenario.clients)]
            names += [str(step.args.get("label")) for step in scenario.steps]
            assert figure.of in names, f"statement {statement.number}"


def test_what_documents_say_otherwise_is_shown_by_rsrv_and_libca() -> None:
    """Each of the five has its scenario, which speaks about rsrv, and a figure of libca; no scenario is left over."""
    shown = {each.id: each for statement in AGAINST_THE_DOCUMENTS for each in scenarios_of(statement, all_scenarios())}

    assert shown.keys() == {each.id for each in all_scenarios() if "against-the-documents" in each.tags}
    assert len(shown) == len(AGAINST_THE_DOCUMENTS) == 5
    for statement in AGAINST_THE_DOCUMENTS:
        variants = {each.variant: each for each in scenarios_of(statement, all_scenarios())}
        assert "rsrv" in variants["broken"].subjects
        clients = {(f.variant, c.name): c for f in statement.figures for c in variants[f.variant].clients}
        read = [clients[f.variant, f.of] for f in statement.figures if (f.variant, f.of) in clients]
        assert "libca" in {each.implementation for each in read}


@pytest.mark.parametrize(("heard", "words"), [((), "no beacon comes"), (("10.2.0.2",), "beacons come")])
def test_beacons_in_words(heard: tuple[str, ...], words: str) -> None:
    """Whether a step that listens for beacons has heard any."""
    scenario = next(e for e in all_scenarios() if e.key == "environment_variables/beacon_list_fallback[broken]")
    observation = Observation(scenario=scenario.key, subject="rsrv", measures={"heard": {"beacons_from": heard}})
    verdict = Verdict(scenario=scenario.key, subject="rsrv", outcome="holds")
    seen = Result(Case(scenario, "rsrv"), verdict, observation)

    assert sentence(AGAINST_THE_DOCUMENTS[3], [seen]) == f"EPICS_CA_ADDR_LIST: {words} to the client"


def result(subject: str, seen: ProbeSeen, *bound: str) -> Result:
    """Return a result of the broadcast scenario."""
    people = tuple(
        Participant(
            name=name,
            host="ioc",
            implementation=f"canet-{subject}" if subject == "asyncio" else subject,
            udp=bound,
            tcp=(f"0.0.0.0:{5064 + n}",),
        )
        for n, name in enumerate("ab")
    )
    observation = Observation(scenario="s", subject=subject, probes=(seen,), participants=people)
    verdict = Verdict(scenario="s", subject=subject, outcome="holds")
    return Result(Case(BROADCAST, subject), verdict, observation)


def test_differences_and_what_explains_them() -> None:
    """Implementations that saw the same stand together; the sockets that they have bound say why others differ."""
    some = [
        result("trio", probe(("1", "")), "10.1.0.2:5064"),
        result("rsrv", probe(("1", "ab")), "10.1.0.2:5064", "10.1.0.255:5064"),
        result("asyncio", probe(("1", "")), "10.1.0.2:5064"),
    ]
    answered = next(each for each in rows(some) if each.name.endswith("answered"))
    assert answered.seen == (("none of 2 answers", ("trio", "asyncio")), ("all 2 answer", ("rsrv",)))
    assert answered.differs
    words = list(sentences(some))
    assert "trio, asyncio: a, b on an own address (10.1.0.2:5064: unicasts only)." in words
    assert any("rsrv" in each and "broadcasts only" in each for each in words)
    assert list(sentences(some[:1])) == ["All see the same."]
    assert "UDP" not in sentence(STATEMENTS[1], some)


def test_a_prediction_that_differs_fails_a_case() -> None:
    """The model's sentence becomes a check; what it cannot know is not compared."""
    prediction = predict(BROADCAST, "asyncio")
    right = result("asyncio", probe(("1", "ab")))
    assert right.observation is not None
    agreed = agreement.compare(BROADCAST, prediction, right.observation)
    assert agreed
    assert all(each.holds for each in agreed)
    wrong = replace(right.observation, probes=(probe(("1", "a")),))
    checks = agreement.compare(BROADCAST, prediction, wrong)
    assert [each.measure for each in checks if not each.holds] == [
        "received (predicted)",
        "answered (predicted)",
        "connects (predicted)",
    ]
    assert with_agreement(right.verdict, checks).outcome == "fails"


def test_cases_of_scenarios() -> None:
    """Subjects are expanded, clients left out or multiplied, and unknown names told with those that exist."""
    scenario = changed(clients=(asking("libca"),))
    assert [each.subject for each in cases.cases([scenario])] == ["asyncio", "curio", "trio", "mix"]
    (only,) = cases.cases([scenario], ["rsrv"], packets_only=True)
    assert only.scenario.clients == ()
    assert only.id == "tests/broadcast[plain]@rsrv"
    assert cases.shown_by_packets(scenario)
    assert not cases.shown_by_packets(replace(scenario, expectations=()))
    many = cases.with_clients(scenario, ["libca", "canet"])
    assert [each.name for each in many.clients] == ["libca by libca", "libca by canet"]
    with pytest.raises(ValueError, match="caproto-trio"):
        cases.expand("nix")
    silent, named = (changed(speaks_about=each) for each in ((), ("caproto-asyncio",)))
    assert [cases.speaks_about(each) for each in cases.cases([silent, named], ["caproto-trio"])] == [True, True]
    assert [cases.speaks_about(each) for each in cases.cases([silent, named], ["rsrv"])] == [True, False]
    assert cases.need("root") is None or "root" in str(cases.need("root"))


def test_recipes_of_servers_and_clients() -> None:
    """Each implementation has a recipe; the backends take turns in a mix; unknown ones are told."""
    servers = [Server(name=str(n), host="h", pvs={"x": 1}) for n in range(4)]
    mixed = [recipe.server_recipe(each, "mix", n).implementation for n, each in enumerate(servers)]
    assert mixed == ["canet-asyncio", "canet-curio", "canet-trio", "canet-asyncio"]
    for subject in recipe.PEERS:
        made = recipe.server_recipe(servers[0], subject, 0)
        assert made.implementation == subject
        assert made.target is not None
    command = Server(name="c", host="h", implementation="command", command=("./st.cmd",), ready="iocRun")
    assert recipe.server_recipe(command, "trio", 0).argv == ("./st.cmd",)
    with pytest.raises(ValueError, match="is none of"):
        recipe.server_recipe(Server(name="c", host="h", implementation="nix"), "trio", 0)
    with pytest.raises(ValueError, match="is none of"):
        recipe.client_recipe(Client(name="c", host="h", implementation="nix"), ["x"])
    assert recipe.client_recipe(Client(name="c", host="h"), ["x"]).config["pvs"] == ["x"]


def test_a_result_tells_its_story() -> None:
    """The text of a failing case has the story, the checks, the messages and the participants."""
    bad = result("trio", probe(("1", "ab")))
    failing = replace(bad, verdict=replace(bad.verdict, outcome="error", reason="no more\nlines"))
    text = showing.story(failing)
    for words in (
        "A broadcast reaches both servers",
        "Two servers on one host",
        "error",
        "no more",
        "a (trio on ioc",
    ):
        assert words in text
    assert showing.complaints(failing) == ["tests/broadcast[plain]@trio: error: no more\nlines"]
    assert failed([failing])
    assert not failed([bad])
