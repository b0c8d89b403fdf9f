"""A scenario's steps in the model: what must come of each probe, client, wait and watch at its moment.

Servers start and end, faults change the network, and whoever is asked then meets what is there then. Where a step does
what the model does not know (a paused server, a fault that heals by the clock), what follows counts as not modelled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from canet.harness.predict.beacons import predict_beacons
from canet.harness.predict.clients import predict_client
from canet.harness.predict.predict import look_around, predict, stage
from canet.harness.predict.prediction import (
    ClientPrediction,
    Happening,
    Hearing,
    Prediction,
    ProbePrediction,
)
from canet.harness.predict.probes import predict_probe
from canet.harness.predict.running import end, move
from canet.harness.predict.servers import start_one
from canet.harness.predict.stage import Stage, compiled
from canet.netns.change import after
from canet.netns.named import named
from canet.netns.topology import Topology
from canet.scenarios.model import Scenario, Step

BEACON_PORT = 5065
FINDS = ("connected", "value")
"""Events of a client that stays which tell that it has found a PV."""


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
    fresh: set[str] = field(default_factory=set)
    """Clients that stay, and nothing has changed since they started."""
    still: set[str] = field(default_factory=set)
    """Servers that are paused."""
    lost: bool = False
    """The model no longer knows what there is."""

    @property
    def knows(self) -> bool:
        return not self.still and not self.lost


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
    if not scenario.steps:
        return predict(scenario, subject, why=why)
    scene = stage(scenario, subject)
    game = _Game(scene, scenario.topology, len(scene.servers))
    _announce(game)
    for step in scenario.steps:
        _do(game, step, why)
    return Prediction(
        scenario=scenario.key,
        subject=subject,
        probes=tuple(game.probes.values()),
        clients=tuple(game.clients.values()),
        beacons=predict_beacons(scene.world, scene.memory, scene.servers, why=why),
        hearings=tuple(game.hearings),
        happenings=tuple(game.happenings),
        dead=tuple((each.name, each.dead) for each in scene.servers.values() if each.dead is not None),
    )


def _do(game: _Game, step: Step, why: bool) -> None:
    scenario, target = game.scene.scenario, str(step.target)
    match step.do:
        case "probe":
            probe = next(each for each in scenario.probes if each.name == target)
            told = predict_probe(game.scene, probe, why=why)
            again = target in game.probes  # two moments under one name cannot be told apart afterwards
            game.probes[target] = replace(told, modelled=told.modelled and game.knows and not again)
        case "client":
            client = next(each for each in scenario.clients if each.name == target)
            seen = predict_client(game.scene, client, why=why)
            again = target in game.clients
            game.clients[target] = replace(seen, modelled=seen.modelled and game.knows and not again)
        case "start":
            _start(game, target)
        case "stop" | "kill":
            _end(game, target)
        case "restart":
            _end(game, target)
            _start(game, target)
        case "pause" | "resume":
            game.fresh.clear()
            if target in game.scene.servers:
                (game.still.add if step.do == "pause" else game.still.discard)(target)
        case "fault":
            _fault(game, step)
        case "flood" if step.args.get("burst"):
            game.lost = True  # receive buffers overflow
        case "tcp" if int(str(step.args.get("count", 1))) > 1:
            game.lost = True  # servers may run out of descriptors
        case "watch":
            game.fresh.add(target)
        case "await":
            _wait(game, step)
        case "beacons":
            _hear(game, step)
        case _:
            pass  # it changes neither network nor servers


def _start(game: _Game, name: str) -> None:
    """Start a server; gateways find what they now can."""
    scene = game.scene
    position = next(n for n, each in enumerate(scene.scenario.servers) if each.name == name)
    scene.servers[name] = start_one(
        scene.world, scene.scenario.servers[position], scene.subject, position, game.started
    )
    game.started += 1
    look_around(scene)
    _changed(game)


def _end(game: _Game, name: str) -> None:
    """End a server."""
    state = game.scene.servers.pop(name, None)
    if state is not None:
        end(game.scene.world, state)
    game.still.discard(name)
    _changed(game)


def _fault(game: _Game, step: Step) -> None:
    """Change the network under the servers."""
    scene = game.scene
    game.topology = after(game.topology, named(step.args))
    move(scene.world, compiled(game.topology), scene.servers.values())
    scene.memory.neighbours.clear()
    scene.memory.waiting.clear()
    game.lost = game.lost or step.args.get("heal_after") is not None
    _changed(game)


def _changed(game: _Game) -> None:
    game.fresh.clear()
    _announce(game)


def _announce(game: _Game) -> None:
    """Let all servers send beacons: whoever listens may have heard them from now on."""
    scene = game.scene
    for each in predict_beacons(scene.world, scene.memory, scene.servers, why=False):
        for place, source in each.heard:
            game.heard.setdefault(place, set()).add(source)


def _hear(game: _Game, step: Step) -> None:
    """Say whose beacons come, now and since the last time."""
    place = f"{step.args['host']}:{step.args.get('port', BEACON_PORT)}"
    may = frozenset(game.heard.pop(place, ()))
    _announce(game)
    now = frozenset(game.heard.get(place, ()))
    label = str(step.args.get("label", step.target or "beacons"))
    known = game.knows and game.scene.modelled and not any(each.do == "announce" for each in game.scene.scenario.steps)
    game.hearings.append(Hearing(label=label, may=may | now, some=bool(now), modelled=known))


def _wait(game: _Game, step: Step) -> None:
    """Say whether a client that stays finds its PVs, where nothing has changed since it started."""
    scene, name = game.scene, str(step.target)
    if name not in game.fresh or step.args.get("event", "connected") not in FINDS:
        return
    client = next(each for each in scene.scenario.clients if each.name == name)
    seen = predict_client(scene, client, why=False)
    wanted = {str(step.args["pv"])} if "pv" in step.args else {each.pv for each in seen.pvs}
    verdicts = {each.verdict for each in seen.pvs if each.pv in wanted}
    happens = False if "never" in verdicts else True if verdicts == {"always"} else None
    slow = any(each.implementation in ("gateway", "scripted") for each in scene.servers.values())
    if happens is None or (happens and slow):  # how long a gateway takes is its own affair
        return
    label = str(step.args.get("label", name))
    game.happenings.append(Happening(label=label, happens=happens, modelled=seen.modelled and game.knows))
