"""The self-check: what it counts, how it shrinks, what it keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from canet.harness.predict.cases import Case
from canet.harness.predict.generate import generate
from canet.harness.proof import selfcheck
from canet.netns import NetworkError, enter


def test_cases_are_counted_and_agree() -> None:
    """A few cases are compared, and their rules are told."""
    enter()
    outcome = selfcheck.run(6, 123, jobs=1)

    assert outcome.cases == 6
    assert outcome.differences == []
    assert outcome.rules


def test_shrinking_leaves_what_matters() -> None:
    """A difference that hangs on one shot is shrunk to it."""
    case = generate(11)
    wanted = case.shots[3]

    def differs(part: Case) -> list[str]:
        return ["yes"] if wanted in part.shots else []

    small = selfcheck.shrink(case, differs)
    assert small.shots == (wanted,)
    assert small.sockets == ()


def test_differences_are_kept_as_cases(tmp_path: Path) -> None:
    """What is kept is read back."""
    case = generate(12)
    selfcheck.keep(selfcheck.Difference(12, case, ["x"]), tmp_path)

    assert selfcheck.kept(tmp_path) == [("seed_12", case)]


def test_outcomes_add_up() -> None:
    """Batches are summed."""
    one, other = (
        selfcheck.Outcome(cases=2, shots=3, unbuildable={7: "x"}),
        selfcheck.Outcome(cases=1, unbuildable={8: "x"}),
    )
    one.add(other)

    assert (one.cases, one.compared, one.unbuildable) == (3, 1, {7: "x", 8: "x"})


def test_network_rules_leave_channel_access_out() -> None:
    """Coverage is about networks."""
    rules = selfcheck.network_rules()

    assert "rp-filter-strict" in rules
    assert "list-explicit" not in rules


def test_networks_with_one_user_instead_of_several_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has one user id is told what that leaves out; who has several is told nothing."""
    monkeypatch.setattr(selfcheck, "check_case", lambda *_: [])
    seeds = range(1, 31)
    several = sum(selfcheck.needs_users(generate(seed)) for seed in seeds)

    assert several > 0
    assert selfcheck.check(seeds, users=False).single == several
    assert selfcheck.check(seeds, users=True).single == 0
    assert not any(selfcheck.needs_users(generate(seed, users=False)) for seed in seeds)


@pytest.mark.parametrize(("failures", "unbuildable"), [(2, {}), (3, {1: "the machine is busy"})])
def test_a_network_that_is_not_built_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, failures: int, unbuildable: dict[int, str]
) -> None:
    """What fails three times is counted with its reason, and compares nothing."""
    tried = iter(range(10))

    def check_case(*_: object) -> list[str]:
        if next(tried) < failures:
            raise NetworkError("net: the machine is busy")
        return []

    monkeypatch.setattr(selfcheck, "check_case", check_case)
    outcome = selfcheck.run(1, 1, jobs=1)

    assert outcome.unbuildable == unbuildable
    assert (outcome.cases, outcome.compared) == (1, 1 - len(unbuildable))
