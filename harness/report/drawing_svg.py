"""Draw the network of a scenario as SVG for the report; colours come from the page's style sheet."""

from __future__ import annotations

from html import escape
from typing import Final

from canet.harness.report.layout import Bar, Box, Cable, Leg, Picture, place
from canet.scenarios.model import Scenario

CELL: Final = 7.5
LINE: Final = 18
MARGIN: Final = 12


def svg(scenario: Scenario) -> str:
    """Return an ``<svg>`` element."""
    picture = place(scenario, leg=2)
    width, height = round(picture.width * CELL + 2 * MARGIN), picture.height * LINE + 2 * MARGIN + 6
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [f'<svg class="drawing" {size} role="img" aria-label="{escape(_spoken(picture))}">']
    parts += [_leg(each) for each in picture.legs]
    parts += [_cable(each) for each in picture.cables]
    parts += [_bar(each, picture.width) for each in picture.bars]
    parts += [_box(each) for each in picture.boxes]
    return "".join((*parts, "</svg>"))


def _x(cells: float) -> float:
    return round(MARGIN + cells * CELL, 1)


def _y(cells: float) -> float:
    return round(MARGIN + cells * LINE, 1)


def _bar(bar: Bar, width: int) -> str:
    label = escape(bar.label)
    wide = round(len(bar.label) * CELL + 20, 1)
    return (
        f'<g class="segment"><rect x="{_x(0)}" y="{_y(bar.y) + 5}" width="{width * CELL}" height="8" rx="4"/>'
        f'<rect class="plate" x="{_x(1)}" y="{_y(bar.y) - 2}" width="{wide}" height="22" rx="11"/>'
        f'<text x="{_x(1) + 10}" y="{_y(bar.y) + 13}">{label}</text></g>'
    )


def _leg(leg: Leg) -> str:
    start = _y(leg.y) if leg.up else _y(leg.y + 1)
    title = f"<title>{escape(leg.interface)}</title>"
    return f'<line class="leg" x1="{_x(leg.x)}" y1="{start}" x2="{_x(leg.x)}" y2="{_y(leg.to) + 9}">{title}</line>'


def _cable(cable: Cable) -> str:
    left, right = cable.left, cable.right
    x1, y1 = _x(left.x + left.width), _y(left.y + left.height / 2)
    x2, y2 = _x(right.x), _y(right.y + right.height / 2)
    if x2 < x1:  # One above the other.
        x1, x2 = _x(left.x + left.width / 2), _x(right.x + right.width / 2)
    title = f"<title>{escape(cable.label)}</title>"
    return f'<path class="cable" d="M{x1} {y1}C{(x1 + x2) / 2} {y1} {(x1 + x2) / 2} {y2} {x2} {y2}">{title}</path>'


def _box(box: Box) -> str:
    x, y = _x(box.x), _y(box.y) + 2
    wide, high = round(box.width * CELL, 1), box.height * LINE - 4
    lines = "".join(
        f'<text class="{kind}" x="{x + 14}" y="{y + 13 + LINE * number}" xml:space="preserve">{escape(words)}</text>'
        for number, (kind, words) in enumerate(box.lines, 1)
    )
    return f'<g class="box"><rect x="{x}" y="{y}" width="{wide}" height="{high}" rx="8"/>{lines}</g>'


def _spoken(picture: Picture) -> str:
    hosts = "; ".join(", ".join(words.strip() for _kind, words in box.lines) for box in picture.boxes)
    return f"Network of {len(picture.boxes)} hosts on {len(picture.bars)} segments: {hosts}"
