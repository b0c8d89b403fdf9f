"""Causes in the beat of beacons that steps send to a client: late ones, lost ones, pauses, those of another server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from canet.harness.diagnosis.diagnose_changes import Change
from canet.harness.predict.beacon_train import Judged, arrivals, echoes, judge
from canet.scenarios.model import Client, Scenario, Step


@dataclass(frozen=True, slots=True)
class Train:
    """The beacons that one step sends to a client, and what it makes of them."""

    place: int
    """Which step."""
    step: Step
    client: Client
    own: bool
    """They announce an address of a server of the scenario."""
    judged: tuple[Judged, ...]
    needless: tuple[float, ...]
    """When the client sends echoes although it has settled in, in seconds from the first beacon."""


def trains(scenario: Scenario) -> Iterator[Train]:
    """Yield each train of beacons that goes to a client which is watched."""
    clients = {each.name: each for each in scenario.clients if each.implementation == "libca"}
    for place, step in enumerate(scenario.steps):
        client = clients.get(str(step.args.get("client")))
        if step.do != "announce" or client is None:
            continue
        beacons = arrivals(step)
        address = str(step.args.get("server", "")).rpartition(":")[0]
        own = any(
            str(known.ip) == address
            for each in scenario.servers
            for known in scenario.topology.host(each.host).addresses
        )
        judged = judge(beacons) if own else ()
        timeout = float(client.env.get("EPICS_CA_CONN_TMO") or 30.0)
        sent = echoes(judged, timeout, beacons[-1].at)
        yield Train(place, step, client, own, judged, sent[1:])


def needless_echoes(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield client and sentence where beacons do not spare a client its echoes."""
    for each in trains(scenario):
        if each.needless:
            odd = [found for found in each.judged[2:] if found.verdict not in ("good", "copy")]
            why = "; ".join(f"beacon {n.beacon.number} at {n.beacon.at:g} s counts as {n.verdict}" for n in odd)
            when = ", ".join(f"{at:g}" for at in each.needless)
            text = f"{each.client.name} asks its server with an echo at {when} s although the server lives"
            yield each.client.name, text + (f": {why}" if why else "")


def _changed(scenario: Scenario, train: Train, **args: object) -> Scenario:
    kept = {key: value for key, value in {**train.step.args, **args}.items() if value is not None}
    steps = list(scenario.steps)
    steps[train.place] = replace(train.step, args=kept)
    return replace(scenario, steps=tuple(steps))


def late(scenario: Scenario) -> Iterator[Change]:
    """One beacon comes late."""
    for each in trains(scenario):
        verdicts = {found.verdict for found in each.judged}
        if each.step.args.get("gaps") and "late" in verdicts and "pause" not in verdicts:
            text = f"a beacon comes late, by more than a quarter of the pace: {each.client.name} asks the server"
            yield text, _changed(scenario, each, gaps=None)


def paused_train(scenario: Scenario) -> Iterator[Change]:
    """Beacons pause for more than three periods."""
    for each in trains(scenario):
        if each.step.args.get("gaps") and any(found.verdict == "pause" for found in each.judged):
            text = (
                f"the beacons pause for more than 3.25 times their pace, which {each.client.name} takes for a restart"
            )
            yield text, _changed(scenario, each, gaps=None)


def lost(scenario: Scenario) -> Iterator[Change]:
    """Beacons are missing: libca leaves out the one after a small jump of their numbers."""
    for each in trains(scenario):
        jumps = [found.beacon.number for found in each.judged if found.verdict == "jump"]
        numbers = [found.beacon.number for found in each.judged]
        if jumps:
            text = f"a beacon before number {jumps[0]} was lost, and libca leaves out the one after the jump as well"
            whole = list(range(min(numbers), max(numbers) + 1))
            yield text, _changed(scenario, each, numbers=whole, gaps=None)


def foreign(scenario: Scenario) -> Iterator[Change]:
    """The beacons that a client hears are not those of its server."""
    for each in trains(scenario):
        if each.own:
            continue
        port = str(each.step.args.get("server", ":5064")).rpartition(":")[2]
        for server in scenario.servers:
            for address in scenario.topology.host(server.host).addresses:
                text = (
                    f"no beacons of {server.name} reach {each.client.name}, so that it has to ask the server every "
                    "EPICS_CA_CONN_TMO"
                )
                yield text, _changed(scenario, each, server=f"{address.ip}:{port}")
