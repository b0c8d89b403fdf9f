"""No scenario passes for the wrong reason: with its decisive setting turned back, each fix fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from canet.harness.lab import lab
from canet.harness.run.cases import Case, lacking, without_clients
from canet.harness.verdict import verdict
from canet.scenarios import library
from canet.scenarios.model import Scenario, implementation_of
from tests.harness.places import need_namespaces


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    need_namespaces()


def fixes() -> Iterator[tuple[Scenario, Scenario]]:
    """Yield each fix of a broken scenario, with its base; a healthy near miss is a control and proves nothing."""
    base = library.all_scenarios()[0]
    for each in library.all_scenarios():
        if each.id != base.id:
            base = each
        elif base.cause and not each.cause and not each.variant_title.startswith("near miss"):
            yield base, each


def turned_back(base: Scenario, fix: Scenario) -> Scenario:
    """Return a fix that is set up like the broken base again, and still expects success."""
    if (base.topology, base.servers, base.clients) == (fix.topology, fix.servers, fix.clients):
        # The cure is in what happens: the steps or the probes.
        known = {each.subject for each in base.expectations}
        kept = tuple(each for each in fix.expectations if each.subject in known)
        return replace(base, expectations=kept, speaks_about=fix.speaks_about)
    before = {each.name: each for each in base.clients}
    names = {*(s.name for s in base.servers), *(c.name for c in fix.clients), *(p.name for p in fix.probes)}
    possible = {each.target for each in base.steps} <= {*names, None}
    same_probes = [each for each in fix.steps if each.do == "probe"] == [s for s in base.steps if s.do == "probe"]
    same_labels = labels(fix) <= labels(base)
    return replace(
        fix,
        topology=base.topology,
        servers=base.servers,
        clients=tuple(before.get(each.name, each) for each in fix.clients),
        steps=base.steps if possible and same_probes and same_labels else fix.steps,
    )


def labels(scenario: Scenario) -> set[object]:
    """Return the labels of the steps."""
    return {each.args["label"] for each in scenario.steps if "label" in each.args}


FIXES = list(fixes())


@pytest.mark.parametrize(("base", "fix"), FIXES, ids=[fix.key for _base, fix in FIXES])
def test_a_fix_fails_without_its_decisive_setting(base: Scenario, fix: Scenario) -> None:
    """What cures is what the variant says, for at least one of the implementations that it speaks about."""
    undone = turned_back(base, fix)
    first = {implementation_of(subject): subject for subject in reversed(fix.subjects)}
    skips, seen = list[str](), list[str]()
    for subject in (first[name] for name in dict.fromkeys(map(implementation_of, fix.subjects))):
        if (missing := lacking(Case(undone, subject))) is not None:
            skips.append(missing)
            continue
        # Most fail by their packets alone, which takes a tenth of the time that clients wait in vain.
        for each in (without_clients(undone), undone):
            judged = verdict.judge(each, lab.run(each, subject))
            if judged.outcome == "fails":
                return
        seen.append(f"{subject}: {judged.outcome} {judged.reason}".strip())
    if not seen:
        pytest.skip("; ".join(skips))
    pytest.fail(f"{fix.key} set up like {base.key} does not fail, so it proves nothing ({'; '.join(seen)})")
