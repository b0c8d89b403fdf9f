"""Causes in versions: a server that is too old for a variable that is set for it."""

from __future__ import annotations

from collections.abc import Iterator

from canet.harness.diagnosis.diagnose_changes import Change, with_server
from canet.harness.predict import Prediction, predict
from canet.scenarios.model import Scenario, Server
from canet.scenarios.versions import KNOWN_SINCE, unknown


def _updated(scenario: Scenario, server: Server, variable: str) -> Scenario:
    return with_server(scenario, server, options={**server.options, "version": KNOWN_SINCE[variable][0]})


def unshielded(scenario: Scenario, subject: str) -> Iterator[tuple[str, str, str]]:
    """Yield kind, client or probe, and sentence where someone reaches a server that its settings keep from them."""
    for server in scenario.servers:
        lost = unknown(server)
        if not lost:
            continue
        now = _reached(predict(scenario, subject, why=False, beacons=False))
        then = scenario
        for variable in lost:
            then = _updated(then, server, variable)
        meant = _reached(predict(then, subject, why=False, beacons=False))
        for name, servers in now.items():
            if server.name in servers - meant[name]:
                yield "unshielded", name, f"{name} reaches {server.name}, which {' and '.join(lost)} should prevent"


def _reached(told: Prediction) -> dict[str, frozenset[str]]:
    """Return whom each client and probe reaches, surely or by luck."""
    clients = {each.name: frozenset(who for pv in each.pvs for who in pv.servers) for each in told.clients}
    return clients | {each.name: frozenset(each.connects.members) for each in told.probes}


def too_old(scenario: Scenario) -> Iterator[Change]:
    """A server's version does not know a variable."""
    for server in scenario.servers:
        for variable in unknown(server):
            since, _ = KNOWN_SINCE[variable]
            text = (
                f"{server.name} serves as if {variable} were not set, since its version {server.options['version']} "
                f"does not know it ({since} does)"
            )
            yield text, _updated(scenario, server, variable)
