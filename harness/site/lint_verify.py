"""Try a remedy in a lab: the client must fail before the change and succeed after it."""

from __future__ import annotations

from dataclasses import replace

from canet.harness.observation import Observation
from canet.harness.site.lint import Finding
from canet.scenarios.model import Client, Scenario

SUBJECT = "asyncio"
"""Our own servers stand in for the site's IOCs: they bind as rsrv does, and start at once."""


def verify_in_lab(finding: Finding) -> str:
    """Run the part of the site that shows a finding, before and after; return what was seen, in words."""
    if finding.scenario is None or finding.healed is None:
        return "there is nothing to try"
    before, after = (_reads(_ours(each)) for each in (finding.scenario, finding.healed))
    client = finding.healed.clients[0]
    wanted = set(client.pvs or [pv for server in finding.healed.servers for pv in server.pvs])
    if len(after & wanted) > len(before & wanted):
        return f"{len(before & wanted)} of {len(wanted)} PVs before, {len(after & wanted)} after"
    return f"no difference: {len(after & wanted)} of {len(wanted)} PVs"


def _ours(scenario: Scenario) -> Scenario:
    servers = tuple(
        replace(each, implementation="canet", layout="rsrv") if each.implementation == "rsrv" else each
        for each in scenario.servers
    )
    clients = tuple(_quick(each) for each in scenario.clients[:1])
    return replace(scenario, servers=servers, clients=clients)


def _quick(client: Client) -> Client:
    return replace(client, timeout=1.0, tries=1)


def _reads(scenario: Scenario) -> set[str]:
    from canet.harness.lab.lab import run

    seen = run(scenario, SUBJECT)
    assert isinstance(seen, Observation)
    return {pv for client in seen.clients for each in client.tries for pv in each.values}
