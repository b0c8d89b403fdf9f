"""Predictions against observations: what is compared, what differs, and what is known to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canet.harness.observation import Check, Observation
from canet.harness.predict import Happening, Hearing, Prediction, Standing
from canet.harness.proof import agreement, deviations
from canet.scenarios.library import all_scenarios
from canet.scenarios.model import Scenario
from tests.harness.places import LAN

SCENARIO = Scenario(id="t/t", title="t", story="", topology=LAN)
PREDICTION = Prediction(
    scenario=SCENARIO.key,
    subject="asyncio",
    hearings=(Hearing(label="heard", may=frozenset({"10.1.0.2"}), some=True),),
    happenings=(Happening(label="found", happens=True),),
)


def compared(prediction: Prediction = PREDICTION, **measures: dict[str, object]) -> list[tuple[str, bool | None]]:
    """Compare with what steps measured, and return who agrees."""
    seen = Observation(scenario=SCENARIO.key, subject="asyncio", measures=measures)
    return [(each.subject, each.holds) for each in agreement.compare(SCENARIO, prediction, seen)]


def test_beacons_come_from_who_may_send_them() -> None:
    """Some of those that may come must, if any can; no other one may."""
    assert compared(heard={"beacons_from": ("10.1.0.2:5065",)}) == [("heard", True)]
    assert compared(heard={"beacons_from": ()}) == [("heard", False)]
    assert compared(heard={"beacons_from": ("10.1.0.2:5065", "10.1.0.9:1")}) == [("heard", False)]
    nobody = replace(PREDICTION, hearings=(Hearing(label="heard", may=frozenset(), some=False),))
    assert compared(nobody, heard={"beacons_from": ()}) == [("heard", True)]
    assert compared(nobody, heard={"beacons_from": ("10.1.0.2:5065",)}) == [("heard", False)]


def test_what_was_waited_for_happens_or_not() -> None:
    """The model's word is the run's."""
    assert compared(found={"happens": True}) == [("found", True)]
    assert compared(found={"happens": False}) == [("found", False)]


def test_a_server_comes_up_on_the_sockets_that_the_model_says() -> None:
    """Whether it starts, and which search sockets it has, are two checks; one that is down has none."""
    up = Prediction(
        scenario=SCENARIO.key,
        subject="asyncio",
        standings=(Standing(name="ioc", starts=True, sockets=frozenset({"0.0.0.0:5064"})),),
    )
    assert compared(up, ioc={"starts": True, "sockets": ("0.0.0.0:5064",)}) == [("ioc", True), ("ioc", True)]
    assert compared(up, ioc={"starts": True, "sockets": ("10.1.0.2:5064",)}) == [("ioc", True), ("ioc", False)]
    assert compared(up, ioc={"starts": False, "sockets": ()}) == [("ioc", False)]
    assert compared(up, other={"starts": True}) == []


def test_what_is_not_modelled_or_was_not_run_is_not_compared() -> None:
    """Silence is no agreement."""
    unknown = replace(
        PREDICTION,
        hearings=(replace(PREDICTION.hearings[0], unknown="why"),),
        happenings=(replace(PREDICTION.happenings[0], unknown="why"),),
    )
    assert compared(unknown, heard={"beacons_from": ()}, found={"happens": False}) == []
    assert compared() == []


def test_a_known_deviation_passes_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its reason; when model and kernel agree again, its entry has to go."""
    monkeypatch.setattr(deviations, "DEVIATIONS", {(SCENARIO.key, "found"): "the kernel of that day"})
    seen = Observation(scenario=SCENARIO.key, subject="asyncio", measures={"found": {"happens": False}})
    (check,) = agreement.compare(SCENARIO, PREDICTION, seen)
    assert (check.holds, check.why) == (True, "known: the kernel of that day")

    seen = replace(seen, measures={"found": {"happens": True}})
    (check,) = agreement.compare(SCENARIO, PREDICTION, seen)
    assert isinstance(check, Check)
    assert check.holds is False


def test_known_deviations_are_of_the_library() -> None:
    """Each names a scenario that there is, and why."""
    keys = {each.key for each in all_scenarios()}

    assert {key for key, _ in deviations.DEVIATIONS} <= keys
    assert all(deviations.DEVIATIONS.values())
