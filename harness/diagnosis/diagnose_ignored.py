"""Causes in EPICS_CAS_IGNORE_ADDR_LIST: whom a server ignores, whom it does not, and entries that are nobody's."""

from __future__ import annotations

from collections.abc import Iterator

from canet.harness.diagnosis.diagnose_changes import Change, with_server
from canet.scenarios.model import Scenario, Server

LIST = "EPICS_CAS_IGNORE_ADDR_LIST"


def stray_entries(scenario: Scenario) -> Iterator[tuple[Server, str]]:
    """Yield server and entry where no host of the scenario has an address that a server shall ignore."""
    for server in scenario.servers:
        for word in server.env.get(LIST, "").split():
            if not any(word == str(own.ip) for host in scenario.topology.hosts for own in host.addresses):
                yield server, word


def _without(scenario: Scenario, server: Server, kept: list[str]) -> Scenario:
    env = {key: value for key, value in server.env.items() if key != LIST}
    return with_server(scenario, server, env={**env, LIST: " ".join(kept)} if kept else env)


def stray(scenario: Scenario) -> Iterator[Change]:
    """An entry is nobody's address: whoever was meant is not ignored."""
    for server, word in stray_entries(scenario):
        kept = [each for each in server.env[LIST].split() if each != word]
        text = f"{LIST} of {server.name} holds {word}, which no host here has: searches come from other addresses"
        yield text, _without(scenario, server, kept)


def ineffective(scenario: Scenario) -> Iterator[Change]:
    """Caproto compares the list with address and port, so that no entry ever matches; others do not."""
    for server in scenario.servers:
        if server.env.get(LIST) and server.implementation in (None, "caproto"):
            text = f"the server {server.name} compares address and port with {LIST}, so that no entry ever matches"
            yield text, with_server(scenario, server, implementation="canet")


def ignored(scenario: Scenario) -> Iterator[Change]:
    """A server ignores the client."""
    strange = {(server.name, word) for server, word in stray_entries(scenario)}
    for server in scenario.servers:
        words = server.env.get(LIST, "").split()
        if any((server.name, word) not in strange for word in words):
            yield f"{server.name} ignores searches from {' '.join(words)} ({LIST})", _without(scenario, server, [])
