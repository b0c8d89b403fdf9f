"""The measures of the harness itself: what they run does run, and what is missed is said."""

import time
from dataclasses import replace

import pytest

from canet.harness.bench import items, lab
from canet.harness.bench.waits import WAITS, waits
from canet.harness.lab.outputs import Outputs
from canet.harness.run import run
from canet.harness.run.cases import Case, without_clients
from canet.scenarios.library import find


def test_items_are_run() -> None:
    """Each file is an item that passes."""
    assert items.run(2) > 0


def test_items_that_fail_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure of items that do not do what they should is no figure."""
    monkeypatch.setattr(items, "ITEM", items.ITEM.replace("all of ioc1, ioc2, ioc3", "only ioc1"))

    with pytest.raises(items.ItemsError, match="1 failed"):
        items.run(1)


def test_waits_for_participants_are_noted() -> None:
    """A scenario waits for its servers, and not all the time."""
    case = Case(without_clients(find("broadcast_reaches_all")[0]), "asyncio")

    own, whole = lab.own_part(case, 1)

    assert 0 < own < whole


def test_nothing_is_noted_afterwards() -> None:
    """The functions that were watched are the real ones again."""
    before = [getattr(owner, name) for owner, name in WAITS]
    outputs = Outputs()
    with waits() as noted:
        outputs.wait(lambda: False, time.monotonic())
    outputs.wait(lambda: False, time.monotonic())
    outputs.close()

    assert len(noted) == 1
    assert [getattr(owner, name) for owner, name in WAITS] == before


def test_run_that_does_not_hold_gives_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the measurement by the name of its case."""
    case = Case(without_clients(find("broadcast_reaches_all")[0]), "asyncio")
    seen = run.run_case(case)
    monkeypatch.setattr(run, "run_case", lambda _case: replace(seen, verdict=replace(seen.verdict, outcome="fails")))

    with pytest.raises(SystemExit, match="broadcast_reaches_all"):
        lab.hold(case)
