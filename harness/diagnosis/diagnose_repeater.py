"""Causes in the CA repeater of a host: who runs it, when it ends, who is registered with it, what it has inherited."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from canet.harness.diagnosis.diagnose_changes import Change, with_host
from canet.scenarios.model import Client, Scenario, Server, Step

AWAY = re.compile(r"(?<![2-9])1?>\s*/dev/null|&>\s*/dev/null")
"""A shell's redirection of the standard output to nowhere."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """Clients that registered with a repeater which is no more, and do not ask again."""

    host: str
    owner: str
    """Who ran the repeater: a server of that kind, or a client with a repeater in a thread of its own."""
    by_client: bool
    place: int
    """The step that ended the repeater."""
    idle: tuple[str, ...]
    """Clients that would have run a repeater, had the port been free when they started."""


def orphans(scenario: Scenario) -> Iterator[Orphan]:
    """Follow the steps: who holds the repeater's port of each host, and who is registered with whom.

    A client with a repeater in a thread takes the port if it is free when it starts, and never later; a registration
    is confirmed once, and not repeated.
    """
    if not scenario.steps:
        return
    holder: dict[str, str] = {
        each.host: each.name for each in scenario.servers if each.implementation == "repeater" and each.autostart
    }
    hosts = {each.name: each.host for each in scenario.servers} | {each.name: each.host for each in scenario.clients}
    threads = {each.name for each in scenario.clients if each.options.get("repeater")}
    services = {each.name for each in scenario.servers if each.implementation == "repeater"}
    registered: dict[str, str] = {}
    idle: dict[str, list[str]] = {}
    found: dict[str, Orphan] = {}
    for place, step in enumerate(scenario.steps):
        name = step.target or ""
        host = str(step.args.get("host") or hosts.get(name, ""))
        if step.do == "watch" and name in threads:
            if host in holder:
                idle.setdefault(host, []).append(name)
            holder.setdefault(host, name)
        elif step.do == "register" and host in holder:
            registered[host] = holder[host]
            found.pop(host, None)
        elif step.do in ("leave", "kill", "stop", "restart") and holder.get(host) == name:
            if registered.get(host) == name:
                found[host] = Orphan(host, name, name in threads, place, tuple(idle.get(host, ())))
            if step.do != "restart":
                del holder[host]
        elif step.do == "start" and name in services:
            holder.setdefault(host, name)
    yield from found.values()


def orphaned(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield host and sentence where registered clients hear no beacons any more."""
    for each in orphans(scenario):
        whose = f"the repeater in {each.owner}" if each.by_client else each.owner
        text = f"clients on {each.host} registered with {whose}, which has ended, and hear no beacons"
        yield each.host, text


def thread(scenario: Scenario) -> Iterator[Change]:
    """A repeater that runs in a client ends with it."""
    for each in orphans(scenario):
        if not each.by_client:
            continue
        text = (
            f"the repeater ran in the client {each.owner}, which has ended; nobody holds port 5065 of {each.host} now"
        )
        if each.idle:
            text += f": that of {', '.join(each.idle)} ended at once, as the port was held then"
        service = Server(name="repeater-service", host=each.host, implementation="repeater")
        yield text, replace(scenario, servers=(service, *scenario.servers))


def registered_once(scenario: Scenario) -> Iterator[Change]:
    """A new repeater does not know who had registered with the old one."""
    for each in orphans(scenario):
        if each.by_client:
            continue
        text = f"clients on {each.host} registered with a repeater that has ended, and do not register with the new one"
        again = Step(do="register", args={"host": each.host, "count": 1})
        yield text, replace(scenario, steps=(*scenario.steps, again))


def held_pipes(scenario: Scenario) -> Iterator[tuple[Client, str]]:
    """Yield client and file where a command's output is read to its end, and a repeater that it starts keeps it open.

    The first client on a host starts the program caRepeater of its PATH, unless a repeater runs there already; what
    the program does not give away it has inherited.
    """
    served = {each.host for each in scenario.servers if each.implementation == "repeater"}
    for client in scenario.clients:
        text = " ".join(client.command)
        if client.host in served or client.implementation != "command" or ("$(" not in text and "`" not in text):
            continue
        files = dict(scenario.topology.host(client.host).files)
        for folder in client.env.get("PATH", "").split(":"):
            path = str(PurePosixPath(folder or "/") / "caRepeater")
            if path in files:
                if not AWAY.search(files[path]):
                    yield client, path
                break


def held_pipe(scenario: Scenario) -> Iterator[Change]:
    """The repeater that a client starts inherits its standard output."""
    for client, path in held_pipes(scenario):
        host = scenario.topology.host(client.host)
        text = f"the repeater {path} that {client.name} starts has inherited the pipe that the shell reads to its end"
        if "2>" in dict(host.files)[path]:
            text = f"the repeater {path} sends its errors away, and still holds the pipe with its standard output"
        files = tuple(
            (name, body.rstrip("\n") + " >/dev/null 2>&1\n" if name == path else body) for name, body in host.files
        )
        yield text, with_host(scenario, replace(host, files=files))
