"""What a prediction says, as values: of each probe, each client, and the beacons; each with its reasons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from canet.harness.predict.trace import Reason
from canet.scenarios.model import Outcome


@dataclass(frozen=True, slots=True)
class Pick:
    """Names that get something together: all of them, or exactly one."""

    everyone: bool
    names: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sure:
    """What is certain and what is luck, exactly: every one of ``always``, perhaps some of ``maybe``, and the picks."""

    always: frozenset[str] = frozenset()
    maybe: frozenset[str] = frozenset()
    """Names that appear sometimes (never together with others of the same pick)."""
    picks: tuple[frozenset[str], ...] = ()
    """Of each of these exactly one appears, unless ``maybe_none``."""
    maybe_none: bool = False
    """It can also happen that no name of a pick appears."""

    def outcome(self) -> Outcome:
        """Return the nearest :class:`~canet.scenarios.model.Outcome`."""
        if not self.maybe:
            return Outcome("all", tuple(sorted(self.always))) if self.always else Outcome("none")
        if not self.always and len(self.picks) == 1 and not self.maybe_none and self.picks[0] == self.maybe:
            return Outcome("one", tuple(sorted(self.maybe)), True)
        return Outcome("some", tuple(sorted(self.always | self.maybe)))

    def allows(self, seen: Iterable[str]) -> str:
        """Return "" if one observation agrees with it, else what does not."""
        got = frozenset(seen)
        if missing := self.always - got:
            return f"{', '.join(sorted(missing))} should have been there"
        if extra := got - self.always - self.maybe:
            return f"{', '.join(sorted(extra))} should not have been there"
        for pick in self.picks:
            here = got & pick - self.always
            if len(here) > 1 and not any(pick != other and here <= other | self.always for other in self.picks):
                return f"only one of {', '.join(sorted(pick))} was possible"
            if not here and not self.maybe_none and not pick & self.always:
                return f"one of {', '.join(sorted(pick))} should have been there"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePrediction:
    """What must come of each datagram of a probe."""

    name: str
    received: Outcome
    answered: Outcome
    connects: Outcome
    replies: tuple[int, int]
    """Fewest and most reply datagrams to one datagram."""
    reply_from: tuple[str, ...]
    """Source addresses ``A:PORT`` of the replies."""
    error: str | None = None
    """What ``sendto`` raises, as an errno name."""
    sure: dict[str, Sure] = field(default_factory=dict)
    """``received``, ``answered``, ``connects`` exactly."""
    unknown: str = ""
    """Why the model does not say this, where it does not: nothing is compared then."""
    reasons: tuple[Reason, ...] = ()

    @property
    def modelled(self) -> bool:
        """The model knows all that takes part."""
        return not self.unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way by which a client may find a PV: a destination, and the server that answers there."""

    destination: str
    server: str
    announced: str
    """``A:PORT`` that the reply names."""
    reached: str | None
    """Whom the connection then reaches; ``None``: nobody."""
    lucky: bool
    """Whether this server gets the search is chance."""
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PvPrediction:
    """Whether a client reaches a PV, and whose."""

    pv: str
    verdict: str
    """``always``, ``luck`` or ``never``."""
    servers: tuple[str, ...]
    """Servers that it may end up with."""
    ways: tuple[Way, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPrediction:
    """What a client gets in one try."""

    name: str
    searches_to: tuple[str, ...]
    """Destinations whose datagrams leave the host or stay on it; those that the kernel refuses are in ``refused``."""
    refused: tuple[str, ...]
    """Destinations that ``sendto`` refuses: ``A:PORT errno``."""
    silent: bool
    reads: Outcome
    connects: Outcome
    pvs: tuple[PvPrediction, ...]
    sure: dict[str, Sure] = field(default_factory=dict)
    """``reads``, ``connects`` exactly."""
    unknown: str = ""
    reasons: tuple[Reason, ...] = ()
    """How the list of destinations came about, and what became of each datagram."""

    @property
    def modelled(self) -> bool:
        """The model knows all that takes part."""
        return not self.unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class BeaconPrediction:
    """Whose beacons are heard on which hosts, on the port that a client there listens to."""

    server: str
    destinations: tuple[str, ...]
    heard_on: tuple[str, ...]
    """Hosts whose interface takes the beacon in, ``host:port``."""
    reasons: tuple[Reason, ...] = ()
    heard: tuple[tuple[str, str], ...] = ()
    """``host:port`` and the source address that it has there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """Whose beacons a step hears that listens for them."""

    label: str
    may: frozenset[str]
    """Source addresses; no other one is heard."""
    some: bool
    """At least one beacon comes."""
    unknown: str = ""

    @property
    def modelled(self) -> bool:
        """The model knows all that takes part."""
        return not self.unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Whether what a step waits for happens to a client that stays."""

    label: str
    happens: bool
    unknown: str = ""

    @property
    def modelled(self) -> bool:
        """The model knows all that takes part."""
        return not self.unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether a server comes up, and the UDP sockets that it then hears searches on."""

    name: str
    starts: bool
    sockets: frozenset[str]
    """``A:PORT``."""
    unknown: str = ""

    @property
    def modelled(self) -> bool:
        """The model knows all that takes part."""
        return not self.unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Everything that must happen in a scenario."""

    scenario: str
    subject: str
    probes: tuple[ProbePrediction, ...] = ()
    clients: tuple[ClientPrediction, ...] = ()
    beacons: tuple[BeaconPrediction, ...] = ()
    hearings: tuple[Hearing, ...] = ()
    happenings: tuple[Happening, ...] = ()
    standings: tuple[Standing, ...] = ()
    """Of servers that were started, each time anew."""
    dead: tuple[tuple[str, str], ...] = ()
    """Servers that do not serve, and why."""

    def probe(self, name: str) -> ProbePrediction:
        """Return the prediction of a probe; ``KeyError`` if there is none of that name."""
        for each in self.probes:
            if each.name == name:
                return each
        raise KeyError(name)

    def client(self, name: str) -> ClientPrediction:
        """Return the prediction of a client; ``KeyError`` if there is none of that name."""
        for each in self.clients:
            if each.name == name:
                return each
        raise KeyError(name)
