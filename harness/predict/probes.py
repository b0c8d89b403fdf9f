"""What comes of the searches of a probe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from canet.harness.predict.exchange import Delivered, deliver
from canet.harness.predict.firewall import ANY_PORT
from canet.harness.predict.payloads import stop_at, stop_where_it_bounces
from canet.harness.predict.prediction import ProbePrediction, Sure
from canet.harness.predict.replies import Asker, Cache, Response, follow, responses
from canet.harness.predict.stage import Stage, all_pvs, datagram_size, merged
from canet.harness.predict.trace import Reason, Trace, address
from canet.scenarios.model import WITNESS, Probe


def predict_probe(scene: Stage, probe: Probe, *, why: bool = True) -> ProbePrediction:
    """Compute what comes of each datagram of a probe; many names may need several."""
    names = (WITNESS, *(probe.pvs or all_pvs(scene.scenario.servers)))
    every = batches(names, probe.size) if probe.payload is None else [names]
    told = [_datagram(scene, probe, batch, why=why) for batch in every]
    first = told[0]
    if len(told) == 1:
        return first
    sure = {key: _merged([each.sure[key] for each in told]) for key in ("received", "answered", "connects")}
    return ProbePrediction(
        name=probe.name,
        received=sure["received"].outcome(),
        answered=sure["answered"].outcome(),
        connects=sure["connects"].outcome(),
        replies=(min(each.replies[0] for each in told), max(each.replies[1] for each in told)),
        reply_from=tuple(dict.fromkeys(at for each in told for at in each.reply_from)),
        error=first.error,
        sure=sure,
        unknown=first.unknown,
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
    payload = None if probe.payload is None else bytes.fromhex(probe.payload)
    stop_at(world, scene.servers, sent, payload)
    answers = responses(world, state, scene.servers, sent, asker, names, once=True, payload=payload)
    cache: Cache = {}
    for each in answers:
        if probe.connect:
            follow(world, state, each, asker, cache)
    back = [each for each in answers if each.reply.arrived]
    for each in answers:
        stop_where_it_bounces(world, each.server, each.reply)
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
        # Nothing tells who has read raw bytes: neither servers nor their answers name the datagram.
        sure={"answered": answered, "connects": connects} | ({} if payload is not None else {"received": received}),
        unknown=scene.unknown or _unknown(scene, probe, answers),
        reasons=_story(sent, answers) if why else (),
    )


def _unknown(scene: Stage, probe: Probe, answers: Sequence[Response]) -> str:
    """Return why the datagrams of a probe are not all alike, if they are not."""
    slow = [each.server.name for each in answers if each.server.answer_from > 1]
    if slow:
        return f"{slow[0]} does not answer the first searches for a name"
    deaf = [each.name for each in scene.servers.values() if each.fragile and not each.udp]
    if deaf and probe.sources * probe.repeat > 1:
        return f"{deaf[0]} has stopped reading searches at one of several datagrams"
    return ""


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
        datagrams = {id(each.reply): each for each in back if each.delivery is delivery}
        sure = Counter(each.server.name for each in datagrams.values() if not each.reply.chance)
        most = Counter(each.server.name for each in datagrams.values())
        owners = {s.owner for s in delivery.sockets}
        if delivery.everyone:
            low += sum(sure.values())
            high += sum(most.values())
        else:
            low += min((sure[name] for name in owners), default=0)
            high += max((most[name] for name in owners), default=0)
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
