"""Scenario → prediction: compile, open the sockets, send every search, follow every reply."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from canet.harness.predict.addresses import READERS, Destination, Searching
from canet.harness.predict.beacons import predict_beacons
from canet.harness.predict.exchange import Delivered, World, connect, deliver
from canet.harness.predict.firewall import ANY_PORT, State
from canet.harness.predict.network import Network, compile_network
from canet.harness.predict.prediction import (
    ClientPrediction,
    Prediction,
    ProbePrediction,
    PvPrediction,
    Sure,
    Way,
)
from canet.harness.predict.replies import Asker, Cache, Response, follow, responses
from canet.harness.predict.servers import ServerState, start
from canet.harness.predict.trace import Reason, Trace, address, reasons
from canet.netns.topology import Topology
from canet.scenarios.model import WITNESS, Client, Probe, Scenario, Server

PATIENCE = 5.0
"""Seconds within which libca repeats a search some seven times (first after 32 ms, then at doubled intervals)."""
CLIENT_PORT = 45001
"""First source port that stands for the ephemeral ones of probes and clients; each has its own."""
_COMPILED: OrderedDict[int, tuple[Topology, Network]] = OrderedDict()
_KEEP = 64


def compiled(topology: Topology) -> Network:
    """Compile a topology, or return what was compiled from the same value before."""
    known = _COMPILED.get(id(topology))
    if known is not None and known[0] is topology:
        return known[1]
    network = compile_network(topology)
    _COMPILED[id(topology)] = topology, network
    if len(_COMPILED) > _KEEP:
        _COMPILED.popitem(last=False)
    return network


@dataclass(slots=True, eq=False)
class Stage:
    """A scenario with its sockets open: what predictions are made from."""

    scenario: Scenario
    subject: str
    world: World
    servers: dict[str, ServerState]
    memory: State = field(default_factory=State)
    """What hosts have learnt so far: connections and neighbours."""
    ports: int = CLIENT_PORT

    def port(self) -> int:
        """Return a source port that nobody has had."""
        self.ports += 1
        return self.ports

    @property
    def modelled(self) -> bool:
        """Every server is one that the model knows."""
        return all(each.modelled for each in self.servers.values())


def stage(scenario: Scenario, subject: str = "asyncio") -> Stage:
    """Open all sockets of a scenario in the model."""
    world = World(compiled(scenario.topology))
    scene = Stage(scenario, subject, world, start(world, scenario.servers, subject))
    _look_around(scene)
    return scene


def _look_around(scene: Stage) -> None:
    """Let gateways and name servers search: what they find, they serve (two rounds, for one behind another)."""
    seekers = [each for each in scene.servers.values() if each.implementation in ("gateway", "nameserver")]
    for _ in seekers[:2]:
        for seeker in seekers:
            others = frozenset().union(*(each.pvs for each in scene.servers.values() if each is not seeker)) - {WITNESS}
            if not others or (seeker.implementation == "nameserver" and seeker.announces):
                continue
            eye = Client(name=seeker.name, host=seeker.host.name, implementation="canet", env=seeker.server.env)
            names = tuple(sorted(others - seeker.pvs))
            for destination, response in search(scene, eye, names).found:
                del destination
                if response.server is seeker or response.reached is None or response.lucky:
                    continue
                found = response.server.pvs & frozenset(names)
                seeker.pvs |= found
                if seeker.implementation == "nameserver":
                    at = response.told[0] or response.reply.source
                    seeker.announces.update(dict.fromkeys(found, (at, response.told[1])))


def predict(scenario: Scenario, subject: str = "asyncio", *, why: bool = True, beacons: bool = True) -> Prediction:
    """Compute what must happen.

    Args:
        scenario: One variant; its steps are not played, probes and clients see all servers that start by themselves.
        subject: Which implementation plays the servers (:data:`canet.scenarios.model.SUBJECTS`, ``rsrv``,
            ``caproto-asyncio`` …).
        why: Put reasons into words; without, the same result comes sooner.
        beacons: Also say who hears beacons.

    Raises:
        KeyError: A name in the scenario that nothing has.
    """
    scene = stage(scenario, subject)
    probes = tuple(predict_probe(scene, each, why=why) for each in scenario.probes)
    clients = tuple(predict_client(scene, each, why=why) for each in scenario.clients)
    return Prediction(
        scenario=scenario.key,
        subject=subject,
        probes=probes,
        clients=clients,
        beacons=predict_beacons(scene.world, State(), scene.servers, why=why) if beacons else (),
        dead=tuple((each.name, each.dead) for each in scene.servers.values() if each.dead is not None),
    )


# --- probes


def predict_probe(scene: Stage, probe: Probe, *, why: bool = True) -> ProbePrediction:
    """Compute what comes of each datagram of a probe; many names may need several."""
    names = (WITNESS, *(probe.pvs or all_pvs(scene.scenario.servers)))
    told = [_datagram(scene, probe, batch, why=why) for batch in batches(names, probe.size)]
    first = told[0]
    if len(told) == 1:
        return first
    sure = {key: _merged([each.sure[key] for each in told]) for key in first.sure}
    return ProbePrediction(
        name=probe.name,
        received=sure["received"].outcome(),
        answered=sure["answered"].outcome(),
        connects=sure["connects"].outcome(),
        replies=(min(each.replies[0] for each in told), max(each.replies[1] for each in told)),
        reply_from=tuple(dict.fromkeys(at for each in told for at in each.reply_from)),
        error=first.error,
        sure=sure,
        modelled=first.modelled,
        reasons=tuple(dict.fromkeys(reason for each in told for reason in each.reasons)),
    )


def batches(names: Sequence[str], most: int) -> list[tuple[str, ...]]:
    """Divide names among datagrams of at most ``most`` octets, the first name leading each, as probes do."""
    first, rest = names[:1], list(names[1:])
    found: list[tuple[str, ...]] = []
    while True:
        batch, size = list(first), datagram_size(first)
        while rest and size + datagram_size((rest[0],)) - 16 <= most:
            size += datagram_size((rest[0],)) - 16
            batch.append(rest.pop(0))
        if rest and len(batch) == len(first):
            batch.append(rest.pop(0))
        found.append(tuple(batch))
        if not rest:
            return found


def datagram_size(names: Sequence[str]) -> int:
    """Return the octets of a search datagram: version, and for each name a header and the name padded to eights."""
    return 16 + sum(16 + len(each) // 8 * 8 + 8 for each in names)


def _merged(sure: Sequence[Sure]) -> Sure:
    """Join what holds for several datagrams into what holds for any of them."""
    if all(each == sure[0] for each in sure):
        return sure[0]
    always = frozenset.intersection(*(each.always for each in sure))
    everyone = frozenset().union(*(each.always | each.maybe for each in sure))
    return Sure(always=always, maybe=everyone - always)


def _datagram(scene: Stage, probe: Probe, names: Sequence[str], *, why: bool) -> ProbePrediction:
    world, state = scene.world, scene.memory
    host = world.network.hosts[probe.host]
    source = 0 if probe.source is None else int(probe.source)
    asker = Asker(host, source, probe.source_port or scene.port())
    sent = deliver(
        world,
        state,
        host,
        source,
        asker.port,
        int(probe.to),
        probe.port,
        size=datagram_size(names),
        ttl=1 if int(probe.to) >> 28 == 14 else 64,
        device=None if probe.interface is None else host.by_name[probe.interface],
        link_level=probe.level == "link",
    )
    answers = [] if probe.payload is not None else responses(world, state, scene.servers, sent, asker, names)
    cache: Cache = {}
    for each in answers:
        if probe.connect:
            follow(world, state, each, asker, cache)
    back = [each for each in answers if each.reply.arrived]
    received = _received(scene, sent)
    answered = _chosen(sent, {(id(each.delivery), each.server.name) for each in back}, back)
    connects = _connects(sent, [each for each in back if each.reached is not None])
    return ProbePrediction(
        name=probe.name,
        received=received.outcome(),
        answered=answered.outcome(),
        connects=connects.outcome(),
        replies=_replies(sent, back),
        reply_from=tuple(dict.fromkeys(_from(each) for each in back)),
        error=sent.error,
        sure={"received": received, "answered": answered, "connects": connects},
        modelled=scene.modelled and probe.payload is None,
        reasons=_story(sent, answers) if why else (),
    )


def _from(response: Response) -> str:
    """Write where a reply comes from; without port where the kernel chooses one at random."""
    at, port = response.reply.source, response.reply.sport
    return address(at) if port == ANY_PORT else f"{address(at)}:{port}"


def _received(scene: Stage, sent: Delivered) -> Sure:
    """Return which servers read a datagram."""
    always: set[str] = set()
    maybe: set[str] = set()
    picks: list[frozenset[str]] = []
    unsure = False
    for each in sent.deliveries:
        owners = frozenset(s.owner for s in each.sockets if not scene.servers[s.owner].mute)
        chance = each.arrival.packet.chance
        everyone = each.everyone or len({s.owner for s in each.sockets}) == 1
        if everyone and not chance:
            always |= owners
        else:
            maybe |= owners
            picks.append(owners)
            unsure |= chance or len(owners) < len({s.owner for s in each.sockets})
    return Sure(always=frozenset(always), maybe=frozenset(maybe - always), picks=tuple(picks), maybe_none=unsure)


def _chosen(sent: Delivered, done: set[tuple[int, str]], back: Sequence[Response]) -> Sure:
    """Return whose names come up, when only those of ``done`` (delivery, server) succeed."""
    always: set[str] = set()
    maybe: set[str] = set()
    picks: list[frozenset[str]] = []
    unsure = False
    chancy = {(id(each.delivery), each.server.name) for each in back if each.reply.chance}
    for each in sent.deliveries:
        owners = {s.owner for s in each.sockets}
        good = frozenset(name for name in owners if (id(each), name) in done)
        certain = frozenset(name for name in good if (id(each), name) not in chancy)
        if (each.everyone or len(owners) == 1) and not each.arrival.packet.chance:
            always |= certain
            maybe |= good - certain
            unsure |= bool(good - certain)
        elif good:
            maybe |= good
            picks.append(good)
            unsure |= good != owners or bool(good - certain) or each.arrival.packet.chance
    return Sure(always=frozenset(always), maybe=frozenset(maybe - always), picks=tuple(picks), maybe_none=unsure)


def _connects(sent: Delivered, reached: Sequence[Response]) -> Sure:
    """Return whom connections reach: the announced address may lead to another server than the one that answered."""
    always: set[str] = set()
    maybe: set[str] = set()
    picks: dict[int, set[str]] = {}
    unsure = False
    for each in reached:
        if each.reached is None or each.connecting is None:
            continue
        chance = each.reply.chance or each.connecting.chance
        if each.lucky or chance:
            maybe.add(each.reached)
            picks.setdefault(id(each.delivery), set()).add(each.reached)
            unsure |= chance
        else:
            always.add(each.reached)
    for delivery in sent.deliveries:
        owners = {s.owner for s in delivery.sockets}
        if id(delivery) in picks and len(picks[id(delivery)]) < len(owners):
            unsure = True
    groups = tuple(frozenset(each) for each in picks.values())
    return Sure(always=frozenset(always), maybe=frozenset(maybe - always), picks=groups, maybe_none=unsure)


def _replies(sent: Delivered, back: Sequence[Response]) -> tuple[int, int]:
    """Return the fewest and the most reply datagrams to one datagram."""
    low = high = 0
    for delivery in sent.deliveries:
        counts: dict[int, int] = {}
        for each in back:
            if each.delivery is delivery:
                counts[id(each.server)] = counts.get(id(each.server), 0) + 1
        if delivery.everyone:
            low += 0 if delivery.arrival.packet.chance else sum(counts.values())
            high += sum(counts.values())
        else:
            owners = {s.owner for s in delivery.sockets}
            values = list(counts.values()) + [0] * (len(owners) - len(counts))
            low += 0 if delivery.arrival.packet.chance else min(values, default=0)
            high += max(values, default=0)
    return low, high


def _story(sent: Delivered, answers: Sequence[Response]) -> tuple[Reason, ...]:
    """Return all reasons of a datagram's fate, common beginnings once."""
    traces: list[Trace] = [each.trace for each in sent.drops]
    traces += [each.trace for each in sent.unheard]
    traces += [each.trace for each in sent.deliveries]
    for each in answers:
        traces.append(each.reply.trace)
        if each.connecting is not None:
            traces.append(each.connecting.trace)
    return merged(traces)


