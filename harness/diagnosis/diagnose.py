"""Name the cause why clients do not find PVs: by cause, not by symptom.

What is wrong is found by prediction (:func:`symptoms`). Each candidate cause undoes one setting in the model; it is
a cause if the symptoms are gone then. Among several, the one goes first that heals most, at which the rule points
that stopped the search, and that changes least; ties are said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from canet.harness.diagnosis.diagnose_changes import entries, with_host, with_interface
from canet.harness.diagnosis.diagnose_kinds import KINDS, Kind
from canet.harness.diagnosis.diagnose_seen import MATTERS
from canet.harness.diagnosis.diagnose_servers import flaws_of, impatient_clients, misleads
from canet.harness.predict import Prediction, Reason, predict
from canet.harness.predict.addresses import quad
from canet.netns.topology import Address, Impairment
from canet.scenarios.model import Scenario

BEACON_PORT = 5065
MOST_CHANGES = 400
"""Candidates of one kind that are tried."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """Something that is not as it should be."""

    kind: str
    """``unreachable``, ``luck``, ``whose``, ``dead``, ``duplicates``, ``astray``, ``unwanted``, ``no-beacon`` …"""
    subject: str
    what: str

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True)
class Cause:
    """A candidate that heals something."""

    kind: str
    sentence: str
    heals: int
    """How many symptoms it removes."""
    creates: int
    """How many new ones it makes."""
    pointed_at: bool
    """The rule that stopped a search belongs to this kind."""
    weight: int
    healed: Scenario = field(repr=False, compare=False)
    evidence: tuple[Reason, ...] = field(default=(), repr=False, compare=False)
    """What it explains, and where the rule for that is from; empty where the prediction has said it."""

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong with a scenario, and why; no symptoms: it is healthy."""

    scenario: str
    subject: str
    symptoms: tuple[Symptom, ...]
    causes: tuple[Cause, ...]

    @property
    def healthy(self) -> bool:
        """Nothing is wrong."""
        return not self.symptoms

    @property
    def ties(self) -> tuple[Cause, ...]:
        """The causes that are as good as the first one, with it."""
        if not self.causes:
            return ()
        first = self.causes[0]
        return tuple(each for each in self.causes if _rank(each) == _rank(first))


def diagnose(
    scenario: Scenario, subject: str = "asyncio", *, client: str | None = None, pv: str | None = None
) -> Diagnosis:
    """Find what is wrong, and which settings are to blame.

    Args:
        scenario: One variant, or a site's part.
        subject: Which implementation plays the servers.
        client: Look at this client only.
        pv: Look at this PV only.

    Raises:
        KeyError: no such client; the message lists those there are.
    """
    scenario = narrowed(settled(scenario), client, pv)
    told = predict(scenario, subject)
    wrong = symptoms(scenario, subject, told)
    if not wrong:
        return Diagnosis(scenario.key, subject, (), ())
    pointed = _pointed(told)
    causes = [each for kind in KINDS for each in _try(kind, scenario, subject, wrong, pointed)]
    causes.sort(key=_rank)
    return Diagnosis(scenario.key, subject, wrong, _distinct(causes))


def settled(scenario: Scenario) -> Scenario:
    """Return the scenario as its steps leave it: who was started, who was stopped, what became of the network.

    A server that cannot open its sockets when it is started stays dead, whatever comes later: then the scenario is
    returned as it was at that moment.
    """
    moment = scenario
    for step in scenario.steps:
        if step.do == "start":
            moment = _started(moment, step.target)
            if any(name == step.target for name, _ in predict(moment, why=False).dead):
                return moment
        elif step.do in ("kill", "stop"):
            moment = replace(moment, servers=tuple(s for s in moment.servers if s.name != step.target))
        elif step.do == "fault" and "heal_after" not in step.args:
            moment = _after_fault(moment, step.args)
    return moment


