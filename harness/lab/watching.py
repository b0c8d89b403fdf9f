"""Clients that stay: started by a step ``watch``, asked by a step ``await`` what happened to them meanwhile.

A client of a step ``client`` reads once and ends. What people see when a server goes away and comes back needs one
that stays: connected, subscribed, searching. It prints each change with its time; the capture shows what it sent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from canet.harness.lab import probing
from canet.harness.lab.barrier import ETHERTYPE
from canet.harness.lab.crew import spawn
from canet.harness.lab.idle import activity
from canet.harness.lab.outputs import Stream
from canet.harness.lab.tries import Tried
from canet.harness.observation import ClientTry
from canet.harness.participants import sockets
from canet.harness.participants.recipe import watch_recipe
from canet.harness.wire import frames
from canet.netns.process import Process
from canet.scenarios.model import Client, Step
from canet.server.protocol.commands import Command

if TYPE_CHECKING:
    from canet.harness.lab.lab import Lab

_SENTINEL = ETHERTYPE.to_bytes(2, "big")
PATIENCE = 5.0
"""Seconds that a step ``await`` waits where it does not say."""
TICK = 0.02
OPENING = frames.SYN | frames.ACK


@dataclass(slots=True, eq=False)
class Watch:
    """A client process that stays."""

    client: Client
    pvs: tuple[str, ...]
    process: Process
    stream: Stream
    began: float
    """Seconds since the lab came up."""
    ended: float = float("inf")
    last: dict[str, str] = field(default_factory=dict)

    def changes(self, what: str, since: float, epoch: float) -> dict[str, float]:
        """Return the PVs to which ``what`` happened since a time, and when first, in seconds since ``epoch``."""
        found: dict[str, float] = {}
        for report in self.stream.reports:
            when = float(report.get("time", 0.0)) - epoch
            if report.get("what") == what and when >= since:
                found.setdefault(str(report["pv"]), when)
        return found


def begin(lab: Lab, step: Step) -> None:
    """Start a client that stays until the lab ends, or until a step ``leave``."""
    client = next(each for each in lab.scenario.clients if each.name == step.target)
    pvs = tuple(client.pvs or lab.pvs)
    stream, write = lab.outputs.open(client.name)
    try:
        process = spawn(lab.network[client.host], watch_recipe(client, pvs), write)
    finally:
        os.close(write)
    lab.watches[client.name] = Watch(client, pvs, process, stream, time.time() - lab.epoch)
    lab.note("watches", client.name, f"{client.implementation} on {client.host}, process {process.pid}")


def leave(lab: Lab, step: Step) -> None:
    """Kill a client that stays, as it stands."""
    end(lab, lab.watches[str(step.target)])


def pause(lab: Lab, name: str, how: signal.Signals) -> None:
    """Stop a client that stays, or let it go on."""
    lab.watches[name].process.signal(how)
    lab.note(how.name, name)


def end(lab: Lab, watch: Watch) -> None:
    """End a client's process, and keep what it said."""
    if watch.ended != float("inf"):
        return
    watch.ended = time.time() - lab.epoch
    if watch.process.poll() is None:
        with contextlib.suppress(Exception):
            watch.process.signal(signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            watch.process.wait(2.0)
    lab.outputs.pull()
    lab.note("left", watch.client.name)


def wait(lab: Lab, step: Step) -> None:
    """Wait until something has happened to a client since the last step that did something.

    ``event`` is ``connected``, ``disconnected`` or ``value`` of all its PVs (or of ``pv``), or ``search``, ``echo``: it
    has sent one; ``registered``: a repeater has confirmed it; ``says``: its output matches ``text``. The first ``skip``
    seconds do not count. The wait ends after ``seconds``, or when the client has searched ``searches`` times in vain:
    then it did not happen, and that it could have is proven.

    Measures ``happens``; ``within`` and ``after``: seconds since the step before has ended; ``searches``; ``circuits``
    that the client's host has opened since the client started, and ``new_circuits`` since the step before began.
    """
    watch, args = lab.watches[str(step.target)], step.args
    what, since = str(args.get("event", "connected")), lab.acted[0] + float(_number(args, "skip", 0.0))
    wanted = frozenset({str(args["pv"])} if "pv" in args else watch.pvs)
    limit = time.monotonic() + float(_number(args, "seconds", PATIENCE))
    enough = int(_number(args, "searches", 0))
    begun = len(lab.capture)
    when: float | None = None

    def searched() -> list[float]:
        return search_times(lab, watch.client.host, since)

    def look() -> bool:
        nonlocal when
        if what == "search":
            times = searched()
            when = times[0] if times else None
        elif what == "echo":
            times = echo_times(lab, watch.client.host, since)
            when = times[0] if times else None
        elif what == "registered":
            times = registration_times(lab, watch.client.host, watch.began)
            when = times[0] if times else None
        elif what == "says":
            import re

            when = time.time() - lab.epoch if re.search(str(args.get("text", "")), watch.stream.text) else None
        else:
            found = watch.changes(what, since, lab.epoch)
            when = max(found[pv] for pv in wanted) if wanted <= found.keys() else None
        return when is not None or watch.process.poll() is not None or bool(enough and len(searched()) >= enough)

    lab.outputs.wait(look, limit, TICK)
    catch_up(lab)
    look()
    after = None if when is None else max(0.0, when - lab.acted[1])
    label = str(args.get("label", watch.client.name))
    lab.measure(
        label,
        happens=when is not None,
        within=after,
        after=after,
        searches=len(searched()),
        searches_at_most=len(searched()),
        searches_at_least=len(searched()),
        circuits=circuits(lab, watch.client.host, watch.began),
        new_circuits=circuits(lab, watch.client.host, since),
    )
    lab.note(f"{what} {'seen' if when is not None else 'not seen'}", watch.client.name, f"{len(lab.capture) - begun}")


class _Everyone:
    """Servers and clients that stay, as :func:`canet.harness.lab.probing.rest` asks them."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def _pids(self) -> list[int]:
        staying = (each.process for each in self._lab.watches.values())
        return [pid for each in staying if each.poll() is None for pid in sockets.family(each.pid)]

    def at_rest(self) -> Callable[[], bool]:
        servers, before = self._lab.crew.at_rest(), activity(self._pids())
        return lambda: before is not None and servers() and activity(self._pids()) == before

    def queued(self) -> int:
        return self._lab.crew.queued()


def rest(lab: Lab, patience: float = probing.PATIENCE) -> bool:
    """Wait until nothing is on its way, or being worked on by servers or by clients that stay."""
    return probing.rest(_Everyone(lab), lab.barrier, patience=patience)


def echo_times(lab: Lab, host: str, since: float) -> list[float]:
    """Return when a host asked over a circuit whether the other side is alive, since a time."""
    found = []
    for each in lab.capture.frames():
        if each.time >= since and each.host == host and each.direction == "out":
            headers = frames.read(each.data)
            if headers is None or headers.proto != "tcp":
                continue
            if any(command == Command.ECHO for command, *_ in frames.messages(headers.payload)):
                found.append(each.time)
    return found


def catch_up(lab: Lab) -> None:
    """Let the capture take in all that was sent until now: a sentinel that was sent later is in it."""
    known = len(lab.capture)
    lab.barrier.wait()
    lab.capture.wait_for(lambda frame: frame.data[12:14] == _SENTINEL, timeout=0.2, since=known)


def own_port(lab: Lab, name: str) -> int:
    """Return the UDP port that a client searches from; repeaters hand beacons on to it.

    Raises:
        ValueError: it has not searched yet.
    """
    watch = lab.watches[name]
    for frame in lab.capture.frames():
        if frame.time >= watch.began:
            for source, _target, _names in frames.searches((frame,), watch.client.host):
                return int(source.rpartition(":")[2])
    raise ValueError(f"{name} has not searched yet")


def registration_times(lab: Lab, host: str, since: float) -> list[float]:
    """Return when a repeater confirmed registrations, over the loopback of a host, since a time."""
    found = []
    for each in lab.capture.frames():
        if each.time >= since and each.host == host and each.interface == "lo":
            headers = frames.read(each.data)
            if headers is None or headers.proto != "udp":
                continue
            if any(command == Command.REPEATER_CONFIRM for command, *_ in frames.messages(headers.payload)):
                found.append(each.time)
    return found


def search_times(lab: Lab, host: str, since: float) -> list[float]:
    """Return when a host sent search datagrams, since a time."""
    return [each.time for each in lab.capture.frames() if each.time >= since and frames.searches((each,), host)]


def circuits(lab: Lab, host: str, since: float) -> int:
    """Return how many TCP connections a host has tried to open since a time, each counted once."""
    opened = set()
    for each in lab.capture.frames():
        if each.time >= since and each.host == host and each.direction == "out":
            headers = frames.read(each.data)
            if headers is not None and headers.proto == "tcp" and headers.flags & OPENING == frames.SYN:
                opened.add((headers.origin, headers.target, headers.sequence))
    return len(opened)


def tried(lab: Lab) -> list[Tried]:
    """Return what the clients that stayed saw, in the form of a try each; ends those that are still there."""
    found = []
    for watch in lab.watches.values():
        end(lab, watch)
        address: dict[str, str] = {}
        values: dict[str, object] = {}
        for report in watch.stream.reports:
            pv = str(report.get("pv", ""))
            if report.get("what") == "connected":
                address[pv] = str(report.get("address", ""))
            elif report.get("what") == "value":
                values[pv] = report.get("value")
        one = ClientTry(
            connected=address,
            servers={pv: lab.crew.whose(each, (pv,), watch.client.host) or each for pv, each in address.items()},
            values=values,
            missing=tuple(pv for pv in watch.pvs if pv not in address),
            output=watch.stream.text.strip(),
            seconds=watch.ended - watch.began,
        )
        found.append(Tried(watch.client, (one,), watch.began, watch.ended))
    return found


def _number(args: Mapping[str, Any], key: str, default: float) -> float:
    value = args.get(key)
    return default if value is None else float(value)