def merged(traces: Iterable[Trace]) -> tuple[Reason, ...]:
    """Return the reasons of several traces in order, each once."""
    found: dict[Reason, None] = {}
    for trace in traces:
        for each in reasons(trace):
            found[each] = None
    return tuple(found)


# --- clients


def all_pvs(servers: Sequence[Server]) -> tuple[str, ...]:
    """Return the own PVs of all servers, each once, in order."""
    return tuple(dict.fromkeys(pv for server in servers for pv in server.pvs))


@dataclass(slots=True, eq=False)
class Search:
    """What became of a client's searches: destinations, datagrams, replies."""

    searching: Searching
    sent: list[tuple[Destination, Delivered]]
    found: list[tuple[Destination, Response]]
    patient: bool
    """The client waits long enough for its repeated searches to outlast loss."""
    named: list[tuple[Destination, str, str | None, bool]]
    """Name servers: destination, PV, server that the client is led to and reaches, by luck."""


def search(scene: Stage, client: Client, pvs: Sequence[str]) -> Search:
    """Let a client search and follow the replies."""
    world, state, port = scene.world, scene.memory, scene.port()
    host = world.network.hosts[client.host]
    searching = READERS.get(client.implementation, READERS["libca"])(client.name, host, client.env)
    asker = Asker(host, 0, port, client.uid or 0)
    size = min(1024, datagram_size(pvs))
    sent: list[tuple[Destination, Delivered]] = []
    hops = client.env.get("EPICS_CA_MCAST_TTL", "")
    for each in searching.destinations:
        ttl = (int(hops) if hops.isdigit() else 1) if each.address >> 28 == 14 else 64
        done = deliver(
            world,
            state,
            host,
            0,
            port,
            each.address,
            each.port,
            size=size,
            uid=asker.uid,
            ttl=ttl,
            trace=each.why,
        )
        sent.append((each, done))
    # Searches are repeated until they are answered, so each reply meets the connections that all searches left.
    cache: Cache = {}
    found: list[tuple[Destination, Response]] = []
    for destination, done in sent:
        for response in responses(world, state, scene.servers, done, asker, pvs):
            follow(world, state, response, asker, cache)
            found.append((destination, response))
    named = []
    for each in searching.name_servers:
        tried = connect(world, state, host, each.address, each.port, sport=49001, uid=asker.uid, trace=each.why)
        if tried.listener is None:
            continue
        server = scene.servers.get(tried.listener.owner)
        if server is None or server.mute:
            continue
        for pv in pvs:
            if pv not in server.pvs:
                continue
            at, to = server.announces.get(pv, (0, 0))
            reached: str | None = server.name
            if at:
                final = connect(world, state, host, at, to, sport=49002, uid=asker.uid, trace=tried.trace)
                reached = None if final.listener is None else final.listener.owner
            named.append((each, pv, reached, tried.chance))
    return Search(searching, sent, found, client.timeout >= PATIENCE, named)