def _started(scenario: Scenario, name: str | None) -> Scenario:
    late = [each for each in scenario.servers if each.name == name]
    first = tuple(each for each in scenario.servers if each.name != name)
    return replace(scenario, servers=(*first, *(replace(each, autostart=True) for each in late)))


def _after_fault(scenario: Scenario, args: Mapping[str, object]) -> Scenario:
    host = scenario.topology.host(str(args["host"]))
    what, name, address = args["set"], str(args.get("interface")), args.get("address")
    if what == "write-file":
        files = tuple(each for each in host.files if each[0] != args.get("name"))
        return with_host(scenario, replace(host, files=(*files, (str(args["name"]), str(args["value"])))))
    if what == "sysctl":
        return with_host(scenario, replace(host, sysctls=(*host.sysctls, (str(args["name"]), str(args["value"])))))
    if what not in ("up", "down", "cut", "heal", "add-address", "remove-address"):
        return scenario
    interface = host.interface(name)
    if what in ("up", "down"):
        interface = replace(interface, up=what == "up")
    elif what == "heal":
        interface = replace(interface, impairments=())
    elif what == "cut":
        cuts = (Impairment(direction="in", cut=True), Impairment(direction="out", cut=True))
        interface = replace(interface, impairments=cuts)
    elif isinstance(address, Address):
        kept = tuple(each for each in interface.addresses if each.ip != address.ip)
        interface = replace(interface, addresses=(*kept, address) if what == "add-address" else kept)
    return with_interface(scenario, host, interface)


def narrowed(scenario: Scenario, client: str | None, pv: str | None) -> Scenario:
    """Return the scenario with one client, and it with one PV."""
    if client is None and pv is None:
        return scenario
    chosen = tuple(each for each in scenario.clients if client in (None, each.name, each.host))
    if not chosen:
        names = ", ".join(each.name for each in scenario.clients) or "none"
        raise KeyError(f"no client is called {client!r}; there are {names}")
    if pv is not None:
        chosen = tuple(replace(each, pvs=(pv,)) for each in chosen)
    return replace(scenario, clients=chosen, probes=())


def _rank(cause: Cause) -> tuple[int, int, int, int]:
    return cause.creates - cause.heals, cause.creates, 0 if cause.pointed_at else 1, cause.weight


def _distinct(causes: list[Cause]) -> tuple[Cause, ...]:
    found: dict[str, Cause] = {}
    for each in causes:
        found.setdefault(each.sentence, each)
    return tuple(found.values())


def _pointed(told: Prediction) -> frozenset[str]:
    """Return the rules that decided anywhere on the way of what went wrong."""
    found: set[str] = set()
    for client in told.clients:
        found |= {each.rule for each in client.reasons}
        for pv in client.pvs:
            if pv.verdict != "always":
                found |= {each.rule for way in pv.ways for each in way.reasons}
    for probe in told.probes:
        found |= {each.rule for each in probe.reasons}
    return frozenset(found)


def _try(
    kind: Kind, scenario: Scenario, subject: str, wrong: tuple[Symptom, ...], pointed: frozenset[str]
) -> Iterator[Cause]:
    before = {(each.kind, each.subject) for each in wrong}
    large = any(each.kind == "too-large" for each in wrong)
    listens = any(each.do in ("beacons", "watch") for each in scenario.steps)
    hot = bool(pointed & frozenset(kind.rules))
    for number, (sentence, changed) in enumerate(kind.maker(scenario)):
        if number >= MOST_CHANGES:
            return
        told = predict(changed, subject, why=large, beacons=listens)
        after = {(each.kind, each.subject) for each in symptoms(changed, subject, told)}
        if kind.name == "flaw":  # without its flaw a server is part of the model, and shows what else is wrong
            after = after & before
        if kind.name in (
            "list-spelling",
            "old-version",
        ):  # what was found only where it should not be searched is not missed
            after = {each for each in after if each[0] != "unreachable"} | (after & before)
        heals, creates = len(before - after), len(after - before)
        if heals > creates:
            shown = [each for each in wrong if (each.kind, each.subject) in before - after] if kind.source else []
            evidence = tuple(Reason(each.kind, each.what, kind.source) for each in shown)
            yield Cause(kind.name, sentence, heals, creates, hot, kind.weight, changed, evidence)


