"""Run the tries of a client: fresh processes, side by side, and what each of them found."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass

from canet.harness.lab.crew import Crew, spawn
from canet.harness.lab.disturbed import DisturbedError
from canet.harness.lab.outputs import Outputs, Stream
from canet.harness.observation import ClientSeen, ClientTry, Frame
from canet.harness.participants.recipe import client_recipe
from canet.harness.wire import frames
from canet.netns import Network
from canet.netns.process import Process
from canet.scenarios.model import Client

SIDE_BY_SIDE = 8
GRACE = 15.0
"""Seconds beyond its own timeout after which a command is killed; what it has read until then stands."""
OWN_GRACE = 90.0
"""The same for the clients that count their time themselves: they end by themselves if the machine lets them run."""


@dataclass(slots=True)
class Tried:
    """The tries of a client, and when they ran: the capture tells later what it searched."""

    client: Client
    tries: tuple[ClientTry, ...]
    began: float
    ended: float


def run(network: Network, client: Client, pvs: Iterable[str], crew: Crew, outputs: Outputs, epoch: float) -> Tried:
    """Run all tries of a client and return what each found.

    Raises:
        DisturbedError: one of our clients did not come to an end, so nobody knows what it would have read.
    """
    wanted = tuple(client.pvs or pvs)
    recipe = client_recipe(client, wanted)
    began = time.time() - epoch
    results: list[ClientTry] = []
    for first in range(0, client.tries, SIDE_BY_SIDE):
        batch: list[tuple[Process, Stream, float]] = []
        for number in range(first, min(first + SIDE_BY_SIDE, client.tries)):
            stream, write = outputs.open(f"{client.name} {number + 1}")
            try:
                batch.append((spawn(network[client.host], recipe, write), stream, time.monotonic()))
            finally:
                os.close(write)
        deadline = time.monotonic() + client.timeout + (GRACE if client.implementation == "command" else OWN_GRACE)
        for process, stream, started in batch:
            _finish(process, stream, outputs, deadline)
            results.append(_result(client, wanted, process, stream, started, crew))
    return Tried(client, tuple(results), began, time.time() - epoch)


def _finish(process: Process, stream: Stream, outputs: Outputs, deadline: float) -> None:
    """Wait until a client has answered or ended; kill it when its time is over."""

    def done() -> bool:
        return process.poll() is not None or any(report["event"] == "read" for report in stream.reports)

    if not outputs.wait(done, deadline, 0.02):
        process.signal(signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        process.wait(2.0)
    outputs.pull()


def _result(
    client: Client, wanted: tuple[str, ...], process: Process, stream: Stream, started: float, crew: Crew
) -> ClientTry:
    report = next((each for each in stream.reports if each["event"] == "read"), None)
    text = stream.text.strip()
    if report is None:
        if process.poll() is None or process.poll() == -signal.SIGKILL:
            if client.implementation != "command":
                raise DisturbedError(f"{stream.name} has read nothing and not ended {OWN_GRACE:g} s after its time-out")
            text += f"\n(ended by the lab: no answer within {client.timeout + GRACE:g} s)"
        return ClientTry(
            connected={},
            servers={},
            values={},
            missing=() if client.implementation == "command" else wanted,
            output=text,
            seconds=time.monotonic() - started,
        )
    connected = {str(pv): str(address) for pv, address in report["connected"].items()}
    servers = {pv: crew.whose(address, (pv,), client.host) or address for pv, address in connected.items()}
    return ClientTry(
        connected=connected,
        servers=servers,
        values=dict(report["values"]),
        missing=tuple(report["missing"]),
        output=text,
        seconds=float(report.get("seconds", 0.0)),
    )


def seen(tried: Iterable[Tried], captured: Iterable[Frame]) -> tuple[ClientSeen, ...]:
    """Join the runs of each client, and say where it searched, now that the capture is complete."""
    found: dict[str, ClientSeen] = {}
    frames_seen = tuple(captured)
    for each in tried:
        mine = [frame for frame in frames_seen if each.began <= frame.time <= each.ended]
        targets = [target for _source, target, _names in frames.searches(mine, each.client.host)]
        before = found.get(each.client.name)
        found[each.client.name] = ClientSeen(
            name=each.client.name,
            tries=(before.tries if before else ()) + each.tries,
            searched=tuple(dict.fromkeys((*(before.searched if before else ()), *targets))),
        )
    return tuple(found.values())
