"""Draw the network of a scenario as text: what it consists of, before anything runs."""

from __future__ import annotations

from canet.harness.report.layout import Box, Cable, Picture, host_lines, place
from canet.scenarios.model import Scenario


def text(scenario: Scenario, width: int | None = 120) -> str:
    """Draw the network with box characters; as a list where it is wider than ``width`` columns."""
    picture = place(scenario)
    if width is not None and picture.width > width:
        return listing(scenario)
    canvas = [[" "] * picture.width for _ in range(max(1, picture.height))]
    for bar in picture.bars:
        canvas[bar.y] = list("═" * picture.width)
    for leg in picture.legs:
        for y in range(min(leg.y, leg.to) + 1, max(leg.y, leg.to)):
            canvas[y][leg.x] = "║" if canvas[y][leg.x] == "═" else "│"
        canvas[leg.to][leg.x] = "╤" if leg.up else "╧"
    for box in picture.boxes:
        _draw_box(canvas, box)
    for leg in picture.legs:
        canvas[leg.y][leg.x] = "┴" if leg.up else "┬"
    for cable in picture.cables:
        _draw_cable(canvas, cable)
    for bar in picture.bars:
        _write(canvas, 1, bar.y, f" {bar.label} ")
    return "\n".join("".join(row).rstrip() for row in canvas).strip("\n") + _far_cables(picture)


def listing(scenario: Scenario) -> str:
    """List the network: each segment, then each host with what runs on it."""
    lines = [f"═══ {segment.name}" for segment in scenario.topology.segments]
    for host in scenario.topology.hosts:
        (_kind, name), *rest = host_lines(scenario, host)
        on = ", ".join(dict.fromkeys(each.segment or each.link or "" for each in host.interfaces))
        lines.append(f"{name}  [{on}]" if on else name)
        lines += [f"    {text}" for _kind, text in rest]
    return "\n".join(lines)


def _write(canvas: list[list[str]], x: int, y: int, words: str) -> None:
    canvas[y][x : x + len(words)] = list(words)


def _draw_box(canvas: list[list[str]], box: Box) -> None:
    inner = box.width - 2
    _write(canvas, box.x, box.y, "┌" + "─" * inner + "┐")
    for number, (_kind, words) in enumerate(box.lines, 1):
        _write(canvas, box.x, box.y + number, f"│ {words.ljust(inner - 2)} │")
    _write(canvas, box.x, box.y + box.height - 1, "└" + "─" * inner + "┘")


def _beside(cable: Cable) -> bool:
    """Whether the boxes stand next to each other in one row, so that a straight line joins them."""
    rows = range(max(cable.left.y, cable.right.y), min(cable.left.y + cable.left.height, cable.right.y + 2))
    return len(rows) > 1 and 0 < cable.right.x - cable.left.x - cable.left.width <= 3


def _draw_cable(canvas: list[list[str]], cable: Cable) -> None:
    if _beside(cable):
        y = max(cable.left.y, cable.right.y) + 1
        _write(
            canvas,
            cable.left.x + cable.left.width - 1,
            y,
            "├" + "─" * (cable.right.x - cable.left.x - cable.left.width) + "┤",
        )


def _far_cables(picture: Picture) -> str:
    """Say the cables that no straight line can show."""
    far = [each for each in picture.cables if not _beside(each)]
    return "".join(f"\n{each.left.host} ─── {each.right.host} ({each.label})" for each in far)
