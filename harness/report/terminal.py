"""Show verdicts on a terminal: colours where there are some, the same words without them in a pipe."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Final

from canet.harness.observation import Check, Verdict
from canet.harness.report.record import case_id

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

STYLES: Final = {"holds": "green", "fails": "bold red", "error": "yellow", "skipped": "bright_black"}
MARKS: Final = {"holds": "✓", "fails": "✗", "error": "!", "skipped": "–"}
PLAIN_MARKS: Final = {"holds": "ok", "fails": "NO", "error": "??", "skipped": "-"}


def console(file: IO[str] | None = None, width: int | None = None) -> Console:
    """Return a console for standard output: rich finds out whether it is a terminal, and obeys ``NO_COLOR``."""
    from rich.console import Console

    return Console(file=file, width=width, highlight=False, soft_wrap=True, emoji=False, markup=False)


def mark(outcome: str, encoding: str | None = "utf-8") -> str:
    """Return the mark of an outcome, in letters where the encoding has no signs."""
    return (MARKS if (encoding or "").lower().startswith("utf") else PLAIN_MARKS)[outcome]


def check_outcome(check: Check) -> str:
    """Name the outcome of one check as a verdict would."""
    return {True: "holds", False: "fails", None: "error"}[check.holds]


def verdict(found: Verdict, *, verbose: bool = False, chart: str = "", encoding: str | None = "utf-8") -> Text:
    """Return a verdict as text with styles.

    Args:
        found: The verdict.
        verbose: Whether checks that hold are shown too.
        chart: A message-sequence chart to show below.
        encoding: Of the terminal; decides about the marks.
    """
    from rich.text import Text

    style = STYLES[found.outcome]
    text = Text()
    text.append(f"{mark(found.outcome, encoding)} ", style)
    text.append(case_id(found.scenario, found.subject), "bold")
    text.append(f"  {found.outcome}", style)
    text.append(f" in {found.seconds:.2f} s\n" if found.seconds else "\n", "bright_black")
    if found.reason:
        text.append(textwrap.indent(found.reason, "    ") + "\n", style if found.outcome != "skipped" else "")
    for each in found.checks:
        if verbose or each.holds is not True:
            text.append_text(_check(each, encoding))
    if chart:
        text.append("\n" + "\n".join(f"    {line}" for line in chart.splitlines()) + "\n")
    text.rstrip()
    return text


def _check(check: Check, encoding: str | None) -> Text:
    from rich.text import Text

    outcome = check_outcome(check)
    text = Text()
    text.append(f"  {mark(outcome, encoding)} ", STYLES[outcome])
    text.append(f"{check.subject} {check.measure}\n")
    text.append("      expected  ", "bright_black")
    text.append(f"{check.expected}\n")
    text.append("      seen      ", "bright_black")
    text.append(f"{check.seen or 'nothing'}\n", STYLES[outcome] if outcome == "fails" else "")
    if check.why:
        text.append("      why       ", "bright_black")
        text.append(f"{check.why}\n")
    return text


def matrix(verdicts: Iterable[Verdict], encoding: str | None = "utf-8") -> RenderableType:
    """Return a table: a row for each scenario and variant, a column for each implementation, a mark for each case.

    The mark of a case that was run several times is that of the worst run.
    """
    from rich.table import Table
    from rich.text import Text

    worst = ("skipped", "holds", "error", "fails")
    rows: dict[str, dict[str, Verdict]] = {}
    for each in verdicts:
        row = rows.setdefault(each.scenario, {})
        if each.subject not in row or worst.index(each.outcome) > worst.index(row[each.subject].outcome):
            row[each.subject] = each
    subjects = list(dict.fromkeys(subject for row in rows.values() for subject in row))
    table = Table(box=None, padding=(0, 1), header_style="bright_black")
    table.add_column("scenario", overflow="fold")
    for subject in subjects:
        head = subject.replace("-", "-\n")
        table.add_column(head, justify="center", no_wrap=True, min_width=max(map(len, head.split())))
    for key, row in rows.items():
        marks = [row[subject].outcome if subject in row else "" for subject in subjects]
        table.add_row(Text(key), *(Text(mark(each, encoding), STYLES[each]) if each else "" for each in marks))
    return table


def summary(verdicts: Iterable[Verdict]) -> str:
    """Return one line that counts outcomes.

    >>> summary([Verdict(scenario="a[b]", subject="trio", outcome="holds")])
    '1 case: 1 holds'
    """
    counted: dict[str, int] = dict.fromkeys(MARKS, 0)
    for each in verdicts:
        counted[each.outcome] += 1
    total = sum(counted.values())
    return f"{total} case{'s' * (total != 1)}: " + ", ".join(_counts(counted))


def _counts(counted: dict[str, int]) -> Iterator[str]:
    words = {"holds": ("holds", "hold"), "fails": ("fails", "fail"), "error": ("cannot be judged",) * 2}
    for outcome, number in counted.items():
        if number:
            one, several = words.get(outcome, (outcome, outcome))
            yield f"{number} {one if number == 1 else several}"
