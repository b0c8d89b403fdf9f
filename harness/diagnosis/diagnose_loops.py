"""Causes in gateways that find each other: searches that go round, PVs that come by the wrong way."""

from __future__ import annotations

from collections.abc import Iterator

from canet.harness.diagnosis.diagnose_changes import Change, with_server
from canet.harness.predict import stage
from canet.harness.predict.clients import search
from canet.scenarios.model import Client, Scenario, Server


def gateways(scenario: Scenario) -> list[Server]:
    """Return the gateways of a scenario."""
    return [each for each in scenario.servers if each.implementation == "gateway"]


def answered_by(scenario: Scenario, subject: str) -> dict[str, set[str]]:
    """Return for each gateway the other gateways that answer what it searches for."""
    members = gateways(scenario)
    found: dict[str, set[str]] = {each.name: set() for each in members}
    if len(members) < 2:
        return found
    scene = stage(scenario, subject)
    names = tuple(sorted(frozenset().union(*(scene.servers[each.name].pvs for each in members))))
    for each in members:
        eye = Client(name=each.name, host=each.host, implementation="canet", env=each.env)
        for _, response in search(scene, eye, names).found:
            if response.server.name in found and response.server.name != each.name:
                found[each.name].add(response.server.name)
    return found


def circles(scenario: Scenario, subject: str) -> Iterator[tuple[str, str]]:
    """Yield each gateway whose own searches come back to it through others, and who answers it first."""
    ways = answered_by(scenario, subject)
    for name, answers in ways.items():
        reached, left = set(answers), list(answers)
        while left:
            new = ways[left.pop()] - reached
            reached |= new
            left += new
        if name in reached:
            yield name, min(answers)


def loop(scenario: Scenario) -> Iterator[Change]:
    """A gateway does not ignore the searches of another one."""
    for one, other, source, wrong in _listening(scenario):
        if not wrong:
            text = f"{one.name} and {other.name}: each gateway hears and answers the searches of the other one"
            yield text, _ignoring(scenario, one, source)


def wrong_side(scenario: Scenario) -> Iterator[Change]:
    """A gateway ignores another one by an address from which it does not search here."""
    for one, other, source, wrong in _listening(scenario):
        for address in wrong:
            text = (
                f"the address that {one.name} ignores, {address}, is that of the gateway {other.name} on its other "
                f"side; its searches come from {source}"
            )
            yield text, _ignoring(scenario, one, source)


def _listening(scenario: Scenario) -> Iterator[tuple[Server, Server, str, list[str]]]:
    """Yield two gateways, an address of the second that the first does not ignore, and those that it does."""
    members = gateways(scenario)
    for one in members:
        ignored = one.env.get("EPICS_CAS_IGNORE_ADDR_LIST", "").split()
        for other in members:
            own = [str(each.ip) for each in scenario.topology.host(other.host).addresses]
            for source in own if other is not one else ():
                if source not in ignored:
                    yield one, other, source, [each for each in ignored if each in own]


def _ignoring(scenario: Scenario, gateway: Server, source: str) -> Scenario:
    listed = gateway.env.get("EPICS_CAS_IGNORE_ADDR_LIST", "")
    env = {**gateway.env, "EPICS_CAS_IGNORE_ADDR_LIST": f"{listed} {source}".strip()}
    return with_server(scenario, gateway, env=env)
