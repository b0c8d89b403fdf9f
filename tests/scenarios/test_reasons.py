"""No scenario passes for the wrong reason: what a variant expects fails where its decisive setting is another one.

A fix is set up like the broken variant again, the broken variant and the near misses like a fix. What every run of the
library shows, that expectations hold, says little without that: they might hold whatever is set.
"""

from __future__ import annotations

import itertools
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


ALONE: dict[str, str] = {
    "several_servers_on_one_host/broadcast_reaches_all": "ioc3",
    "several_servers_on_one_host/ioc_start_race_5064": "ioc12",
    "several_servers_on_one_host/own_tcp_port_each": "ioc3",
}
"""Scenarios of one variant → the server that is taken off the port that all share there."""

INSTEAD: dict[str, str] = {
    # Beacons are another matter than searches, with a fault and a cure of their own.
    "interfaces_addresses_routes/no_default_route[beacons]": "beacons-listed",
    "interfaces_addresses_routes/no_default_route[beacons-listed]": "beacons",
    # As with the router in the group everybody may write, so that it fails only like the base.
    "containers_and_nat/nat_client_and_access_security[by-name]": "broken",
    # Without the short time-out nobody finds out so soon whether the server was restarted.
    "beacons_and_reconnection/sleep_stale_circuits[asleep-only]": "short-timeout",
}
"""Key of a variant → the one that it fails like, where that is not the one that :func:`pairs` would take."""
LEFT_OUT: dict[str, str] = {}
"""Key of a variant → why nothing can be turned back in it."""


def pairs() -> Iterator[tuple[Scenario, Scenario]]:
    """Yield each variant with each other one whose set-up must fail it.

    What is broken fails like each fix, a fix like the broken base. Where nothing is broken at first, healthy variants
    fail like those with a cause; where nothing is broken at all, the variants fail like each other.
    """
    for _id, group in itertools.groupby(library.all_scenarios(), lambda each: each.id):
        base, *others = group
        if not others:
            yield base, off_the_port(base, ALONE[base.id])
        variants = [each for each in (base, *others) if each.key not in LEFT_OUT]
        causes = [each for each in variants if each.cause]
        healthy = [each for each in variants if not each.cause]
        cures = [e for e in healthy if not e.variant_title.startswith("near miss") and e.key not in INSTEAD]
        for each in variants:
            if each.key in INSTEAD:
                against = [other for other in variants if other.variant == INSTEAD[each.key]]
            elif not causes:
                against = [other for other in variants if other is not each][:1]
            elif each is base:
                against = cures if each.cause else causes[:1]
            else:
                against = cures[:1] if each.cause else [base] if base.cause else causes[:1]
            yield from ((each, other) for other in against)


def off_the_port(scenario: Scenario, name: str) -> Scenario:
    """Return a scenario in which one server has a port of its own."""
    servers = (
        replace(each, env={**each.env, "EPICS_CAS_SERVER_PORT": "5066"}) if each.name == name else each
        for each in scenario.servers
    )
    return replace(scenario, servers=tuple(servers), variant=f"{name}-elsewhere")


def set_up_like(other: Scenario, variant: Scenario) -> Scenario:
    """Return a variant that is set up like another one of its scenario, and still expects the same."""
    if (other.topology, other.servers, other.clients) == (variant.topology, variant.servers, variant.clients):
        # What is decisive is what happens: the steps or the probes.
        known = {each.subject for each in other.expectations}
        kept = tuple(each for each in variant.expectations if each.subject in known)
        return replace(other, expectations=kept, speaks_about=variant.speaks_about)
    theirs = {each.name: each for each in other.clients}
    clients = {each.name: each for each in variant.clients} | theirs
    names = {*(s.name for s in other.servers), *clients, *(p.name for p in variant.probes)}
    possible = {each.target for each in other.steps} <= {*names, None}
    same_probes = [each for each in variant.steps if each.do == "probe"] == [s for s in other.steps if s.do == "probe"]
    expected = labels(variant) & {each.subject for each in variant.expectations}
    to_be_seen = not expected or expected & labels(other)
    if possible and same_probes and to_be_seen:
        return replace(
            variant, topology=other.topology, servers=other.servers, clients=tuple(clients.values()), steps=other.steps
        )
    mine = tuple(theirs.get(each.name, each) for each in variant.clients)
    return replace(variant, topology=other.topology, servers=other.servers, clients=mine)


def labels(scenario: Scenario) -> set[object]:
    """Return the labels of the steps."""
    return {each.args["label"] for each in scenario.steps if "label" in each.args}


PAIRS = list(pairs())


def test_every_variant_is_tried() -> None:
    """A variant that is left out says why."""
    tried = {each.key for each, _other in PAIRS}

    assert tried.isdisjoint(LEFT_OUT)
    assert tried | LEFT_OUT.keys() == {each.key for each in library.all_scenarios()}


@pytest.mark.parametrize(
    ("variant", "other"), PAIRS, ids=[f"{variant.key}-like-{other.variant}" for variant, other in PAIRS]
)
def test_it_fails_without_its_decisive_setting(variant: Scenario, other: Scenario) -> None:
    """What the variant expects depends on what it sets, for at least one implementation that it speaks about."""
    undone = set_up_like(other, variant)
    first = {implementation_of(subject): subject for subject in reversed(variant.subjects)}
    skips, seen = list[str](), list[str]()
    for subject in (first[name] for name in dict.fromkeys(map(implementation_of, variant.subjects))):
        if (missing := lacking(Case(undone, subject))) is not None:
            skips.append(missing)
            continue
        # Most fail by their packets alone, which takes a tenth of the time that clients wait in vain.
        alone = [] if any("client" in step.args for step in undone.steps) else [without_clients(undone)]
        for each in (*alone, undone):
            judged = verdict.judge(each, lab.run(each, subject))
            if judged.outcome == "fails":
                return
        seen.append(f"{subject}: {judged.outcome} {judged.reason}".strip())
    if not seen:
        pytest.skip("; ".join(skips))
    pytest.fail(f"{variant.key} set up like {other.key} does not fail, so it proves nothing ({'; '.join(seen)})")
