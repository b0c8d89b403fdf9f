"""What of the library is compared with the model in each run, what is not, and why: counted without a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from canet.harness.participants.recipe import BACKENDS
from canet.harness.predict import Prediction, play
from canet.scenarios.model import SUBJECTS_OF, Scenario

OTHER = {
    "measure": "memory and descriptors of processes",
    "ports": "who holds a port",
    "register": "registrations with repeaters",
    "announce": "what repeaters hand on",
    "send": "bytes sent by hand",
    "tcp": "bytes sent by hand",
    "flood": "how many searches a server keeps up with",
    "forget": "when a kernel forgets a connection",
}
"""Steps that measure something of which the model says nothing → what it is."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that a run of a variant observes, and whether it is compared."""

    scenario: str
    """Key of the variant."""
    subject: str
    kind: str
    """``server``, ``probe``, ``client``, ``beacons``, ``wait``, or ``other``."""
    name: str
    unknown: str
    """Why it is not compared; "" where it is."""


@dataclass(slots=True)
class Coverage:
    """All moments of some variants."""

    moments: list[Moment] = field(default_factory=list)

    def count(self, kind: str | None = None) -> tuple[int, int]:
        """Return how many moments (of a kind) are compared, and how many there are."""
        mine = [each for each in self.moments if kind in (None, each.kind)]
        return sum(not each.unknown for each in mine), len(mine)

    def variants(self) -> tuple[int, int]:
        """Return how many variants have a moment that is compared, and how many there are."""
        return len({each.scenario for each in self.moments if not each.unknown}), len(
            {each.scenario for each in self.moments}
        )

    def reasons(self) -> dict[str, list[Moment]]:
        """Return the moments that are not compared, by reason."""
        found: dict[str, list[Moment]] = {}
        for each in self.moments:
            if each.unknown:
                found.setdefault(each.unknown, []).append(each)
        return found


KINDS = {
    "server": "servers: whether they come up, their sockets",
    "probe": "probes: received, answered, connects",
    "client": "clients: reads, connects",
    "beacons": "beacons: whose are heard",
    "wait": "waits: whether it happens",
    "other": "other measures of steps",
}
"""Kinds of moments, and what is compared of each."""


def cover(scenarios: Iterable[Scenario]) -> Coverage:
    """Predict variants with an implementation of each kind that they speak about, and list all that runs observe."""
    found = Coverage()
    for scenario in scenarios:
        for who in scenario.speaks_about or ("canet",):
            subject = BACKENDS[0] if who == "canet" else SUBJECTS_OF.get(who, (who,))[0]
            found.moments.extend(moments(scenario, play(scenario, subject, why=False)))
    return found


def moments(scenario: Scenario, told: Prediction) -> Iterator[Moment]:
    """Yield what a run of a variant observes."""
    key, subject = scenario.key, told.subject
    for standing in told.standings:
        yield Moment(key, subject, "server", standing.name, standing.unknown)
    for probe in told.probes:
        yield Moment(key, subject, "probe", probe.name, probe.unknown)
    for client in told.clients:
        yield Moment(key, subject, "client", client.name, client.unknown)
    for hearing in told.hearings:
        yield Moment(key, subject, "beacons", hearing.label, hearing.unknown)
    for happening in told.happenings:
        yield Moment(key, subject, "wait", happening.label, happening.unknown)
    for step in scenario.steps:
        if step.do in OTHER and "label" in step.args:
            yield Moment(key, subject, "other", str(step.args["label"]), f"the model is not about {OTHER[step.do]}")
