"""The table of what else is wrong: faults that steps, files and settings show, besides what is not found.

Each entry looks at one matter and yields kind, subject and sentence; the engine makes symptoms of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from canet.harness.diagnosis.diagnose_access import misjudged
from canet.harness.diagnosis.diagnose_events import late_networks, paused_servers, stale_clients, stale_names
from canet.harness.diagnosis.diagnose_ignored import stray_entries
from canet.harness.diagnosis.diagnose_load import slow_answers, storms, unresponsive
from canet.harness.diagnosis.diagnose_loops import circles
from canet.harness.diagnosis.diagnose_numbers import alike
from canet.harness.diagnosis.diagnose_repeater import held_pipes, orphaned
from canet.harness.diagnosis.diagnose_trains import needless_echoes
from canet.harness.diagnosis.diagnose_versions import unshielded
from canet.scenarios.model import Scenario

Seen = tuple[str, str, str]


def _order(scenario: Scenario, subject: str) -> Iterator[Seen]:
    for name in paused_servers(scenario):
        yield "paused", name, f"{name} is stopped and answers nobody"
    for name, host in late_networks(scenario, subject):
        yield "late-network", name, f"{name} sends no beacons to the network that {host} got after its start"
    for name, place in stale_names(scenario):
        yield "stale-name", name, f"{name} still searches where names of {place} led to before"
    for name, _ in stale_clients(scenario):
        yield "stale", name, f"{name} does not notice for minutes that its server has gone"


def _load(scenario: Scenario, _subject: str) -> Iterator[Seen]:
    for server, client in unresponsive(scenario):
        yield "unresponsive", client, f"{client} calls its circuit to {server} unresponsive: no echo came back in time"
    for client, server, needed in slow_answers(scenario):
        yield "slow", client, f"{client} finds PVs of {server} only after {needed:.1f} s of growing pauses"
    for place, server, _ in storms(scenario):
        yield "drowned", f"{server} {place}", f"searches for {server} are lost, since its receive buffer is full"


def _repeater(scenario: Scenario, _subject: str) -> Iterator[Seen]:
    for host, text in orphaned(scenario):
        yield "orphaned", host, text
    for client, path in held_pipes(scenario):
        yield "held-pipe", client.name, f"the output of {client.name} does not end as long as {path} runs"


def _trains(scenario: Scenario, _subject: str) -> Iterator[Seen]:
    for client, text in needless_echoes(scenario):
        yield "needless-echo", client, text


def _loops(scenario: Scenario, subject: str) -> Iterator[Seen]:
    for name, first in circles(scenario, subject):
        yield "loop", name, f"searches of {name} come back to it by way of {first}"


def _settings(scenario: Scenario, _subject: str) -> Iterator[Seen]:
    for server, word in stray_entries(scenario):
        yield "stray-entry", f"{server.name} {word}", f"{server.name} shall ignore {word}, which is nobody's address"
    for first, second, number in alike(scenario):
        yield "same-number", second.name, f"{second.name} bears the number {number} of {first.name} for another name"


MATTERS: tuple[Callable[[Scenario, str], Iterator[Seen]], ...] = (
    _order,
    _load,
    _repeater,
    _trains,
    _loops,
    misjudged,
    unshielded,
    _settings,
)
"""Everything that is looked at."""
