"""What a scenario is, as values: the network, who runs on it, what is sent, and what must be seen.

The TOML file of a scenario is read into these by :mod:`canet.scenarios.load`. Nothing here touches a file, a
socket or the kernel, so a scenario can be printed, compared, changed, predicted and drawn without root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Literal

from canet.netns.topology import Topology

OutcomeKind = Literal["all", "one", "none", "some"]
Value = float | int | str | tuple[float, ...] | tuple[int, ...] | tuple[str, ...]
Layout = Literal["literal", "rsrv"]
Reuse = Literal["both", "addr", "port", "none"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A set of acceptable results, because the kernel's choice is a set.

    Text form (:meth:`parse`, ``str``): ``all of a, b`` · ``one of a, b`` · ``some of a, b`` · ``none`` · ``only a``
    (the same as ``all of a``). ``one`` means exactly one of the members for each datagram, ``some`` any subset with
    at least one. Whoever is not a member must not appear.
    """

    kind: OutcomeKind
    members: tuple[str, ...] = ()
    spread: bool = False
    """``one`` only: over many source ports, at least two members were chosen at least once."""

    @classmethod
    def parse(cls, text: str) -> Outcome:
        """Read the text form; ``, spread`` may end a ``one of``.

        Raises:
            ValueError: with what is allowed.

        >>> Outcome.parse("one of ioc1, ioc2, spread")
        Outcome(kind='one', members=('ioc1', 'ioc2'), spread=True)
        """
        words = text.strip()
        if words == "none":
            return cls("none")
        for prefix, kind in (("all of ", "all"), ("only ", "all"), ("one of ", "one"), ("some of ", "some")):
            if words.startswith(prefix):
                members = [each.strip() for each in words[len(prefix) :].split(",")]
                spread = kind == "one" and members[-1] == "spread"
                members = members[:-1] if spread else members
                if all(members) and (kind != "all" or not prefix.startswith("only") or len(members) == 1):
                    return cls(kind, tuple(members), spread)  # type: ignore[arg-type]  # kind is one of the four
        raise ValueError(
            f"{text!r} is none of 'all of A, B', 'one of A, B[, spread]', 'some of A, B', 'only A', 'none'"
        )

    def __str__(self) -> str:
        if self.kind == "none":
            return "none"
        if self.kind == "all" and len(self.members) == 1:
            return f"only {self.members[0]}"
        return f"{self.kind} of {', '.join(self.members)}" + (", spread" if self.spread else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A Channel Access server process on a host. Servers start in the order of the file (binding order matters)."""

    name: str
    host: str
    implementation: str | None = None
    """``canet``, ``rsrv``, ``caproto``, ``pcaspy``, ``nameserver``, ``relay``, ``gateway`` or ``command``.

    ``None``: the run chooses among :attr:`Scenario.subjects`.
    """
    backend: str | None = None
    """``asyncio``, ``curio`` or ``trio``; ``None``: the run chooses."""
    pvs: Mapping[str, Value] = field(default_factory=dict)
    """Its own PVs. Every server besides serves the witness PV (:data:`WITNESS`)."""
    env: Mapping[str, str] = field(default_factory=dict)
    layout: Layout = "literal"
    """canet only: how ``EPICS_CAS_INTF_ADDR_LIST`` is bound."""
    reuse: Reuse = "both"
    """canet only: socket options of the UDP search sockets."""
    uid: int | None = None
    command: tuple[str, ...] = ()
    cwd: str | None = None
    ready: str | None = None
    """``command`` only: a regular expression in its output; ``None``: its UDP and TCP sockets appear."""
    autostart: bool = True
    """Started before the first step; otherwise by a ``start`` step."""
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Settings that only this implementation knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A Channel Access client process, started afresh for each try."""

    name: str
    host: str
    implementation: str = "libca"
    """``libca``, ``caproto``, ``canet`` or ``command``."""
    pvs: tuple[str, ...] = ()
    """What it reads; empty: every PV of every server."""
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 2.0
    """Seconds until a PV that did not connect counts as unreachable."""
    tries: int = 1
    uid: int | None = None
    command: tuple[str, ...] = ()
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Search datagrams that the harness itself sends from a host."""

    name: str
    host: str
    to: IPv4Address
    port: int = 5064
    pvs: tuple[str, ...] = ()
    """Names searched for; the witness PV is always added first. Empty: every PV of every server."""
    sources: int = 1
    """How many source ports are used, one after the other."""
    repeat: int = 1
    """How often each source port sends."""
    level: Literal["ip", "link"] = "ip"
    """``ip``: a UDP socket on the host sends. ``link``: a frame is put on the host's interface as it is."""
    interface: str | None = None
    """``link`` only (and multicast): the interface; ``None``: the one that the route to ``to`` names."""
    source: IPv4Address | None = None
    """Source address; ``None``: as the kernel chooses."""
    source_port: int | None = None
    """First source port; ``None``: as the kernel chooses."""
    payload: str | None = None
    """Raw bytes in hexadecimal instead of searches (malformed datagrams)."""
    size: int = 1024
    """Bytes of one datagram at most; names that do not fit go into the next one."""
    connect: bool = True
    """After the answers, connect to each announced address and read the PV."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happens, in order. ``do`` names it; ``args`` are its own.

    ``probe NAME`` · ``client NAME`` · ``start|stop|kill|pause|resume|restart NAME`` (servers) · ``fault`` with a change
    of the network (``host``, ``interface``, ``set`` = down, up, add-address, …) · ``beacons`` (listen on a host).
    Without steps: all probes, then all clients.
    """

    do: str
    target: str | None = None
    args: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What must be seen of one probe, client or other observation. Fields left ``None`` are not checked."""

    subject: str
    """The name of a probe, client or step label."""
    received: Outcome | None = None
    """Servers that read the datagram."""
    answered: Outcome | None = None
    """Servers whose reply came back to the prober."""
    connects: Outcome | None = None
    """Servers that the prober then reached by TCP and read its PV from. For a client: servers it connected to."""
    reply_from: tuple[str, ...] | None = None
    """Source addresses (``A`` or ``A:PORT``) of the replies; every reply has one of them, each is seen."""
    replies: int | None = None
    """How often each datagram of the probe is answered: by several servers, or by one that got it several times."""
    reads: Outcome | None = None
    """Clients: the PVs that were read. ``one of`` for a try, ``spread`` over the tries."""
    says: str | None = None
    """A regular expression that the client's or server's output matches."""
    silent: bool | None = None
    """Clients: True: it sent no search datagram at all."""
    searches_to: tuple[str, ...] | None = None
    """Clients: exactly these destinations (``A`` or ``A:PORT``) got searches."""
    extra: Mapping[str, object] = field(default_factory=dict)
    """Other measures by name (``beacons_from``, ``reconnects_within`` …); each has a judge in the harness."""
    when: tuple[str, ...] = ()
    """Holds for these implementations only (``rsrv``, ``caproto``, ``canet`` …) and then *instead of* the general one
    of the same subject, complete in itself; empty: for all others. :meth:`Scenario.expected` chooses."""
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One problem in one variant: complete, ready to predict or to run."""

    id: str
    """``theme/name``, from the file's place; stable."""
    title: str
    story: str
    variant: str = "broken"
    """The base of a file is ``broken`` unless it says otherwise (``plain`` where nothing is wrong)."""
    variant_title: str = ""
    drawing: str = ""
    references: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    speaks_about: tuple[str, ...] = ()
    """Implementations that a run tries (``canet``, ``rsrv`` …); empty: canet's backends."""
    needs: tuple[str, ...] = ()
    """What a machine must have: ``root``, ``uids``, ``libca``, ``netem`` …"""
    topology: Topology
    servers: tuple[Server, ...] = ()
    clients: tuple[Client, ...] = ()
    probes: tuple[Probe, ...] = ()
    steps: tuple[Step, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    cause: str = ""
    """What is wrong in this variant, in one sentence; empty where nothing is. Diagnosis must name it."""
    source: str = ""
    """The path of the file."""

    @property
    def key(self) -> str:
        """The stable id of this variant, ``theme/name[variant]``."""
        return f"{self.id}[{self.variant}]"

    @property
    def subjects(self) -> tuple[str, ...]:
        """Who can play the servers, in order: each of :attr:`speaks_about` in all its backends."""
        return tuple(each for name in self.speaks_about or ("canet",) for each in SUBJECTS_OF.get(name, (name,)))

    def expected(self, subject: str) -> tuple[Expectation, ...]:
        """Return what holds when ``subject`` plays the servers: one expectation for each probe, client or label.

        An expectation for the subject itself goes before one for its implementation, and that before the general.
        """
        chosen: dict[str, Expectation] = {}
        for names in ((), (implementation_of(subject),), (subject,)):
            for each in self.expectations:
                if each.when == () if not names else names[0] in each.when:
                    chosen[each.subject] = each
        return tuple(chosen.values())


WITNESS = "canet:witness"
"""The PV that every server of a scenario serves, so that a reply shows who received a datagram."""

SUBJECTS = ("asyncio", "curio", "trio", "mix")
"""How canet's own servers are run: all on one backend, or one after the other in turn."""

SUBJECTS_OF: Mapping[str, tuple[str, ...]] = {
    "canet": SUBJECTS,
    "caproto": ("caproto-asyncio", "caproto-curio", "caproto-trio"),
}
"""The subjects of an implementation that has several; any other is a subject by its own name."""


def implementation_of(subject: str) -> str:
    """Return the implementation that a subject is: ``trio`` is ``canet``, ``caproto-curio`` is ``caproto``."""
    return next((name for name, subjects in SUBJECTS_OF.items() if subject in subjects), subject)
