"""Place the network of a scenario on a grid of characters: segments as bars, hosts as boxes, legs between them.

One layout serves the drawing in text (a cell is a character) and in SVG (a cell is a few px).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from canet.netns.topology import Host, Interface, Topology
from canet.scenarios.model import Scenario

GAP: Final = 3
MOST: Final = 10
"""Boxes side by side; more are summed up in one."""
VALUE: Final = 44
"""Characters of a setting that are shown."""

Kind = Literal["name", "interface", "note", "server", "client", "probe", "env"]


@dataclass(slots=True)
class Box:
    """One host and what runs there."""

    host: str
    lines: list[tuple[Kind, str]]
    x: int = 0
    y: int = 0

    @property
    def width(self) -> int:
        """Characters, with the border."""
        return max(len(text) for _kind, text in self.lines) + 4

    @property
    def height(self) -> int:
        """Lines, with the border."""
        return len(self.lines) + 2


@dataclass(frozen=True, slots=True)
class Bar:
    """A segment."""

    segment: str
    label: str
    y: int


@dataclass(frozen=True, slots=True)
class Leg:
    """An interface: from the edge of a box (``y``) to a bar (``to``)."""

    x: int
    y: int
    to: int
    interface: str
    up: bool


@dataclass(frozen=True, slots=True)
class Cable:
    """A link between two boxes without a bar."""

    left: Box
    right: Box
    label: str


@dataclass(slots=True)
class Picture:
    """Everything in its place; ``width`` and ``height`` in cells."""

    width: int = 0
    height: int = 0
    boxes: list[Box] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    legs: list[Leg] = field(default_factory=list)
    cables: list[Cable] = field(default_factory=list)


def host_lines(scenario: Scenario, host: Host) -> Iterator[tuple[Kind, str]]:
    """Say what a host is and what runs on it, a line each."""
    forwards = host.sysctl("net.ipv4.ip_forward") == "1"
    yield "name", host.name + (" (router)" if forwards and "router" not in host.name else "")
    for interface in host.interfaces:
        yield "interface", _interface(interface)
    if host.rules:
        yield "note", f"firewall: {len(host.rules)} rule{'s' if len(host.rules) > 1 else ''}"
    for hook, policy in host.policies:
        if policy == "drop":
            yield "note", f"firewall: {hook} drops by default"
    for server in scenario.servers:
        if server.host == host.name:
            kind = f" · {server.implementation}" if server.implementation else ""
            yield "server", f"◆ {server.name}{kind}"
            yield from _environment(server.env)
    for client in scenario.clients:
        if client.host == host.name:
            yield (
                "client",
                f"○ {client.name}" + (f" · {client.implementation}" if client.implementation != client.name else ""),
            )
            yield from _environment(client.env)
    for probe in scenario.probes:
        if probe.host == host.name:
            yield "probe", f"▸ {probe.name} → {probe.to}" + (f":{probe.port}" if probe.port != 5064 else "")


def _interface(interface: Interface) -> str:
    words = [interface.name, *map(str, interface.addresses)]
    if interface.parent is not None:
        words.append(f"(macvlan on {interface.parent})")
    if interface.mtu != 1500:
        words.append(f"mtu {interface.mtu}")
    if not interface.up:
        words.append("down")
    if any(each.cut for each in interface.impairments):
        words.append("cut")
    elif interface.impairments:
        words.append("impaired")
    if not interface.port.bcast_flood:
        words.append("no broadcasts")
    return " ".join(words)


def _environment(env: Mapping[str, str]) -> Iterator[tuple[Kind, str]]:
    for name, value in env.items():
        text = f"  {name}={value}"
        yield "env", text if len(text) <= VALUE else text[: VALUE - 1] + "…"


def place(scenario: Scenario, leg: int = 1) -> Picture:
    """Place all hosts of a scenario; ``leg`` rows lie between a box and its bar.

    Hosts on the first segment alone stand above it, on others below theirs; a host on several stands under the first
    of them, with legs up and down. Hosts without a segment stand in the last row.
    """
    topology = scenario.topology
    order = {segment.name: number for number, segment in enumerate(topology.segments)}
    rows: list[list[tuple[Host, Box]]] = [[] for _ in range(len(order) + 1)]
    for host in topology.hosts:
        on = sorted({order[each] for each in _segments(topology, host) if each in order})
        row = len(order) if not on else on[0] if on == [0] and len(order) >= 1 else on[0] + 1
        rows[row].append((host, Box(host.name, list(host_lines(scenario, host)))))
    if len(order) == 1 and topology.hosts:
        _balance(scenario, rows)
    _bring_together(topology, rows)
    rows = [_sum_up(row) for row in rows]
    picture = Picture()
    _stack(picture, topology, rows, leg)
    found = {box.host: box for box in picture.boxes}
    for host in topology.hosts:
        if host.name in found:
            _legs(picture, topology, host, found[host.name], order)
    _cables(picture, topology, found)
    return picture


def _balance(scenario: Scenario, rows: list[list[tuple[Host, Box]]]) -> None:
    """One segment only: hosts with servers stand below it, the others above."""
    serving = {server.host for server in scenario.servers}
    every = [each for row in rows for each in row]
    below = [each for each in every if each[0].name in serving]
    if not below or len(below) == len(every):
        below = every[(len(every) + 1) // 2 :]
    rows[0] = [each for each in every if each not in below]
    rows[1] = below


def _bring_together(topology: Topology, rows: list[list[tuple[Host, Box]]]) -> None:
    """Move a host that hangs on cables alone beside the host at the far end: left of the first in a row, else right."""
    for host in topology.hosts:
        peers = [each.link.rpartition(".")[0] for each in host.interfaces if each.link is not None]
        if not peers or any(True for _ in _segments(topology, host)):
            continue
        own = next(each for row in rows for each in row if each[0] is host)
        for row in rows:
            place = next((number for number, each in enumerate(row) if each[0].name == peers[0]), None)
            if place is not None and peers[0] != host.name:
                next(each for each in rows if own in each).remove(own)
                place = next(number for number, each in enumerate(row) if each[0].name == peers[0])
                row.insert(place if place == 0 and len(row) > 1 else place + 1, own)
                break


def _sum_up(row: list[tuple[Host, Box]]) -> list[tuple[Host, Box]]:
    if len(row) <= MOST:
        return row
    host, _box = row[MOST - 1]
    return [*row[: MOST - 1], (host, Box(host.name, [("note", f"and {len(row) - MOST + 1} hosts more")]))]


def _segments(topology: Topology, host: Host) -> Iterator[str]:
    for interface in host.interfaces:
        segment = _segment(topology, interface)
        if segment is not None:
            yield segment


def _segment(topology: Topology, interface: Interface) -> str | None:
    """The segment that an interface is on, if need be through the one that it is put upon."""
    if interface.segment is not None or interface.parent is None:
        return interface.segment
    name, _dot, parent = interface.parent.rpartition(".")
    try:
        return topology.host(name).interface(parent).segment
    except KeyError:
        return None


def _stack(picture: Picture, topology: Topology, rows: list[list[tuple[Host, Box]]], leg: int) -> None:
    """Give every row and bar its y, and centre the boxes of each row."""
    widths = [sum(box.width for _host, box in row) + GAP * (len(row) - 1) for row in rows]
    labels = [_label(topology, segment.name) for segment in topology.segments]
    picture.width = max(20, *widths, *(len(label) + 6 for label in labels))
    y = 0
    for number, row in enumerate(rows):
        if row:
            x = (picture.width - widths[number]) // 2
            tallest = max(box.height for _host, box in row)
            for _host, box in row:
                # Boxes above the first bar stand on it, those below hang from theirs.
                box.x, box.y = x, y + (tallest - box.height if number == 0 and topology.segments else 0)
                x += box.width + GAP
                picture.boxes.append(box)
            y += tallest + leg
        if number < len(labels):
            picture.bars.append(Bar(topology.segments[number].name, labels[number], y))
            y += 1 + (leg if any(rows[number + 1 :]) else 0)
    boxes = [box.y + box.height for box in picture.boxes]
    picture.height = max([1, *boxes, *(bar.y + 1 for bar in picture.bars)])


def _label(topology: Topology, segment: str) -> str:
    networks = dict.fromkeys(
        str(address.network) for _host, each in topology.on_segment(segment) for address in each.addresses
    )
    shown = list(networks)[:3]
    return " · ".join([segment, *shown, *(["…"] if len(networks) > 3 else [])])


def _legs(picture: Picture, topology: Topology, host: Host, box: Box, order: Mapping[str, int]) -> None:
    bars = {bar.segment: bar for bar in picture.bars}
    joined = [(each, bars[name]) for each in host.interfaces if (name := _segment(topology, each) or "") in order]
    for up in (True, False):
        side = [(interface, bar) for interface, bar in joined if (bar.y < box.y) == up]
        for number, (interface, bar) in enumerate(side):
            x = box.x + (number + 1) * box.width // (len(side) + 1)
            y = box.y if up else box.y + box.height - 1
            picture.legs.append(Leg(x, y, bar.y, interface.name, up))


def _cables(picture: Picture, topology: Topology, found: Mapping[str, Box]) -> None:
    drawn: set[frozenset[str]] = set()
    for host, interface in _linked(topology.hosts):
        far, _dot, theirs = (interface.link or "").rpartition(".")
        ends = frozenset((f"{host.name}.{interface.name}", interface.link or ""))
        if host.name in found and far in found and ends not in drawn:
            drawn.add(ends)
            left, right = sorted((found[host.name], found[far]), key=lambda box: (box.x, box.y))
            names = (interface.name, theirs) if left.host == host.name else (theirs, interface.name)
            picture.cables.append(Cable(left, right, " – ".join(names)))


def _linked(hosts: Iterable[Host]) -> Iterator[tuple[Host, Interface]]:
    for host in hosts:
        for interface in host.interfaces:
            if interface.link is not None:
                yield host, interface
