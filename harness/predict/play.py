"""A scenario's steps in the model: what must come of each probe, client, wait and watch at its moment.

Servers start and end, faults change the network, and whoever is asked then meets what is there then. Where a step does
what the model does not know (a fault that heals by the clock), what follows is not said, and why not is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from canet.harness.predict import staying
from canet.harness.predict.beacon_train import arrivals
from canet.harness.predict.beacons import predict_beacons
from canet.harness.predict.clients import predict_client
from canet.harness.predict.predict import look_around, predict, stage
from canet.harness.predict.prediction import (
    ClientPrediction,
    Happening,
    Hearing,
    Prediction,
    ProbePrediction,
    Standing,
)
from canet.harness.predict.probes import predict_probe
from canet.harness.predict.running import end, move
from canet.harness.predict.servers import start_one
from canet.harness.predict.stage import Stage, compiled
from canet.harness.predict.trace import address
from canet.netns.change import after
from canet.netns.named import named
from canet.netns.topology import Topology
from canet.scenarios.model import Scenario, Step

BEACON_PORT = 5065
DESCRIPTORS = 900
"""So many connections may be more than a server has descriptors for (1024, getrlimit(2))."""


@dataclass(slots=True)
class _Game:
    """How far a scenario has come."""

    scene: Stage
    topology: Topology
    started: int
    probes: dict[str, ProbePrediction] = field(default_factory=dict)
    clients: dict[str, ClientPrediction] = field(default_factory=dict)
    hearings: list[Hearing] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    heard: dict[str, set[str]] = field(default_factory=dict)
    """``host:port`` → sources of the beacons that may have come since the last step that listened there."""
    stays: dict[str, staying.Stay] = field(default_factory=dict)
    """Clients that stay."""
    still: set[str] = field(default_factory=set)
    """Servers that are paused."""
    standings: dict[str, Standing] = field(default_factory=dict)
    flooded: bool = False
    connections: int = 0
    lost: str = ""
    """Why the model no longer knows what there is."""

    @property
    def unknown(self) -> str:
        """Why the model does not know what comes of a search now; "" if it does."""
        if self.still:
            return f"{min(self.still)} is paused"
        if self.flooded:
            return "servers are still busy with a burst of searches"
        if self.connections > DESCRIPTORS:
            return "servers may run out of descriptors"
        return self.lost


def play(scenario: Scenario, subject: str = "asyncio", *, why: bool = True) -> Prediction:
    """Compute what must happen in a run of a scenario, step by step.

    Args:
        scenario: One variant.
        subject: Which implementation plays the servers.
        why: Put reasons into words.

    Raises:
        KeyError: A name in the scenario that nothing has.
        NetworkError: A fault that does not fit the network.
    """
    scene = stage(scenario, subject)
    game = _Game(scene, scenario.topology, len(scene.servers))
    for name in scene.servers:
        _stand(game, name)
    if not scenario.steps:
        return replace(predict(scenario, subject, why=why), standings=tuple(game.standings.values()))
    _announce(game)
    for step in scenario.steps:
        _do(game, step, why)
        for each in game.stays.values():
            if step.do != "await" or each.client.name != step.target:
                staying.pass_time(each, step)
    return Prediction(
        scenario=scenario.key,
        subject=subject,
        probes=tuple(game.probes.values()),
        clients=tuple(game.clients.values()),
        beacons=predict_beacons(scene.world, scene.memory, scene.servers, why=why),
        hearings=tuple(game.hearings),
        happenings=tuple(game.happenings),
        standings=tuple(game.standings.values()),
        dead=tuple((each.name, each.dead) for each in scene.servers.values() if each.dead is not None),
    )


def _do(game: _Game, step: Step, why: bool) -> None:
    scenario, target = game.scene.scenario, str(step.target)
    match step.do:
        case "probe":
            probe = next(each for each in scenario.probes if each.name == target)
            told = predict_probe(game.scene, probe, why=why)
            game.probes[target] = replace(told, unknown=game.unknown or told.unknown or _again(target, game.probes))
        case "client":
            client = next(each for each in scenario.clients if each.name == target)
            seen = predict_client(game.scene, client, why=why)
            game.clients[target] = replace(seen, unknown=game.unknown or seen.unknown or _again(target, game.clients))
        case "start":
            _start(game, target)
        case "stop" | "kill":
            _end(game, target)
        case "restart":
            _end(game, target)
            _start(game, target)
        case "pause" | "resume":
            _pause(game, target, asleep=step.do == "pause")
        case "fault":
            _fault(game, step)
        case "flood":
            game.flooded = bool(step.args.get("burst"))  # others wait until all is served
        case "tcp":
            game.connections += int(str(step.args.get("count", 1)))
        case "announce":
            _beat(game, step)
        case "watch":
            client = next(each for each in scenario.clients if each.name == target)
            game.stays[target] = staying.begin(game.scene, client)
        case "leave":
            game.stays.pop(target, None)
        case "await":
            _wait(game, step)
        case "beacons":
            _hear(game, step)
        case _:
            pass  # it changes neither network nor servers


def _again(name: str, before: Mapping[str, object]) -> str:
    return f"{name} runs several times, and its moments cannot be told apart" if name in before else ""


def _stand(game: _Game, name: str) -> None:
    """Note whether a server comes up, and on which sockets."""
    state = game.scene.servers[name]
    game.standings[name] = Standing(
        name=name,
        starts=state.dead is None,
        sockets=frozenset(f"{address(each.address)}:{each.port}" for each in state.udp),
        unknown=state.unknown or (f"a {state.implementation} is no Channel Access server" if state.mute else ""),
    )


def _start(game: _Game, name: str) -> None:
    """Start a server; gateways find what they now can."""
    scene = game.scene
    _settle(game)
    position = next(n for n, each in enumerate(scene.scenario.servers) if each.name == name)
    scene.servers[name] = start_one(
        scene.world, scene.scenario.servers[position], scene.subject, position, game.started
    )
    game.started += 1
    _stand(game, name)
    look_around(scene)
    _announce(game, name)


def _end(game: _Game, name: str) -> None:
    """End a server."""
    _settle(game)
    state = game.scene.servers.pop(name, None)
    if state is not None:
        end(game.scene.world, state)
        for each in game.stays.values():
            staying.notice_end(game.scene, each, state)
    game.still.discard(name)
    _announce(game)


def _fault(game: _Game, step: Step) -> None:
    """Change the network under the servers."""
    scene = game.scene
    _settle(game)
    game.topology = after(game.topology, named(step.args))
    move(scene.world, compiled(game.topology), scene.servers.values())
    scene.memory.neighbours.clear()
    scene.memory.waiting.clear()
    if step.args.get("heal_after") is not None:
        game.lost = "a fault heals by the clock"
    _announce(game)


def _pause(game: _Game, name: str, *, asleep: bool) -> None:
    """Stop a server or a client that stays, or let it go on."""
    _settle(game)
    if name in game.scene.servers:
        (game.still.add if asleep else game.still.discard)(name)
    if name in game.stays:
        game.stays[name].asleep = asleep


def _settle(game: _Game) -> None:
    """Let clients that stay have found what there has been so far: a step that waits has seen to it."""
    for each in game.stays.values():
        if each.fresh and not each.asleep:
            staying.settle(game.scene, each, [pv for pv, circuit in each.circuits.items() if circuit is None])
            each.fresh = False


def _beat(game: _Game, step: Step) -> None:
    """Let a client hear beacons that a step makes."""
    stay = game.stays.get(str(step.args.get("client")))
    if stay is not None:
        stay.train, at = tuple(arrivals(step)), str(step.args.get("server", "")).rpartition(":")[0]
        hosts = {each.host for each in game.scene.scenario.servers}
        stay.own = any(str(each.ip) == at for host in hosts for each in game.topology.host(host).addresses)


def _announce(game: _Game, new: str | None = None) -> None:
    """Let all servers send beacons: whoever listens may have heard them from now on; one may be ``new``."""
    scene = game.scene
    for each in predict_beacons(scene.world, scene.memory, scene.servers, why=False):
        for stay in game.stays.values():
            stay.told |= each.server == new and f"{stay.client.host}:{_repeater_port(stay)}" in each.heard_on
        for place, source in each.heard:
            game.heard.setdefault(place, set()).add(source)


def _hear(game: _Game, step: Step) -> None:
    """Say whose beacons come, now and since the last time."""
    place = f"{step.args['host']}:{step.args.get('port', BEACON_PORT)}"
    may = frozenset(game.heard.pop(place, ()))
    _announce(game)
    now = frozenset(game.heard.get(place, ()))
    label = str(step.args.get("label", step.target or "beacons"))
    others = any(each.do == "announce" for each in game.scene.scenario.steps)
    unknown = game.unknown or game.scene.unknown or ("steps send beacons of their own" if others else "")
    game.hearings.append(Hearing(label=label, may=may | now, some=bool(now), unknown=unknown))


def _repeater_port(stay: staying.Stay) -> str:
    return stay.client.env.get("EPICS_CA_REPEATER_PORT", str(BEACON_PORT))


def _wait(game: _Game, step: Step) -> None:
    """Say whether what a step waits for happens to a client that stays."""
    stay = game.stays[str(step.target)]
    told = staying.happens(game.scene, stay, step, game.still)
    label = str(step.args.get("label", step.target))
    unknown = game.scene.unknown or ("" if told is not None else "the moment is too near to be told")
    game.happenings.append(Happening(label=label, happens=bool(told), unknown=unknown))
    staying.waited(game.scene, stay, step, told)