# --- symptoms


def symptoms(scenario: Scenario, subject: str, told: Prediction) -> tuple[Symptom, ...]:
    """Return what is not as users would have it."""
    return (
        *(Symptom("dead", name, f"{name} does not serve: {why}") for name, why in told.dead),
        *_client_symptoms(scenario, told),
        *_probe_symptoms(scenario, told),
        *_beacon_symptoms(scenario, told),
        *_silent_settings(scenario, subject, told),
        *_event_symptoms(scenario, subject),
    )


def _client_symptoms(scenario: Scenario, told: Prediction) -> Iterator[Symptom]:
    clients = {each.name: each for each in scenario.clients}
    for client in told.clients:
        here = clients[client.name]
        for pv in client.pvs:
            subject = f"{client.name} {pv.pv}"
            if pv.verdict == "never" and not _refused_on_purpose(scenario, here.host, pv.pv):
                yield Symptom("unreachable", subject, f"{client.name} never finds {pv.pv}")
            elif pv.verdict == "luck":
                yield Symptom("luck", subject, f"{client.name} finds {pv.pv} by luck only")
            elif pv.verdict == "always" and len(pv.servers) > 1:
                yield Symptom("whose", subject, f"{client.name} gets {pv.pv} from {' or '.join(pv.servers)}, by chance")
            if pv.verdict == "always":
                yield from _astray(subject, client.name, pv.pv, pv.ways)


def _astray(subject: str, client: str, pv: str, ways: object) -> Iterator[Symptom]:
    """A unicast search is answered from another address than was asked."""
    for way in ways:  # type: ignore[attr-defined]  # a tuple of ways
        asked, _, _ = way.destination.rpartition(":")
        told = way.announced.rpartition(":")[0]
        number = quad(asked) or 0
        unicast = number and number != 0xFFFFFFFF and number >> 28 != 14 and not asked.endswith(".255")
        if unicast and told != asked and any(each.rule == "route-gateway" for each in way.reasons):
            nat = any(each.rule.startswith("nat-") for each in way.reasons)
            if not nat and way.reached is not None and not way.lucky:
                text = f"{client} asked {asked} for {pv} and is answered from {told}"
                yield Symptom("astray", subject, text)
                return


def _refused_on_purpose(scenario: Scenario, host: str, pv: str) -> bool:
    """The server ignores this client's addresses by its own setting."""
    own = {str(each.ip) for each in scenario.topology.host(host).addresses}
    for server in scenario.servers:
        if pv in server.pvs and own & set(server.env.get("EPICS_CAS_IGNORE_ADDR_LIST", "").split()):
            return True
    return False


def _probe_symptoms(scenario: Scenario, told: Prediction) -> Iterator[Symptom]:
    """Probes speak where there are no clients: a server that answers twice, or does not hear."""
    raw = {each.name for each in scenario.probes if each.payload is not None}  # nobody need answer what is no search
    for probe in told.probes:
        servers = probe.answered.members
        if probe.answered.kind == "all" and probe.replies[1] > len(servers) and not _relayed(scenario):
            text = f"a search of {probe.name} gets {probe.replies[1]} replies from {len(servers)} server(s)"
            yield Symptom("duplicates", probe.name, text)
        large = any(each.rule in ("mtu-frame", "mtu-refused") for each in probe.reasons)
        if large and probe.received.kind in ("none", "some"):
            yield Symptom("too-large", probe.name, f"datagrams of {probe.name} are too large for a link on their way")
        if scenario.clients or probe.name in raw:
            continue
        if probe.error is not None:
            yield Symptom("unsent", probe.name, f"{probe.name} cannot be sent: {probe.error}")
        elif probe.received.kind == "none" and probe.modelled:
            yield Symptom("unheard", probe.name, f"nobody hears {probe.name}")
        elif probe.answered.kind == "none" and probe.modelled:
            yield Symptom("unanswered", probe.name, f"{probe.name} gets no answer")


