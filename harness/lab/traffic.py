"""Traffic that a scenario makes besides searches: trains of beacons, and floods of names that nobody serves."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from canet.harness.client.search import datagrams
from canet.harness.lab import probing, watching
from canet.harness.lab.disturbed import DisturbedError
from canet.harness.participants import sockets
from canet.harness.wire import frames
from canet.scenarios.model import Step
from canet.server.protocol.commands import MINOR_VERSION, Command
from canet.server.protocol.message import Message

if TYPE_CHECKING:
    from canet.harness.lab.lab import Lab

PATIENCE = 30.0
"""Seconds within which a flood must have been worked off."""


LATE = 0.15
"""By what part of the pause between beacons one may be late; clients take 0.25 for a sign (``bhe.cpp``)."""


def beacon(number: int, port: int = 5064, address: str = "0.0.0.0") -> bytes:
    """Return a beacon: a server that listens on TCP ``port`` of ``address`` says that it is alive."""
    return Message(Command.RSRV_IS_UP, MINOR_VERSION, port, number & 0xFFFFFFFF, int(IPv4Address(address))).pack()


def announce(lab: Lab, step: Step) -> None:
    """Send beacons as a server would: ``numbers``, one each ``period`` seconds, from ``host`` to ``address``.

    With ``client`` they go to the port of that client, as a repeater sends them. ``server`` is the ``A:PORT`` that they
    announce; a missing address means "where this comes from". ``gaps`` are the pauses before the first beacons, where
    they differ from ``period``. Measures ``repeated_to``: how many clients got them from a repeater on their host, over
    its loopback; of those that ``register`` made, if there are any.

    Raises:
        DisturbedError: a beacon to ``client`` left so late that the client may take that for a sign.
    """
    args: dict[str, Any] = dict(step.args)
    address, _, port = str(args.get("server", ":5064")).rpartition(":")
    target = str(args["address"]), int(args.get("port", 5065))
    if args.get("client"):
        target = str(args["address"]), watching.own_port(lab, str(args["client"]))
    period = float(args.get("period", 0.1))
    numbers = args.get("numbers") or range(int(args.get("count", 1)))
    gaps = [*(args.get("gaps") or ()), *[period] * len(numbers)]
    begun = len(lab.capture)
    with lab.network[str(args["host"])].socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        due = time.monotonic() - float(gaps[0])
        for number, gap in zip(numbers, gaps, strict=False):
            due += float(gap)
            time.sleep(max(0.0, due - time.monotonic()))  # the period is the message
            sock.sendto(beacon(int(number), int(port), address or "0.0.0.0"), target)
            late = time.monotonic() - due
            if args.get("client") and late > LATE * (float(gap) or period):
                raise DisturbedError(
                    f"beacon {number} from {step.args['host']} left {late:.2f} s late: the machine is busy"
                )
    proven = watching.rest(lab)
    watching.catch_up(lab)
    told = _repeated(lab, begun, target[1])
    told = told & lab.registered if lab.registered else told
    lab.measure(str(args.get("label", "announce")), repeated_to=len(told), proven=proven)
    lab.note("announced", str(args["host"]), f"{len(numbers)} beacons to {target[0]}:{target[1]}")


def _repeated(lab: Lab, begun: int, port: int) -> frozenset[str]:
    """Return the ``A:PORT`` to which repeaters handed beacons on, over the loopback of their hosts."""
    found = set()
    for frame in lab.capture.frames(begun):
        headers = frames.read(frame.data) if frame.interface == "lo" else None
        if headers is None or headers.proto != "udp" or headers.to_port == port:
            continue
        if any(command == Command.RSRV_IS_UP for command, *_ in frames.messages(headers.payload)):
            found.add(f"{frame.host} {headers.target}")
    return frozenset(found)


def names(count: int, first: int = 0) -> Iterator[tuple[int, str]]:
    """Yield channel ids and names of PVs that nobody serves, each different."""
    for number in range(first, first + count):
        yield 0x40000000 + number, f"nobody:serves:{number:07d}"


def flood(lab: Lab, step: Step) -> None:
    """Search for ``count`` different names that nobody serves, as fast as servers read them, and wait for the end.

    With ``burst`` nobody is waited for, neither meanwhile nor at the end. Measures ``datagrams`` sent; ``served_all``:
    the servers had worked off everything within the patience; and ``dropped_at_most``, ``dropped_at_least``: datagrams
    that the kernels of all hosts dropped at this port since the buffers were full.
    """
    args = step.args
    target = str(args["address"]), int(str(args.get("port", 5064)))
    sent, burst, before = 0, bool(args.get("burst")), _dropped(lab, target[1])
    with lab.network[str(args["host"])].socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for data in datagrams(names(int(str(args.get("count", 1000))), lab.flooded)):
            sock.sendto(data, target)
            sent += 1
            if (
                sent % 32 == 0 and not burst
            ):  # a burst larger than a receive buffer would test the kernel and not the server
                _drain(lab)
    lab.flooded += int(str(args.get("count", 1000)))
    if burst:
        lab.barrier.wait()
    proven = not burst and probing.rest(lab.crew, lab.barrier, patience=PATIENCE)
    dropped = _dropped(lab, target[1]) - before
    lab.measure(
        str(args.get("label", "flood")),
        datagrams=sent,
        served_all=proven,
        dropped_at_most=dropped,
        dropped_at_least=dropped,
    )
    lab.note("flooded", str(args["host"]), f"{sent} datagrams to {target[0]}:{target[1]}")


def _dropped(lab: Lab, port: int) -> int:
    """Return how many datagrams sockets of a port have lost, on all hosts (the column ``drops`` of /proc/net/udp)."""
    hosts = dict.fromkeys(each.host for each in lab.crew)
    return sum(each.drops for host in hosts for each in host.call(sockets.table, "udp") if each.port == port)


def _drain(lab: Lab) -> None:
    deadline = time.monotonic() + PATIENCE
    while lab.crew.queued() and time.monotonic() < deadline:
        time.sleep(0.001)
