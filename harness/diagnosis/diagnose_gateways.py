"""Causes in gateways, name servers, and PVs that several servers have."""

from __future__ import annotations

from collections.abc import Iterator

from canet.harness.diagnosis.diagnose_changes import Change, with_server
from canet.scenarios.model import Scenario


def duplicate_pv(scenario: Scenario) -> Iterator[Change]:
    """Several servers serve the same PV."""
    for each in scenario.servers:
        for other in scenario.servers:
            shared = set(each.pvs) & set(other.pvs)
            if other is not each and shared:
                kept = {key: value for key, value in each.pvs.items() if key not in shared}
                text = f"{other.name} and {each.name} serve the same PV, {min(shared)}, and the first answer wins"
                yield text, with_server(scenario, each, pvs=kept)


def search_first(scenario: Scenario) -> Iterator[Change]:
    """A gateway does not look for what a client asks it for without a search."""
    for each in scenario.servers:
        if each.implementation == "gateway" and each.options.get("search_on_create") is False:
            options = {**each.options, "search_on_create": True}
            text = (
                f"the gateway {each.name} looks for a PV only when it is searched by UDP, and the client does "
                "not search it"
            )
            yield text, with_server(scenario, each, options=options)


def name_table(scenario: Scenario) -> Iterator[Change]:
    """A name server's table names an address where nobody serves."""
    for names in scenario.servers:
        table = str(names.options.get("table", ""))
        if names.implementation != "nameserver" or not table:
            continue
        for host in scenario.topology.hosts:
            own = [str(address.ip) for address in host.addresses]
            for word in table.split():
                for good in own:
                    if word.partition(":")[0] in own and good != word.partition(":")[0]:
                        options = {**names.options, "table": table.replace(word.partition(":")[0], good)}
                        text = f"the name server {names.name} names {word}, where {host.name} does not serve"
                        yield text, with_server(scenario, names, options=options)


def relay(scenario: Scenario) -> Iterator[Change]:
    """A relay sends searches with its own address."""
    for each in scenario.servers:
        if each.implementation == "relay" and each.options.get("keep_source") is False:
            text = (
                f"the relay {each.name} sends searches with its own address, so replies go to it and not to the client"
            )
            yield text, with_server(scenario, each, options={})
