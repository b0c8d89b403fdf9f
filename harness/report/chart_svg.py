"""Draw the message-sequence chart as SVG for the report; colours come from the page's style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from canet.harness.report.chart import Row, fold, involved
from canet.harness.wire.conversation import Message

ROW: Final = 26
HEAD: Final = 44
TIME: Final = 84
STEP: Final = (150, 400)
"""Least and greatest distance of two lifelines."""
WIDTH: Final = 940
"""Px that all of them share."""
TITLE: Final = 6
"""Messages of a datagram that its title says in full."""
CHARACTER: Final = 7.0
"""Width of a character of the words, in px; only used to make the drawing wide enough."""


def svg(messages: Sequence[Message], order: Sequence[str] = (), most: int = 200) -> str:
    """Return an ``<svg>`` element; at most ``most`` rows, then a remark how many were left out.

    Words stand above their arrow at the left end of it; rows carry a title with every message in full.
    """
    if not messages:
        return ""
    hosts, rows = involved(messages, order), fold(messages)
    left_out = len(rows) - most
    if left_out > 0:
        rows = (*rows[:most], Row(None, f"{left_out} rows more stand in the capture"))
    step = max(STEP[0], min(STEP[1], WIDTH // len(hosts)))
    at = {host: TIME + 40 + step * number for number, host in enumerate(hosts)}
    longest = max((_start(row, at) + len(_label(row)) * CHARACTER for row in rows), default=0)
    width = round(max(*at.values(), longest) + 60)
    height = HEAD + ROW * len(rows) + 20
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [f'<svg class="chart" {size} role="img" aria-label="{escape(_spoken(rows))}">']
    for host, x in at.items():
        parts.append(f'<line class="life" x1="{x}" y1="{HEAD - 8}" x2="{x}" y2="{height - 8}"/>')
        half = max(44, len(host) * 4 + 14)
        parts.append(f'<rect class="head" x="{x - half}" y="8" width="{2 * half}" height="26" rx="6"/>')
        parts.append(f'<text class="host" x="{x}" y="26">{escape(host)}</text>')
    for number, row in enumerate(rows):
        parts += _row(row, at, HEAD + ROW * number + 22)
    return "".join((*parts, "</svg>"))


def _label(row: Row) -> str:
    return row.text + (f"  ×{row.times}" if row.times > 1 else "")


def _start(row: Row, at: dict[str, int]) -> int:
    if row.message is None:
        return TIME + 10
    return min(at[host] for host in (row.message.source, *row.message.targets)) + 10


def _row(row: Row, at: dict[str, int], y: int) -> list[str]:
    if row.message is None:
        return [f'<text class="remark" x="{TIME + 10}" y="{y - 4}">{escape(row.text)}</text>']
    message, start = row.message, at[row.message.source]
    title = escape("\n".join((f"{message.origin} → {message.target}", *message.words[:TITLE])))
    parts = [
        f'<g class="message {message.kind}"><title>{title}</title>',
        f'<text class="time" x="{TIME - 12}" y="{y + 4}">{message.time * 1000:.3f}</text>',
        f'<text class="words" x="{_start(row, at)}" y="{y - 5}">{escape(_label(row))}</text>',
    ]
    ends = [at[host] for host in message.targets if host != message.source]
    furthest = sorted({max(ends, default=start), min(ends, default=start)} - {start})
    parts += [f'<line x1="{start}" y1="{y}" x2="{end}" y2="{y}"/>' for end in furthest]
    for end in ends:
        back = -8 if end > start else 8
        parts.append(f'<path d="M{end} {y}l{back} -4v8z"/>')
    if not message.targets:
        parts.append(f'<line x1="{start}" y1="{y}" x2="{start + 34}" y2="{y}"/>')
        parts.append(f'<path class="lost" d="M{start + 32} {y - 5}l10 10m0 -10l-10 10"/>')
    if message.targets == (message.source,):
        parts.append(f'<path class="loop" d="M{start} {y - 4}h22v8h-14"/><path d="M{start} {y + 4}l8 -4v8z"/>')
    return [*parts, f'<circle cx="{start}" cy="{y}" r="3"/></g>']


def _spoken(rows: Sequence[Row]) -> str:
    """Say the first rows to people who do not see the drawing; the text chart stands beside it in the page."""
    said = [f"{row.message.source}: {row.text}" for row in rows[:5] if row.message is not None]
    return "Sequence of messages. " + "; ".join(said) + ("; and more" if len(rows) > 5 else "")