def predict_client(scene: Stage, client: Client, *, why: bool = True) -> ClientPrediction:
    """Compute what a client gets in one try."""
    pvs = client.pvs or all_pvs(scene.scenario.servers)
    done = search(scene, client, pvs)
    each_pv = tuple(pv_prediction(scene, done, pv, why=why) for pv in pvs)
    reads, connects = _reads(done, each_pv), _ends(each_pv)
    return ClientPrediction(
        name=client.name,
        searches_to=tuple(str(to) for to, sent in done.sent if sent.error is None),
        refused=tuple(f"{to} {sent.error}" for to, sent in done.sent if sent.error is not None),
        silent=not any(sent.error is None for _, sent in done.sent),
        reads=reads.outcome(),
        connects=connects.outcome(),
        pvs=each_pv,
        sure={"reads": reads, "connects": connects},
        modelled=scene.modelled and client.implementation != "command",
        reasons=_client_story(done) if why else (),
    )


def pv_prediction(scene: Stage, done: Search, pv: str, *, why: bool) -> PvPrediction:
    """Say whether a search finds a PV, by which ways, and whose."""
    ways: list[Way] = []
    certain: set[str | None] = set()
    lucky: set[str | None] = set()
    for destination, response in done.found:
        if pv not in response.server.pvs or not response.reply.arrived:
            continue
        reached = response.reached
        serves = reached is not None and pv in scene.servers[reached].pvs
        connecting = response.connecting
        lossy = response.reply.chance or (connecting is not None and connecting.chance)
        chance = response.lucky or (lossy and not done.patient)
        (lucky if chance else certain).add(reached if serves else None)
        ways.append(
            Way(
                destination=str(destination),
                server=response.server.name,
                announced=response.announced,
                reached=reached if serves else None,
                lucky=chance,
                reasons=reasons(connecting.trace if connecting is not None else response.reply.trace) if why else (),
            )
        )
    for destination, name, owner, chance in done.named:
        if name != pv:
            continue
        serves = owner is not None and pv in scene.servers[owner].pvs
        (lucky if chance else certain).add(owner if serves else None)
        ways.append(
            Way(
                destination=str(destination),
                server=owner or "",
                announced=str(destination),
                reached=owner if serves else None,
                lucky=chance,
                reasons=reasons(destination.why) if why else (),
            )
        )
    servers = tuple(sorted(each for each in certain | lucky if each is not None))
    if not servers:
        verdict = "never"
    elif certain and None not in certain and None not in lucky:
        verdict = "always"
    elif None in certain and certain == {None} and not lucky - {None}:
        verdict = "never"
    else:
        verdict = "luck"
    return PvPrediction(pv=pv, verdict=verdict, servers=servers, ways=tuple(ways))


