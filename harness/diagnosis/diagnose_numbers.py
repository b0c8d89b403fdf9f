"""Causes in the numbers of searches: one that is used twice makes a late reply the answer to another search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from canet.harness.diagnosis.diagnose_changes import Change
from canet.scenarios.model import Probe, Scenario
from canet.server.protocol.commands import Command
from canet.server.protocol.message import Message, read_datagram


def alike(scenario: Scenario) -> Iterator[tuple[Probe, Probe, int]]:
    """Yield two probes from one port that search for different names under the same number, and that number."""
    written = [each for each in scenario.probes if each.payload is not None and each.source_port is not None]
    for place, second in enumerate(written):
        for first in written[:place]:
            if (first.host, first.source_port) != (second.host, second.source_port):
                continue
            before = dict(_searches(first))
            for number, name in _searches(second):
                if before.get(number, name) != name:
                    yield first, second, number


def _searches(probe: Probe) -> list[tuple[int, bytes]]:
    """Return number and name of each search that a probe writes byte by byte."""
    return [(each.p2, each.payload.rstrip(b"\0")) for each in _messages(probe) if each.command == Command.SEARCH]


def _messages(probe: Probe) -> list[Message]:
    try:
        return read_datagram(bytes.fromhex(probe.payload or ""))
    except ValueError:
        return []


def same_number(scenario: Scenario) -> Iterator[Change]:
    """A client gives several searches the same number."""
    for first, second, number in alike(scenario):
        taken = {used for each in scenario.probes for used, _ in _searches(each)}
        free = next(each for each in range(1, len(taken) + 2) if each not in taken)
        messages = [
            replace(each, p1=free, p2=free) if (each.command, each.p2) == (Command.SEARCH, number) else each
            for each in _messages(second)
        ]
        changed = replace(second, payload=b"".join(each.pack() for each in messages).hex())
        text = (
            f"the client numbers its searches {first.name} and {second.name} alike ({number}), so that a late reply to "
            "the first is taken for the answer to the second"
        )
        yield text, replace(scenario, probes=tuple(changed if each is second else each for each in scenario.probes))
