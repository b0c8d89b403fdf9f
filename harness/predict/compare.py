"""What the model says about a case, in the form that the kernel's answer has, and the differences between the two."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address

from canet.harness.predict.cases import Case, ShotSpec
from canet.harness.predict.exchange import World, answer, connect, deliver
from canet.harness.predict.firewall import ANY_PORT, Packet, State
from canet.harness.predict.network import Network
from canet.harness.predict.route import route_output
from canet.harness.predict.sockets import TcpListener, UdpSocket, bind_address
from canet.harness.predict.tables import compile_network
from canet.harness.predict.trace import Trace, address, steps


@dataclass(slots=True)
class ShotResult:
    """What one shot gave: the errno name of the send, and who read it as sets of names.

    ``groups``: one entry per delivery, ``(everyone, names)``. ``replies``: name of the socket → source ``A:PORT`` as
    the asker sees it, for each whose reply comes back if it gets the datagram.
    """

    error: str | None = None
    groups: list[tuple[bool, frozenset[str]]] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    accepted: str | None = None
    seen: list[str] = field(default_factory=list)
    """Kernel only: names that read it, sorted."""
    chance: bool = False


@dataclass(slots=True)
class CaseResult:
    """What a case gave: sockets that could not be opened (name → errno), and each shot."""

    refused: dict[str, str] = field(default_factory=dict)
    shots: list[ShotResult] = field(default_factory=list)


def number(text: str) -> int:
    """Return an address as a number."""
    return int(IPv4Address(text))


def predict_case(case: Case, rules: set[str] | None = None) -> CaseResult:
    """Compute a case; the ids of the rules that it touched are added to ``rules``."""
    network = compile_network(case.topology)
    world = World(network)
    result = CaseResult()
    touched: list[Trace] = []
    for spec in case.sockets:
        host = network.hosts[spec.host]
        if spec.tcp:
            listening = world.listening(spec.host)
            error = _listen_error(network, world, spec.host, number(spec.address), spec.port)
            if error is None:
                listener = TcpListener(spec.name, number(spec.address), spec.port, uid=spec.uid, full=spec.full)
                listening.sockets.append(listener)
        else:
            socket = UdpSocket(spec.name, number(spec.address), spec.port, spec.reuse_addr, spec.reuse_port, spec.uid)
            error = world.bound(spec.host).bind(host, socket)
            for group in spec.groups if error is None else ():
                error = error or join(world, spec.host, group)
                if error is not None:
                    world.bound(spec.host).close(socket)
        if error is not None:
            result.refused[spec.name] = error
    state = State()
    for shot in case.shots:
        result.shots.append(_shot(world, state, shot, touched))
    if rules is not None:
        for trace in touched:
            rules.update(rule for rule, _ in steps(trace))
    return result


def _listen_error(network: Network, world: World, host: str, at: int, port: int) -> str | None:
    error, _ = bind_address(network.hosts[host], at)
    if error is not None:
        return error
    return "EADDRINUSE" if world.listening(host).taken(at, port) else None


def join(world: World, host: str, group: str) -> str | None:
    """Join a multicast group, ``G`` (by route) or ``G@interface``; return an errno name or ``None``."""
    tables = world.network.hosts[host]
    text, _, name = group.partition("@")
    to = number(text)
    if name:
        device = tables.by_name[name]
    else:
        way = route_output(tables, Packet(17, 0, 0, to, 0), None)
        if isinstance(way, str):
            return "ENODEV"
        device = way.device
    world.groups.setdefault(to, set()).add(device)
    return None


def _shot(world: World, state: State, shot: ShotSpec, touched: list[Trace]) -> ShotResult:
    host = world.network.hosts[shot.host]
    result = ShotResult()
    bind = number(shot.bind)
    result.error, _ = bind_address(host, bind)
    if result.error is not None:
        return result
    if shot.tcp:
        tried = connect(world, state, host, number(shot.to), shot.port, source=bind, sport=shot.sport, uid=shot.uid)
        touched.append(tried.trace)
        result.accepted = None if tried.error is not None or tried.listener is None else tried.listener.owner
        result.chance = tried.chance
        return result
    ttl = 1 if number(shot.to) >> 28 == 14 else 64
    sent = deliver(
        world,
        state,
        host,
        number(shot.claims) if shot.claims else bind,
        shot.sport,
        number(shot.to),
        shot.port,
        size=shot.size,
        uid=shot.uid,
        ttl=ttl,
        device=host.by_name[shot.through] if shot.through else None,
        link_level=bool(shot.through),
        to_all=bool(shot.through),
    )
    result.error, result.chance = sent.error, sent.chance
    touched.extend(each.trace for each in sent.drops)
    touched.extend(each.trace for each in sent.unheard)
    for delivery in sent.deliveries:
        touched.append(delivery.trace)
        result.groups.append((delivery.everyone, frozenset(each.owner for each in delivery.sockets)))
        result.chance |= delivery.arrival.packet.chance
    for delivery in sent.deliveries:
        for socket in delivery.sockets:
            asker = number(shot.claims) if shot.claims else bind
            back = answer(world, state, delivery, socket, host, asker, shot.sport)
            touched.append(back.trace)
            if back.arrived:
                result.replies[socket.owner] = f"{address(back.source)}:{back.sport}"
            result.chance |= back.chance
    return result


def differences(case: Case, model: CaseResult, kernel: CaseResult) -> list[str]:
    """Return each difference in a sentence; empty where model and kernel agree."""
    found = []
    for spec in case.sockets:
        said, did = model.refused.get(spec.name), kernel.refused.get(spec.name)
        if said != did:
            found.append(f"socket {spec.name}: model {said or 'opens'}, kernel {did or 'opens'}")
    for place, (shot, ours, theirs) in enumerate(zip(case.shots, model.shots, kernel.shots, strict=True)):
        what = f"shot {place} {shot.host} → {shot.to}:{shot.port}{' tcp' if shot.tcp else ''}"
        found.extend(f"{what}: {each}" for each in _shot_differences(ours, theirs))
        if ours.chance:
            break  # what hosts have learnt from it is luck, too
    return found


def _shot_differences(said: ShotResult, did: ShotResult) -> list[str]:
    found = []
    if said.error != did.error and not (said.chance and did.error == "EPERM"):
        found.append(f"sendto: model {said.error or 'sends'}, kernel {did.error or 'sends'}")
    if said.accepted != did.accepted and not (said.chance and did.accepted is None):
        found.append(f"connection: model {said.accepted}, kernel {did.accepted}")
    left = list(did.seen)
    expected = 0
    for everyone, names in said.groups:
        present = [each for each in left if each in names]
        wanted = len(names) if everyone else 1
        expected += wanted
        if everyone and set(present) >= names:
            for each in names:
                left.remove(each)
        elif not everyone and present:
            left.remove(present[0])
        elif said.chance:
            for each in present:
                left.remove(each)
        else:
            kind = "all of" if everyone else "one of"
            found.append(f"received: model {kind} {sorted(names)}, kernel {did.seen}")
    if left:
        found.append(f"received besides: {left}")
    for name in did.seen:
        theirs, ours = did.replies.get(name), said.replies.get(name)
        if ours is not None and theirs is not None and ours.endswith(f":{ANY_PORT}"):
            ours, theirs = ours.partition(":")[0], theirs.partition(":")[0]
        if theirs != ours and not (said.chance and theirs is None):
            found.append(f"reply of {name}: model from {ours}, kernel from {theirs}")
    return found
