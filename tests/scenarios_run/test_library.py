"""Every scenario file of the library, run in a lab: each variant with each of its implementations is a test.

A statement about servers on one host is run with every backend; other scenarios take canet's backends in turn, so
that all are used, and each other implementation that they speak about. ``canet run --all`` runs every combination.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from canet.harness.participants.recipe import BACKENDS
from canet.harness.pytest_plugin import CaseFailed, run_case
from canet.harness.run.cases import Case
from canet.scenarios.library import all_scenarios
from canet.scenarios.model import SUBJECTS, SUBJECTS_OF


def chosen() -> Iterator[Case]:
    """Yield the cases that are run here."""
    turn = 0
    for scenario in all_scenarios():
        every = "statement" in scenario.tags
        for implementation in scenario.speaks_about or ("canet",):
            turn += 1
            if implementation == "canet":
                subjects = SUBJECTS if every else (BACKENDS[turn % 3],)
            else:
                known = SUBJECTS_OF.get(implementation, (implementation,))
                subjects = (known[turn % len(known)],)
            for subject in subjects:
                yield Case(scenario, subject)


@pytest.mark.parametrize("case", [pytest.param(each, id=each.id) for each in chosen()])
def test_scenario(case: Case, request: pytest.FixtureRequest) -> None:
    """What the scenario expects is what the kernel, the servers and the clients do."""
    try:
        run_case(case, request.config)
    except CaseFailed as failed:
        pytest.fail(str(failed), pytrace=False)
