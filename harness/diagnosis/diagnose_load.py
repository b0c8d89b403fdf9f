"""Causes in time and load: a server that pauses, one that answers late searches only, a receive buffer that is full."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from canet.harness.diagnosis.diagnose_changes import Change, with_server
from canet.scenarios.model import Scenario, Step

ECHO_TIMEOUT = 5.0
"""Seconds that libca waits for the answer to an echo (CA_ECHO_TIMEOUT in ``iocinf.h``)."""
FIRST_PAUSE = 0.032
"""Seconds between libca's first and second search; then they double (``udpiiu.h``)."""
SLOW = 0.5
"""Seconds of libca's pauses from which on people notice."""
RECEIVE_BUFFER = 212_992
"""Octets that wait at a socket at most (net.core.rmem_default)."""
TRUESIZE = 2304
"""Octets that the kernel counts for a datagram of 1 KiB: a buffer of 2 KiB and its ``sk_buff`` (``truesize``)."""
NAMES_IN_DATAGRAM = 25
"""Searches for names of some twenty characters in 1 KiB."""


def _seconds(step: Step) -> float:
    """Return how long a step lasts at most."""
    if step.do == "await":
        return float(str(step.args.get("seconds", 0.0)))
    if step.do == "announce":
        return float(str(step.args.get("period", 0.1))) * int(str(step.args.get("count", 1)))
    return 0.0


def unresponsive(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield server and client where a server pauses for longer than a client waits for the answer to its echo."""
    since: dict[str, float] = {}
    watching: list[str] = []
    now = 0.0
    for step in scenario.steps:
        now += _seconds(step)
        if step.do == "watch" and step.target:
            watching.append(step.target)
        elif step.do == "pause" and step.target:
            since[step.target] = now
        elif step.do == "resume" and step.target in since:
            lasted = now - since.pop(step.target)
            for client in scenario.clients:
                limit = float(client.env.get("EPICS_CA_CONN_TMO") or 30.0) + ECHO_TIMEOUT
                served = any(each.name == step.target for each in scenario.servers)
                if client.name in watching and served and client.implementation == "libca" and lasted >= limit:
                    yield step.target, client.name


def held(scenario: Scenario) -> Iterator[Change]:
    """A server is stopped for longer than clients wait for its echo."""
    for server, client in unresponsive(scenario):
        kept = tuple(each for each in scenario.steps if (each.do, each.target) != ("pause", server))
        text = (
            f"the server {server} does not answer the echo of {client} within {ECHO_TIMEOUT:g} seconds, because it is "
            "stopped; the circuit lives"
        )
        yield text, replace(scenario, steps=kept)


def slow_answers(scenario: Scenario) -> Iterator[tuple[str, str, float]]:
    """Yield client, server and the seconds until libca's pauses reach the first search that is answered."""
    watched = {each.target for each in scenario.steps if each.do == "watch"}
    if not watched:
        return
    for server in scenario.servers:
        number = int(server.options.get("answer_from", 1)) if server.implementation == "scripted" else 1
        needed = FIRST_PAUSE * (2 ** (number - 1) - 1)
        for client in scenario.clients:
            if client.name in watched and client.implementation == "libca" and SLOW <= needed <= client.timeout:
                yield client.name, server.name, needed


def slow(scenario: Scenario) -> Iterator[Change]:
    """A server leaves the first searches for each name unanswered."""
    for client, name, needed in slow_answers(scenario):
        for server in scenario.servers:
            if server.name == name:
                text = (
                    f"the server {name} answers only later searches for a name (from number "
                    f"{server.options['answer_from']} on), so that the pauses of {client} between searches have grown "
                    f"to {needed:.1f} s in all"
                )
                yield text, with_server(scenario, server, options={**server.options, "answer_from": 1})


def storms(scenario: Scenario) -> Iterator[tuple[int, str, int]]:
    """Yield step, server and number of names where more searches come during a pause than its receive buffer holds."""
    stopped: dict[str, None] = {}
    servers = {each.name for each in scenario.servers}
    waiting = 0
    for place, step in enumerate(scenario.steps):
        if step.do == "pause" and step.target in servers:
            stopped[str(step.target)] = None
        elif step.do in ("resume", "restart") and step.target in stopped:
            del stopped[str(step.target)]
            waiting = 0
        elif step.do == "flood" and stopped:
            count = int(str(step.args.get("count", 1000)))
            waiting += -(-count // NAMES_IN_DATAGRAM)
            if waiting * TRUESIZE > RECEIVE_BUFFER:
                yield place, next(iter(stopped)), count


def storm(scenario: Scenario) -> Iterator[Change]:
    """Searches for names that nobody has drown others while a server is busy."""
    for place, server, count in storms(scenario):
        steps = list(scenario.steps)
        steps[place] = replace(steps[place], args={**steps[place].args, "count": NAMES_IN_DATAGRAM})
        text = (
            f"searches for {count} PVs that do not exist fill the receive buffer of the server {server} while it is "
            "busy, so that others are lost"
        )
        yield text, replace(scenario, steps=tuple(steps))