def _reads(done: Search, pvs: Sequence[PvPrediction]) -> Sure:
    """Return which PVs a try reads: certain ones, and for each shared unicast those of exactly one server."""
    always = frozenset(each.pv for each in pvs if each.verdict == "always")
    maybe = frozenset(each.pv for each in pvs if each.verdict == "luck")
    picks: list[frozenset[str]] = []
    exact = True
    for delivery in {id(r.delivery): r.delivery for _, r in done.found if r.lucky}.values():
        owners = {s.owner for s in delivery.sockets}
        theirs: dict[str, set[str]] = {name: set() for name in owners}
        for _, response in done.found:
            if response.delivery is delivery and response.reached is not None and response.reply.arrived:
                theirs.setdefault(response.server.name, set()).update(
                    each.pv for each in pvs if each.verdict == "luck" and each.pv in response.server.pvs
                )
        exact &= all(len(each) == 1 for each in theirs.values()) and not delivery.arrival.packet.chance
        exact &= not any(r.reply.chance for _, r in done.found if r.delivery is delivery)
        picks.append(frozenset(pv for each in theirs.values() for pv in each))
    if not exact or len(picks) != 1 or picks[0] != maybe:
        return Sure(always=always, maybe=maybe)
    return Sure(always=always, maybe=maybe, picks=tuple(picks))


def _ends(pvs: Sequence[PvPrediction]) -> Sure:
    """Return which servers a try ends up with."""
    always = frozenset(each.servers[0] for each in pvs if each.verdict == "always" and len(each.servers) == 1)
    maybe = frozenset(name for each in pvs for name in each.servers) - always
    shared = [frozenset(each.servers) for each in pvs if each.verdict == "always" and len(each.servers) > 1]
    luck = [each for each in pvs if each.verdict == "luck"]
    if luck and not shared and all(len(each.servers) == 1 for each in luck):
        return Sure(always=always, maybe=maybe, picks=(maybe,) if maybe else (), maybe_none=True)
    return Sure(always=always, maybe=maybe, picks=tuple(each for each in shared if not each & always))


def _client_story(done: Search) -> tuple[Reason, ...]:
    traces: list[Trace] = list(done.searching.remarks)
    for _, sent in done.sent:
        traces += [each.trace for each in sent.drops]
        traces += [each.trace for each in sent.unheard]
        traces += [each.trace for each in sent.deliveries]
    return merged(traces)
