"""Show results to people in plain text: a line for each case, its checks, its messages."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from canet.harness.observation import Check
from canet.harness.progress import mark
from canet.harness.run import Result


def text(result: Result, *, verbose: bool = False) -> str:
    """Return a case's line; its checks and messages where it does not hold, or all of them with ``verbose``."""
    verdict = result.verdict
    holds = {"holds": True, "skipped": None}.get(verdict.outcome, False)
    lines = [f"{mark(holds)} {result.case.id}  {verdict.outcome} in {verdict.seconds:.2f} s"]
    lines += textwrap.indent(verdict.reason, "    ").splitlines()
    for check in verdict.checks:
        if verbose or check.holds is not True:
            lines += check_lines(check)
    if result.observation is not None and (verbose or holds is False):
        lines += ["", *textwrap.indent(messages(result), "    ").splitlines()]
    return "\n".join(lines)


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


def messages(result: Result) -> str:
    """Return the messages of a case as a chart between hosts."""
    from canet.harness import chart
    from canet.harness.conversation import conversation

    frames = result.observation.frames if result.observation is not None else ()
    return chart.text(conversation(frames), [each.name for each in result.case.scenario.topology.hosts])


def check_lines(check: Check) -> list[str]:
    """Return a check with expected, seen and why."""
    lines = [
        f"  {mark(check.holds)} {check.subject} {check.measure}",
        f"      expected  {check.expected}",
        f"      seen      {check.seen}",
    ]
    return [*lines, f"      why       {check.why}"] if check.why else lines


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


def summary(results: Sequence[Result]) -> str:
    """Return the last line: how many cases came out how."""
    words = {"holds": "hold", "fails": "fail", "error": "cannot be judged", "skipped": "skipped"}
    counts = {name: sum(1 for each in results if each.verdict.outcome == name) for name in words}
    return f"{len(results)} cases: " + ", ".join(f"{counts[name]} {words[name]}" for name in counts if counts[name])
