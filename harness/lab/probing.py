"""Send the searches of a probe, wait until nothing can come any more, and connect to whoever answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Protocol

from canet.harness.client.blocking import ClientError, Connection
from canet.harness.lab.barrier import Barrier
from canet.harness.lab.crew import Crew
from canet.harness.lab.outputs import Outputs
from canet.harness.observation import Connection as Connected
from canet.harness.observation import Frame, ProbeSeen, Shot
from canet.harness.wire import frames
from canet.harness.wire.inject import Volley
from canet.netns import Network
from canet.netns.topology import Topology
from canet.scenarios.model import WITNESS, Probe, Server

PATIENCE = 10.0
"""Seconds within which everything must come to rest; otherwise absence is not proven."""
UNREAD = 0.25
"""Seconds after which what lies in a queue, while everybody sleeps, is known to be read by nobody."""


@dataclass(slots=True)
class Shooting:
    """A probe that has been sent; who received it is found when the capture has ended."""

    probe: Probe
    names: tuple[str, ...]
    cids: tuple[range, ...]
    """The channel ids of each datagram."""
    shots: tuple[Shot, ...]
    connections: tuple[Connected, ...]
    proven: bool
    reports: Mapping[str, tuple[Mapping[str, object], ...]] = field(default_factory=dict)
    """Server → what it reported to have read, while the probe ran."""


class Resting(Protocol):
    """Processes that can be asked whether they have anything left to do."""

    def at_rest(self) -> Callable[[], bool]:
        """Return a function that tells, at its call, whether nothing was done since this one."""
        ...

    def queued(self) -> int:
        """Return how many bytes wait in search sockets."""
        ...


def rest(crew: Resting, barrier: Barrier, drain: Callable[[], int] = lambda: 0, patience: float = PATIENCE) -> bool:
    """Wait until nothing is on its way, queued or being worked on, anywhere.

    Each round: look who has run so far, let sentinel frames pass every path, and look again. If in a round no server
    ran, nothing was queued, and nothing came to the prober, then whatever was sent before has had all its
    consequences. What stays in a queue although nobody runs belongs to somebody who does not read, such as a server
    that was stopped: a process that waits for a socket is woken with the datagram.

    Returns:
        False if that did not happen within ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    barrier.wait()
    unread, since = 0, 0.0
    while (now := time.monotonic()) < deadline:
        still = crew.at_rest()
        barrier.wait()
        queued = crew.queued()
        if drain() == 0 and still():
            if not queued or (queued == unread and now - since > UNREAD):
                return True
            if queued != unread:
                unread, since = queued, now
        else:
            unread = 0
    return False


def shoot(
    network: Network,
    topology: Topology,
    probe: Probe,
    pvs: Iterable[str],
    crew: Crew,
    barrier: Barrier,
    outputs: Outputs,
    epoch: float,
    first_cid: int,
) -> Shooting:
    """Run a probe: all its datagrams, their replies, and the connections that follow from them."""
    names = (WITNESS, *(probe.pvs or pvs))
    marks = {each.name: len(each.stream.reports) for each in crew}
    with Volley(network, topology, probe, names, epoch, first_cid) as volley:
        volley.send()
        proven = rest(crew, barrier, volley.drain)
        volley.drain()
        outputs.pull()
        reports = {each.name: tuple(each.stream.reports[marks.get(each.name, 0) :]) for each in crew}
        shots = tuple(_name(shot, crew, probe.host) for shot in volley.shots())
        cids = volley.cids
    connections = _connect(network, probe, shots, crew) if probe.connect else ()
    return Shooting(probe, names, cids, shots, connections, proven, reports)


def _name(shot: Shot, crew: Crew, host: str) -> Shot:
    """Tell whose each reply is."""
    replies = tuple(replace(each, server=crew.whose(each.announced, each.pvs, host)) for each in shot.replies)
    return replace(shot, replies=replies, received=())


