"""Predictions against observations: what fits passes, what differs is named."""

from __future__ import annotations

from dataclasses import replace

from canet.harness.observation import ClientSeen, ClientTry, Observation
from canet.harness.predict import Sure, predict
from canet.harness.predict.agree import check, comparable
from canet.scenarios.model import Step

from .nets import iocs, pair, scenario

SCENARIO = scenario(pair(), *iocs(2), env={"EPICS_CA_ADDR_LIST": "10.1.0.2", "EPICS_CA_AUTO_ADDR_LIST": "NO"})


def seen(*pvs: str, searched: tuple[str, ...] = ("10.1.0.2:5064",)) -> Observation:
    """Return what a client saw in one try that read these PVs."""
    servers = {pv: pv.partition(":")[0] for pv in pvs}
    one = ClientTry(connected={}, servers=servers, values=dict.fromkeys(pvs, 1.0), missing=())
    client = ClientSeen(name="libca", tries=(one,), searched=searched)
    return Observation(scenario=SCENARIO.key, subject="asyncio", clients=(client,))


def failing(observation: Observation) -> list[str]:
    return [each.measure for each in check(SCENARIO, predict(SCENARIO), observation) if each.holds is False]


def test_one_of_two_agrees() -> None:
    """Either PV may be read, but exactly one."""
    assert failing(seen("ioc1:x")) == []
    assert failing(seen("ioc2:x")) == []
    assert failing(seen("ioc1:x", "ioc2:x")) == ["prediction of reads", "prediction of connects"]
    assert "prediction of reads" in failing(seen())


def test_other_destinations_differ() -> None:
    """A client that searches elsewhere is told."""
    assert failing(seen("ioc1:x", searched=("10.1.0.255:5064",))) == ["prediction of searches_to"]


def test_what_follows_a_change_is_not_compared() -> None:
    """After a step that changes servers or network nothing is compared."""
    steps = (Step(do="kill", target="ioc1"), Step(do="client", target="libca"))

    assert comparable(SCENARIO) == {"libca"}
    assert comparable(replace(SCENARIO, steps=steps)) == frozenset()


def test_sets_of_certain_and_lucky_names() -> None:
    """The outcome of what is certain and what is luck."""
    assert str(Sure(always=frozenset("ab")).outcome()) == "all of a, b"
    assert str(Sure(maybe=frozenset("ab"), picks=(frozenset("ab"),)).outcome()) == "one of a, b, spread"
    assert str(Sure(always=frozenset("a"), maybe=frozenset("b")).outcome()) == "some of a, b"
    assert str(Sure().outcome()) == "none"
