"""Draw what was said as a message-sequence chart in text: a column for each host, an arrow for each message.

Time stands in the first column (as in a packetdrill script), words stand at the right; what repeats is folded. The
same rows are drawn as SVG by :mod:`canet.harness.report.chart_svg`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from canet.harness.wire.conversation import Message, headline

TIME: Final = 10
"""Columns of the time, in milliseconds."""
_ASCII: Final = str.maketrans(dict(zip("│─├┤┼▶◀✗↺…·×┄", "|-+++><xo.;x:", strict=True)) | {"→": "to", "←": "from"})
LONGEST_BLOCK: Final = 16
WORDS: Final = 30
"""Columns that the words get at least."""


@dataclass(frozen=True, slots=True)
class Row:
    """One message, how often it came in a row, or a remark about the rows above it."""

    message: Message | None
    text: str
    times: int = 1


def describe(message: Message) -> str:
    """Say one message in a line: the addresses that matter first, then its words, since lines may be cut."""
    said = headline(message.words)
    if message.kind == "search":
        return said.replace("SEARCH", f"SEARCH → {_short(message.target)}", 1)
    if message.kind == "reply":
        return said.replace("SEARCH reply", f"SEARCH reply ← {message.origin}", 1)
    return f"{said} ← {message.origin}" if message.kind == "beacon" else said


def _short(address: str) -> str:
    return address.removesuffix(":5064")


def fold(messages: Sequence[Message]) -> tuple[Row, ...]:
    """Fold what repeats: one message several times, or a group of up to :data:`LONGEST_BLOCK` messages.

    Messages are the same if hosts, kind and words are; ids, source ports and times may differ.
    """
    rows: list[Row] = []
    keys = [(each.source, each.targets, each.kind, describe(each)) for each in messages]
    place = 0
    while place < len(messages):
        length, times = max(((size, _repeats(keys, place, size)) for size in range(1, LONGEST_BLOCK + 1)), key=_saved)
        block = messages[place : place + length]
        if length == 1:
            rows.append(Row(block[0], describe(block[0]), times))
        elif times > 1:
            rows += [Row(each, describe(each)) for each in block]
            again = "once more" if times == 2 else f"{times - 1} times more"
            rows.append(Row(None, f"the {length} messages above came {again}"))
        place += length * times
    return tuple(rows)


def _saved(choice: tuple[int, int]) -> tuple[int, int]:
    """Prefer the block that saves most rows; the shorter one among equals. One row goes to the remark."""
    length, times = choice
    return (length * (times - 1) - (length > 1), -length)


def _repeats(keys: Sequence[object], place: int, size: int) -> int:
    """Count how often the ``size`` keys from ``place`` on come one after the other."""
    block, times = keys[place : place + size], 1
    while len(block) == size and keys[place + times * size : place + (times + 1) * size] == block:
        times += 1
    return times


def involved(messages: Iterable[Message], order: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the hosts that sent or received something, in the given order, then in that of appearance."""
    seen = dict.fromkeys(host for each in messages for host in (each.source, *each.targets))
    return (*(host for host in order if host in seen), *(host for host in seen if host not in order))


def text(
    messages: Sequence[Message], order: Sequence[str] = (), width: int | None = 100, ascii_only: bool = False
) -> str:
    """Draw the chart.

    Args:
        messages: What was said (:func:`canet.harness.wire.conversation.conversation`).
        order: Hosts from left to right.
        width: Columns that there are; ``None``: as many as it takes, nothing is cut.
        ascii_only: Whether to do without box characters.

    Returns:
        Lines joined by newlines, without colour; one sentence if nothing was said.
    """
    if not messages:
        return "no messages"
    hosts = involved(messages, order)
    step = _step(hosts, width)
    head = " " * (TIME - 2) + "ms" + "".join(_cut(host, step - 1).center(step) for host in hosts)
    lines = [head.rstrip()]
    for row in fold(messages):
        if row.message is None:
            left, said = " " * TIME + _lifelines(hosts, step).replace("│", "┄"), f"┄ {row.text}"
        else:
            left = f"{row.message.time * 1000:{TIME}.3f}" + _arrow(row.message, hosts, step)
            said = row.text + (f"  ×{row.times}" if row.times > 1 else "")
        # Words start two columns behind the last lifeline.
        lines.append(_cut(f"{left[: TIME + len(hosts) * step - (step - 1) // 2]}  {said}", width).rstrip())
    drawn = "\n".join(lines)
    return drawn.translate(_ASCII) if ascii_only else drawn


def listing(messages: Iterable[Message]) -> str:
    """List every message in full: time, hosts, addresses, then each Channel Access message on a line of its own."""
    lines: list[str] = []
    for each in messages:
        hosts = f"{each.source} → {', '.join(each.targets) or 'nobody'}"
        lines.append(f"{each.time * 1000:{TIME}.3f}  {each.proto} {each.origin} → {each.target}  ({hosts})")
        lines += [f"{'':{TIME}}    {words}" for words in each.words]
    return "\n".join(lines)


def _step(hosts: Sequence[str], width: int | None) -> int:
    """Choose the distance of the lifelines: room for the names, but leave room for the words."""
    wished = min(18, max(8, *(len(host) + 2 for host in hosts)))
    return wished if width is None else max(4, min(wished, (width - TIME - WORDS) // len(hosts)))


def _cut(line: str, width: int | None) -> str:
    return line if width is None or len(line) <= width else line[: width - 1] + "…"


def _lifelines(hosts: Sequence[str], step: int) -> str:
    return "".join("│".center(step) for _ in hosts)


def _arrow(message: Message, hosts: Sequence[str], step: int) -> str:
    """Draw the line from the sender to everyone that it reached; ``✗`` where it reached nobody."""
    line = list(_lifelines(hosts, step))
    at = {host: number * step + "│".center(step).index("│") for number, host in enumerate(hosts)}
    start = at[message.source]
    if not message.targets:
        line[start : start + 3] = "├─✗"
    if message.targets == (message.source,):
        line[start : start + 2] = "├↺"
    ends = [at[host] for host in message.targets if host != message.source]
    for end in (max(ends, default=start), min(ends, default=start)):
        low, high = sorted((start, end))
        for place in range(low + 1, high):
            line[place] = "┼" if line[place] in "│┼" else "─"
    if ends:
        line[start] = "┼" if min(ends) < start < max(ends) else "├" if max(ends) > start else "┤"
    for end in ends:
        line[end - 1 if end > start else end + 1] = "▶" if end > start else "◀"
    return "".join(line)
