"""Show results to people: a line for each case, its checks, its messages."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

from canet.harness.report import terminal
from canet.harness.run.run import Result

if TYPE_CHECKING:
    from rich.text import Text


def text(result: Result, *, verbose: bool = False) -> str:
    """Return a case's line; its checks and messages where it does not hold, or all of them with ``verbose``."""
    return _styled(result, verbose, False, sys.stdout.encoding).plain


def show(result: Result, *, verbose: bool = False) -> None:
    """Print the same to standard output, in colours on a terminal; with ``verbose`` also every frame in full."""
    out = terminal.console()
    out.print(_styled(result, verbose, verbose, out.encoding))


def _styled(result: Result, verbose: bool, frames: bool, encoding: str | None) -> Text:
    drawn = verbose or result.verdict.outcome in ("fails", "error")
    chart = messages(result, frames=frames) if drawn and result.observation is not None else ""
    return terminal.verdict(result.verdict, verbose=verbose, chart=chart, encoding=encoding)


def story(result: Result, *, width: int = 110) -> str:
    """Return all about a case: what it is about, its network, what was expected and seen, and the messages."""
    scenario = result.case.scenario
    lines = [scenario.title + (f": {scenario.variant_title}" if scenario.variant_title else "")]
    for paragraph in scenario.story.split("\n\n"):
        lines += ["", *textwrap.wrap(paragraph, width)]
    if scenario.drawing:
        lines += ["", *scenario.drawing.splitlines()]
    lines += ["", text(result, verbose=True)]
    if result.observation is not None:
        for each in result.observation.participants:
            lines += ["", f"{each.name} ({each.implementation} on {each.host}, UDP {', '.join(each.udp) or 'none'}):"]
            lines += textwrap.indent("\n".join(each.output.rstrip().splitlines()[-10:]) or "no output", "    ").split(
                "\n"
            )
    return "\n".join(lines)


def messages(result: Result, *, frames: bool = False) -> str:
    """Return the messages of a case as a chart between hosts; with ``frames`` also every one in full."""
    from canet.harness.report import chart
    from canet.harness.wire.conversation import conversation

    said = conversation(result.observation.frames if result.observation is not None else ())
    hosts = [each.name for each in result.case.scenario.topology.hosts]
    width = shutil.get_terminal_size().columns - 5 if sys.stdout.isatty() else None
    drawn = chart.text(said, hosts, width)
    return f"{drawn}\n\n{chart.listing(said)}" if frames and said else drawn


def complaints(result: Result) -> list[str]:
    """Return a line for each check of a result that does not hold, and one for its reason."""
    verdict = result.verdict
    lines = []
    if verdict.outcome in ("error", "skipped"):
        lines.append(f"{result.case.id}: {verdict.outcome}: {verdict.reason}")
    lines += [
        f"{result.case.id}: {each.subject} {each.measure}: expected {each.expected}, seen {each.seen}"
        + (f" ({each.why})" if each.why else "")
        for each in verdict.checks
        if each.holds is False
    ]
    return lines