def _relayed(scenario: Scenario) -> bool:
    return any(each.implementation == "relay" for each in scenario.servers)


def _beacon_symptoms(scenario: Scenario, told: Prediction) -> Iterator[Symptom]:
    """Where a step listens for beacons, each server's must be heard."""
    steps = [each for each in scenario.steps if each.do == "beacons"]
    listened = {(str(each.args.get("host") or each.target), int(str(each.args.get("port", 5065)))) for each in steps}
    servers = {each.name: each for each in scenario.servers}
    several = len({port for _, port in listened}) > 1
    started = {each.target for each in scenario.steps if each.do in ("start", "restart")}
    waiting = set(_waiting(scenario))
    for host, port in sorted(listened | waiting):
        for beacon in told.beacons:
            wanted = servers[beacon.server].env.get("EPICS_CA_REPEATER_PORT", "5065")
            if (several and str(port) != wanted) or ((host, port) not in listened and beacon.server not in started):
                continue
            if f"{host}:{port}" not in beacon.heard_on:
                subject = f"{beacon.server} {host}:{port}"
                yield Symptom("no-beacon", subject, f"{host} hears no beacon of {beacon.server} on port {port}")


def _waiting(scenario: Scenario) -> Iterator[tuple[str, int]]:
    """Yield host and port where a client waits for a server that a step starts: beacons would tell it soon."""
    watched = {each.target for each in scenario.steps if each.do == "watch"}
    if any(each.do in ("start", "restart") for each in scenario.steps):
        for client in scenario.clients:
            if client.name in watched:
                yield client.host, int(client.env.get("EPICS_CA_REPEATER_PORT") or BEACON_PORT)


def _silent_settings(scenario: Scenario, subject: str, told: Prediction) -> Iterator[Symptom]:
    """Settings that do the opposite of what they say."""
    for client in told.clients:
        if any(each.rule == "list-auto-spelling" for each in client.reasons):
            yield Symptom("unwanted", client.name, f"{client.name} searches its own subnets, though it was told not to")
    for each in scenario.clients:
        auto = each.env.get("EPICS_CA_AUTO_ADDR_LIST", "")
        meant = auto and auto.lower() != "yes" and not ("no" in auto or "NO" in auto)
        if meant and each.implementation == "libca" and entries(each):
            yield Symptom("unwanted", each.name, f"{each.name} searches its own subnets, though it was told not to")
    for name, timeout, _ in impatient_clients(scenario):
        yield Symptom("impatient", name, f"{name} gives up after {timeout} seconds, before it is answered")
    for server in scenario.servers:
        for option, sentence in flaws_of(server):
            yield Symptom("flaw", f"{server.name} {option}", sentence)
        who = server.implementation or subject.partition("-")[0]
        if who == "caproto" and server.env.get("EPICS_CAS_IGNORE_ADDR_LIST"):
            yield Symptom("ineffective", server.name, f"EPICS_CAS_IGNORE_ADDR_LIST of {server.name} has no effect")
        if who == "caproto" and misleads(scenario, server):
            yield Symptom("beacon-address", server.name, f"beacons of {server.name} name an address of another network")
        if who == "occupant" and server.options.get("udp") == BEACON_PORT:
            yield Symptom("occupied", server.name, f"{server.name} holds the port on which beacons are heard")
        port = server.env.get("EPICS_CAS_SERVER_PORT")
        if who == "caproto" and port and server.env.get("EPICS_CA_SERVER_PORT") != port:
            yield Symptom("ineffective", server.name, f"EPICS_CAS_SERVER_PORT of {server.name} has no effect")


def _event_symptoms(scenario: Scenario, subject: str) -> Iterator[Symptom]:
    """What the order of events, files and settings show."""
    for matter in MATTERS:
        for kind, who, what in matter(scenario, subject):
            yield Symptom(kind, who, what)