def _connect(network: Network, probe: Probe, shots: Iterable[Shot], crew: Crew) -> tuple[Connected, ...]:
    """Connect to each announced address and read what is served there, from the prober's host."""
    served: dict[str, list[str]] = {}
    for shot in shots:
        for reply in shot.replies:
            served.setdefault(reply.announced, []).extend(reply.pvs)
    return tuple(
        _read(network, probe, address, _own(pvs), crew.whose(address, pvs, probe.host))
        for address, pvs in served.items()
    )


def _own(pvs: Iterable[str]) -> str:
    return next((each for each in pvs if each != WITNESS), WITNESS)


def _read(network: Network, probe: Probe, address: str, pv: str, server: str | None) -> Connected:
    source = None if probe.source is None else str(probe.source)
    try:
        with Connection.open(address, network[probe.host].socket, timeout=1.0, source=source) as connection:
            value = connection.read(connection.channel(pv))
    except ClientError as error:
        return Connected(server=server, address=address, pv=pv, error=str(error))
    return Connected(server=server, address=address, pv=pv, value=_plain(value))


def _plain(value: object) -> object:
    return value.tolist() if hasattr(value, "tolist") else value


# -- who received ----------------------------------------------------------------------------------------------------


def seen(shooting: Shooting, captured: Iterable[Frame], crew: Crew, servers: Mapping[str, Server]) -> ProbeSeen:
    """Say who received each datagram, now that the capture is complete.

    canet's servers report what they read. Of others the wire tells: every server serves the witness PV, and whoever
    answered it has received the search, whether or not the answer came back.
    """
    received: list[set[str]] = [set() for _ in shooting.shots]
    for name, reports in shooting.reports.items():
        for place in _reported(shooting, reports):
            received[place].add(name)
    for frame in captured:
        for place, announced in _answered(shooting, frame):
            owner = crew.whose(announced, (), frame.host)
            if owner is not None:
                received[place].add(owner)
    for place, shot in enumerate(shooting.shots):
        received[place].update(each.server for each in shot.replies if each.server is not None)
    order = list(servers)
    return ProbeSeen(
        name=shooting.probe.name,
        shots=tuple(
            replace(shot, received=tuple(sorted(names, key=order.index)))
            for shot, names in zip(shooting.shots, received, strict=True)
        ),
        connections=shooting.connections,
        sentinel=shooting.proven,
    )


def _reported(shooting: Shooting, reports: Iterable[Mapping[str, object]]) -> Iterable[int]:
    """Yield the datagrams that a server reported to have read: by channel ids if told, else by source and order."""
    waiting: dict[str, list[int]] = {}
    for place, shot in enumerate(shooting.shots):
        waiting.setdefault(shot.source, []).append(place)
    by_port = {source.rpartition(":")[2]: source for source in waiting}
    used: dict[str, int] = {}
    for report in reports:
        if report.get("event") != "datagram":
            continue
        cids = report.get("cids")
        if isinstance(cids, list) and cids:
            known = _place(shooting, int(cids[0]))
            if known is not None:
                yield known
            continue
        source = str(report.get("from", ""))
        if source not in waiting:  # translated on the way
            source = by_port.get(source.rpartition(":")[2], "")
        if source in waiting:
            turn = used[source] = used.get(source, -1) + 1
            yield waiting[source][min(turn, len(waiting[source]) - 1)]


def _place(shooting: Shooting, cid: int) -> int | None:
    """Return which datagram has that channel id."""
    return next((place for place, cids in enumerate(shooting.cids) if cid in cids), None)


def _answered(shooting: Shooting, frame: Frame) -> Iterable[tuple[int, str]]:
    """Yield the datagrams of this probe that a captured frame answers, and the address that it announces."""
    if frame.direction != "out":
        return
    headers = frames.read(frame.data)
    if headers is None or headers.proto != "udp" or headers.fragment:
        return
    for command, port, _count, where, cid, _body in frames.messages(headers.payload):
        if command == frames.SEARCH and where != cid:  # a request has its id in both places
            place = _place(shooting, cid)
            if place is not None:
                ip = headers.source if where in (0, 0xFFFFFFFF) else str(IPv4Address(where))
                yield place, f"{ip}:{port}"
