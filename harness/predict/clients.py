"""What a client gets in one try: its searches, the replies that come back, whom it ends up with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from canet.harness.predict.addresses import READERS, Destination, Searching
from canet.harness.predict.exchange import Delivered, connect, deliver
from canet.harness.predict.prediction import ClientPrediction, PvPrediction, Sure, Way
from canet.harness.predict.replies import Asker, Cache, Response, follow, responses
from canet.harness.predict.stage import Stage, all_pvs, datagram_size, merged
from canet.harness.predict.trace import Reason, Trace, reasons
from canet.scenarios.model import Client

PATIENCE = 5.0
"""Seconds within which libca repeats a search some seven times (first after 32 ms, then at doubled intervals)."""

FIRST_PAUSE = 0.032
"""Seconds after which libca repeats a search for the first time, then after twice as long (``searchTimer.cpp``)."""
FOREIGN = "it is a program that the model does not know"


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


def destinations(scene: Stage, client: Client) -> Searching:
    """Compute where a client searches that starts now."""
    reader = READERS.get(client.implementation, READERS["libca"])
    return reader(client.name, scene.world.network.hosts[client.host], client.env)


def search(scene: Stage, client: Client, pvs: Sequence[str], searching: Searching | None = None) -> Search:
    """Let a client search and follow the replies; ``searching``: what it found out when it started."""
    world, state, port = scene.world, scene.memory, scene.port()
    host = world.network.hosts[client.host]
    searching = searching or destinations(scene, client)
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
            late = FIRST_PAUSE * (2 ** (response.server.answer_from - 1) - 1)
            if late > client.timeout:
                continue
            response.lucky |= late > client.timeout / 2
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
            if reached is not None and not scene.servers[reached].knows(pv):
                reached = None
            named.append((each, pv, reached, tried.chance))
    return Search(searching, sent, found, client.timeout >= PATIENCE, named)


def predict_client(
    scene: Stage, client: Client, *, why: bool = True, searching: Searching | None = None
) -> ClientPrediction:
    """Compute what a client gets in one try; ``searching``: what it found out when it started, if that is long ago."""
    pvs = client.pvs or all_pvs(scene.scenario.servers)
    done = search(scene, client, pvs, searching)
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
        unknown=scene.unknown or (FOREIGN if client.implementation == "command" else ""),
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
        serves = owner is not None
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
