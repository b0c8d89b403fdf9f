"""Scenario → prediction: open the sockets, send every search, follow every reply."""

from __future__ import annotations

from fnmatch import fnmatchcase

from canet.harness.predict.beacons import predict_beacons
from canet.harness.predict.clients import predict_client, search
from canet.harness.predict.firewall import State
from canet.harness.predict.prediction import ClientPrediction, Prediction, ProbePrediction
from canet.harness.predict.probes import predict_probe
from canet.harness.predict.stage import Stage, set_up
from canet.scenarios.model import WITNESS, Client, Probe, Scenario


def stage(scenario: Scenario, subject: str = "asyncio") -> Stage:
    """Open all sockets of a scenario in the model, and let gateways and name servers find what they serve."""
    scene = set_up(scenario, subject)
    look_around(scene)
    return scene


def look_around(scene: Stage) -> None:
    """Let gateways and name servers search: what they find, they serve (two rounds, for one behind another)."""
    seekers = [each for each in scene.servers.values() if each.implementation in ("gateway", "nameserver")]
    everything = frozenset(pv for each in scene.servers.values() for pv in each.server.pvs)
    for each in seekers:
        for pattern, where in list(each.announces.items()):
            fitting = [pv for pv in everything if fnmatchcase(pv, pattern)]
            each.announces.update(dict.fromkeys(fitting, where))
            each.pvs |= frozenset(fitting)
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
    probes: dict[str, ProbePrediction] = {}
    clients: dict[str, ClientPrediction] = {}
    turn = {step.target: number for number, step in reversed(list(enumerate(scenario.steps)))}
    every: list[Probe | Client] = [*scenario.probes, *scenario.clients]
    for each in sorted(every, key=lambda one: turn.get(one.name, len(turn))):
        if isinstance(each, Probe):
            probes[each.name] = predict_probe(scene, each, why=why)
        else:
            clients[each.name] = predict_client(scene, each, why=why)
    return Prediction(
        scenario=scenario.key,
        subject=subject,
        probes=tuple(probes[each.name] for each in scenario.probes),
        clients=tuple(clients[each.name] for each in scenario.clients),
        beacons=predict_beacons(scene.world, State(), scene.servers, why=why) if beacons else (),
        dead=tuple((each.name, each.dead) for each in scene.servers.values() if each.dead is not None),
    )
