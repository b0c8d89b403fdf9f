"""What was seen in one run of a scenario, as values that can be printed, compared and stored.

The lab fills an :class:`Observation`; the verdict compares it with expectations and prediction; reports show it.
Times are seconds since the lab came up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame, as the capture saw it on one bridge port or interface."""

    time: float
    host: str
    """The host at whose port it was seen."""
    interface: str
    direction: Literal["out", "in"]
    """``out``: the host sent it; ``in``: it was delivered towards the host."""
    data: bytes
    """From the Ethernet header on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One search reply that came back to the prober."""

    time: float
    server: str | None
    """Whose it is, by the announced TCP port; ``None``: nobody known."""
    address: str
    """Source address and port of the datagram, ``A:PORT``."""
    announced: str
    """Where the client is told to connect, ``A:PORT``, after 255.255.255.255 is replaced by the source address."""
    pvs: tuple[str, ...]
    size: int = 0
    """Bytes of the datagram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One datagram of a probe and all that came of it."""

    source: str
    """``A:PORT`` that it was sent from."""
    received: tuple[str, ...]
    """Servers that read it: own statement (canet) or witness reply (others)."""
    replies: tuple[Reply, ...]
    error: str | None = None
    """Why it could not be sent (``ENETUNREACH`` …)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What a TCP connection to an announced address gave."""

    server: str | None
    address: str
    pv: str
    value: object = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSeen:
    """All of one probe."""

    name: str
    shots: tuple[Shot, ...]
    connections: tuple[Connection, ...] = ()
    sentinel: bool = True
    """Every server was afterwards shown to have nothing left to read: absence is proven."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTry:
    """One fresh client process."""

    connected: Mapping[str, str]
    """PV → ``A:PORT`` of the circuit."""
    servers: Mapping[str, str]
    """PV → name of the server that was reached."""
    values: Mapping[str, object]
    missing: tuple[str, ...]
    output: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSeen:
    """All tries of one client, and the destinations that it searched."""

    name: str
    tries: tuple[ClientTry, ...]
    searched: tuple[str, ...] = ()
    """``A:PORT`` of search datagrams it sent, each once, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened: a participant became ready, a fault was made or healed, a process ended."""

    time: float
    what: str
    who: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """One process, its effective settings and its output."""

    name: str
    host: str
    implementation: str
    """For example ``canet-trio``, ``rsrv``, ``caproto-asyncio``."""
    env: Mapping[str, str] = field(default_factory=dict)
    udp: tuple[str, ...] = ()
    """Bound UDP addresses ``A:PORT``, in the order of binding."""
    tcp: tuple[str, ...] = ()
    """Listening TCP addresses ``A:PORT``."""
    shares: str | None = None
    """How its search sockets share their port: ``SO_REUSEADDR and SO_REUSEPORT``, one of them, ``nothing``."""
    output: str = ""
    died: str | None = None
    """How it ended, if it ended before it was told to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything that one run saw."""

    scenario: str
    """``Scenario.key``."""
    subject: str
    """Which implementation played the servers."""
    participants: tuple[Participant, ...] = ()
    probes: tuple[ProbeSeen, ...] = ()
    clients: tuple[ClientSeen, ...] = ()
    measures: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Step label → other measures by name."""
    frames: tuple[Frame, ...] = ()
    dropped: int = 0
    """Frames that the capture lost; a capture that lost frames proves no absence."""
    history: tuple[Event, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One expectation against what was seen."""

    subject: str
    measure: str
    expected: str
    seen: str
    holds: bool | None
    """``None``: cannot be judged, ``why`` says why (a dropped capture, an unproven absence)."""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome of one case."""

    scenario: str
    subject: str
    outcome: Literal["holds", "fails", "skipped", "error"]
    checks: tuple[Check, ...] = ()
    reason: str = ""
    """Of a skip or an error: what is missing, where, and what to do."""
    seconds: float = 0.0
