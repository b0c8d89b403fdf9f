"""Listen for beacons on a host, and say who sent them, what they announce, and how often they came.

The sockets are opened when the lab comes up, before its servers start: a server sends its first beacons within a
second and then, by default, one every 15 seconds (``online_notify.c``).
"""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from canet.netns import Network
from canet.scenarios.model import Scenario, Step
from canet.server.protocol.commands import Command
from canet.server.protocol.message import read_datagram

if TYPE_CHECKING:
    from canet.harness.lab.lab import Lab

PORT = 5065
SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Beacon:
    """One beacon."""

    time: float
    """``time.monotonic()``."""
    source: str
    """``A:PORT`` that it came from."""
    announces: str
    """``A:PORT`` of the server; its address is the source's where the beacon has none."""
    number: int


@dataclass(slots=True)
class Ear:
    """A socket that hears beacons."""

    socket: socket.socket
    heard: list[Beacon] = field(default_factory=list)
    told: int = 0
    """How many of them an earlier step has used."""

    def take(self) -> None:
        """Read all that has arrived."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data, (address, port) = self.socket.recvfrom(2048)
                for message in read_datagram(data):
                    if message.command == Command.RSRV_IS_UP:
                        where = str(IPv4Address(message.p2)) if message.p2 else address
                        self.heard.append(
                            Beacon(time.monotonic(), f"{address}:{port}", f"{where}:{message.count}", message.p1)
                        )


def open_ears(network: Network, scenario: Scenario) -> dict[tuple[str, int], Ear]:
    """Open a socket for each host and port on which a step of the scenario listens."""
    ears: dict[tuple[str, int], Ear] = {}
    for step in scenario.steps:
        if step.do == "beacons" and (place := _place(step)) not in ears:
            ears[place] = open_ear(network, *place)
    return ears


def open_ear(network: Network, host: str, port: int = PORT) -> Ear:
    """Open a socket that hears beacons; it shares its port with repeaters, which is enough for broadcasts."""
    sock = network[host].socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("", port))
    return Ear(sock)


def listen(lab: Lab, step: Step) -> None:
    """Wait until ``count`` beacons have come since the last such step here, or ``seconds`` have passed.

    Measures ``beacons_from`` (addresses), ``announces`` (what clients are told), ``beacon_count_at_least``,
    ``beacon_period`` (the longest pause between two of one source, in seconds) and ``in_sequence``.
    """
    ear = lab.ears[_place(step)]
    wanted = int(str(step.args.get("count", 0)))
    deadline = time.monotonic() + float(str(step.args.get("seconds", SECONDS)))
    poll = select.poll()
    poll.register(ear.socket, select.POLLIN)
    ear.take()
    while (not wanted or len(ear.heard) - ear.told < wanted) and (left := deadline - time.monotonic()) > 0:
        poll.poll(left * 1000)
        ear.take()
    fresh = ear.heard[ear.told :]
    ear.told = len(ear.heard)
    lab.measure(str(step.args.get("label", step.target or "beacons")), **measures(fresh))
    lab.note("listened", str(step.args["host"]), f"{len(fresh)} beacons")


def measures(beacons: list[Beacon]) -> Mapping[str, object]:
    """Return what a list of beacons tells.

    >>> measures([Beacon(1.0, "10.1.0.2:9", "10.1.0.2:5064", 0), Beacon(1.5, "10.1.0.2:9", "10.1.0.2:5064", 1)])
    ... # doctest: +NORMALIZE_WHITESPACE
    {'beacons_from': ('10.1.0.2:9',), 'announces': ('10.1.0.2:5064',), 'beacon_count_at_least': 2,
     'beacon_period': 0.5, 'in_sequence': True}
    """
    by_source: dict[tuple[str, str], list[Beacon]] = {}
    for each in beacons:
        by_source.setdefault((each.source, each.announces), []).append(each)
    pauses = [b.time - a.time for group in by_source.values() for a, b in itertools.pairwise(group)]
    steps = [b.number - a.number for group in by_source.values() for a, b in itertools.pairwise(group)]
    return {
        "beacons_from": tuple(dict.fromkeys(each.source for each in beacons)),
        "announces": tuple(dict.fromkeys(each.announces for each in beacons)),
        "beacon_count_at_least": len(beacons),
        "beacon_period": max(pauses, default=None),
        "in_sequence": all(each == 1 for each in steps),
    }


def _place(step: Step) -> tuple[str, int]:
    return str(step.args["host"]), int(str(step.args.get("port", PORT)))
