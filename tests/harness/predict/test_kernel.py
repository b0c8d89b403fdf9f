"""The model against this kernel: random networks, and the cases on which they once disagreed."""

from __future__ import annotations

from pathlib import Path

import pytest

from canet.harness.proof import selfcheck
from canet.harness.proof.selfcheck import check, check_case, kept
from canet.netns import enter

CASES = dict(kept(Path(__file__).parent / "cases"))
FIRST = 5_000_000
BATCH = 15
BATCHES = 20


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    enter()


@pytest.mark.parametrize("name", CASES)
def test_kept_case(name: str) -> None:
    """A case on which model and kernel once disagreed."""
    case = CASES[name]
    if selfcheck.needs_users(case) and not selfcheck.several_users():
        pytest.skip("needs root: sockets of several users take part")

    assert check_case(case) == []


@pytest.mark.parametrize("number", range(BATCHES))
def test_random_networks(number: int) -> None:
    """Model and kernel agree in random networks with random sockets and searches."""
    first = FIRST + number * BATCH
    outcome = check(range(first, first + BATCH), selfcheck.several_users())

    assert [(each.seed, each.what) for each in outcome.differences] == []
    assert outcome.compared > BATCH // 2


RARE = {
    "fragment_without_ports": "firewall-fragment",
    "queue_is_full": "connect-full",
    "seed_20265563": "martian-broadcast",
    "seed_300425": "rp-filter-no-address",
    "share_of_packets": "firewall-chance",
    "source_of_nobody": "martian-source",
}
"""Kept case → the rule that random networks seldom touch and that it is kept for."""


@pytest.mark.parametrize("name", RARE)
def test_kept_cases_touch_what_is_rare(name: str) -> None:
    """The kernel has its say about these rules, too."""
    rules: set[str] = set()

    assert check_case(CASES[name], rules) == []
    assert RARE[name] in rules
