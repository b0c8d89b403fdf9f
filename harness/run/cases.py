"""Cases: which scenario is run by whom, and what a machine lacks for it. Imports nothing that needs a lab."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from canet.harness.participants import recipe
from canet.scenarios.model import SUBJECTS, Scenario, Step, implementation_of


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario's variant, and who plays its servers."""

    scenario: Scenario
    subject: str

    @property
    def id(self) -> str:
        """``theme/name[variant]@subject``; stable."""
        return f"{self.scenario.key}@{self.subject}"


def cases(scenarios: Iterable[Scenario], subjects: Sequence[str] = (), *, packets_only: bool = False) -> Iterator[Case]:
    """Yield the cases of scenarios.

    Args:
        scenarios: variants.
        subjects: who plays the servers; empty: each that the scenario speaks about. An implementation stands for
            all its subjects (``canet``, ``caproto``).
        packets_only: leave the clients out, and with them what is expected of them.
    """
    for scenario in scenarios:
        wanted = scenario.subjects
        if subjects:
            wanted = tuple(each for name in subjects for each in expand(name))
        for subject in dict.fromkeys(wanted):
            yield Case(without_clients(scenario) if packets_only else scenario, subject)


def speaks_about(case: Case) -> bool:
    """Say whether a scenario names a case's implementation, on whichever backend, or names none and means any."""
    named = case.scenario.speaks_about
    return not named or implementation_of(case.subject) in map(implementation_of, named)


def shown_by_packets(scenario: Scenario) -> bool:
    """Say whether packets alone show something of a scenario.

    They do if something is expected of a probe or a step, and no client stays: a watched one is an actor itself.
    """
    return bool(without_clients(scenario).expectations) and all(each.do != "watch" for each in scenario.steps)


def expand(name: str) -> tuple[str, ...]:
    """Return the subjects that a name stands for.

    Raises:
        ValueError: no implementation is called so.

    >>> expand("canet"), expand("caproto-trio")
    (('asyncio', 'curio', 'trio', 'mix'), ('caproto-trio',))
    """
    if name == "canet":
        return SUBJECTS
    if name in (*SUBJECTS, *recipe.PEERS):
        return (name,)
    found = tuple(each for each in recipe.PEERS if each.startswith(f"{name}-"))
    if not found:
        known = ("canet", *SUBJECTS, "caproto", *recipe.PEERS)
        raise ValueError(f"no implementation is called {name!r}; there are {', '.join(known)}")
    return found


def without_clients(scenario: Scenario) -> Scenario:
    """Return a scenario that only sends packets."""
    names: set[object] = {each.name for each in scenario.clients}
    names |= {each.args["label"] for each in scenario.steps if each.target in names and "label" in each.args}
    clients = {each.name for each in scenario.clients}
    return replace(
        scenario,
        clients=(),
        steps=tuple(each for each in scenario.steps if each.target not in clients),
        expectations=tuple(each for each in scenario.expectations if each.subject not in names),
    )


def with_clients(scenario: Scenario, implementations: Sequence[str]) -> Scenario:
    """Return a scenario in which each client is played by several implementations, one after the other."""
    known = {each.name: each for each in scenario.clients}
    clients = {
        name: tuple(replace(each, name=f"{name} by {kind}", implementation=kind) for kind in implementations)
        for name, each in known.items()
    }
    steps: list[Step] = []
    for step in scenario.steps:
        if step.do == "client" and step.target in clients:
            steps += [replace(step, target=each.name) for each in clients[step.target]]
        else:
            steps.append(step)
    return replace(
        scenario,
        clients=tuple(each for group in clients.values() for each in group),
        steps=tuple(steps),
        expectations=tuple(each for each in scenario.expectations if each.subject not in known),
    )


def lacking(case: Case) -> str | None:
    """Return the sentence that says what this machine lacks for a case, and how to get it."""
    scenario = case.scenario
    for part in recipe.parts_of(scenario.servers, scenario.clients, case.subject):
        sentence = recipe.missing(part)
        if sentence is not None:
            return sentence
    needs = [*scenario.needs]
    if any(each.uid is not None for each in scenario.servers) or any(each.uid is not None for each in scenario.clients):
        needs.append("uids")
    return next((sentence for each in needs if (sentence := need(each)) is not None), None)


def need(name: str) -> str | None:
    """Return the sentence that says how to get something that is needed; ``None`` if it is there.

    Args:
        name: ``root``, ``uids``, or a package's part (``rsrv``, ``libca`` …); what is not known counts as there.
    """
    return recipe.missing(name) if name in recipe.PARTS else _NEEDS.get(name, lambda: None)()


def _needs_root() -> str | None:
    mapped = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
    if os.geteuid() == 0 and mapped[:2] == ["0", "0"]:
        return None
    return "needs root outside of a user namespace: run it as root"


def _needs_uids() -> str | None:
    ranges = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    if sum(int(line.split()[2]) for line in ranges) > 1:
        return None
    return "needs a second user id, which a user namespace of an ordinary user does not have: run it as root"


_NEEDS: dict[str, Callable[[], str | None]] = {"root": _needs_root, "uids": _needs_uids}
