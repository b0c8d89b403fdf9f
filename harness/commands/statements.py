"""``canet statements``: measure the nine statements about servers on one host, and print them in words.

With ``--documents`` those are measured that official documents make and that are not so.
"""

from __future__ import annotations

import json
import textwrap
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from canet.harness.participants import recipe
from canet.harness.report import progress
from canet.harness.run import cases
from canet.netns import enter
from canet.scenarios import library

if TYPE_CHECKING:
    from canet.harness.report.statements import Statement
    from canet.harness.run.run import Result

EPILOG = """\b
Examples:
  canet statements
  canet statements --packets-only
  canet statements 3 8 --subject rsrv
  canet statements --documents
\b
Exit code: 0 if all hold, 1 if one does not, 3 if this machine has no namespaces."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("statements", epilog=EPILOG)(statements)


def statements(
    numbers: Annotated[list[int] | None, typer.Argument(help="Only these statements.", show_default=False)] = None,
    subject: Annotated[
        list[str] | None,
        typer.Option(
            "--subject",
            "-s",
            help="Who plays the servers; may be repeated. Default: canet's backends; with --documents rsrv.",
        ),
    ] = None,
    documents: Annotated[
        bool, typer.Option("--documents", help="What official documents say otherwise than it is.")
    ] = False,
    packets_only: Annotated[bool, typer.Option("--packets-only", help="Without libca and other clients.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Labs at the same time; 0: four per CPU.")] = 0,
    require_all: Annotated[
        bool, typer.Option("--require-all", help="What is not installed is a failure, not a remark.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the nine statements about servers on one host, and print them in words."""
    enter()  # before anything starts a thread, as numpy does
    from canet.harness.report.statements import AGAINST_THE_DOCUMENTS, STATEMENTS, scenarios_of
    from canet.harness.run import run

    began = time.monotonic()
    every_one = AGAINST_THE_DOCUMENTS if documents else STATEMENTS
    chosen = [each for each in every_one if not numbers or each.number in numbers]
    if not chosen:
        raise typer.BadParameter(f"there are the statements 1 to {len(every_one)}")
    subjects = [each for name in subject or ["rsrv" if documents else "canet"] for each in _expand(name)]
    no_libca = recipe.missing("libca")
    if no_libca and require_all:
        typer.echo(f"canet: {no_libca}", err=True)
        raise typer.Exit(1)
    everything = library.tagged("against-the-documents" if documents else "statement")
    todo = [
        case
        for statement in chosen
        for case in cases.cases(
            scenarios_of(statement, everything), subjects, packets_only=packets_only or no_libca is not None
        )
        if case.subject in case.scenario.subjects
    ]
    results: dict[str, list[Result]] = defaultdict(list)
    awaited = {each.number: sum(map(each.shown_by, (case.scenario for case in todo))) for each in chosen}
    bar = progress.Progress(len(todo))
    printer = _Printer(chosen, awaited, subjects, as_json)

    def done(result: Result) -> None:
        results[result.case.id].append(result)
        bar.step(result.case.id)
        bar.clear()
        printer.take(result)

    every = run.run_all(todo, done, jobs=jobs, require_all=require_all)
    bar.clear()
    seconds = time.monotonic() - began
    bad = run.failed(every)
    if as_json:
        typer.echo(json.dumps(printer.as_json(seconds), indent=2, ensure_ascii=False))
    else:
        _summary(every, seconds, no_libca if not packets_only else None)
    raise typer.Exit(1 if bad else 0)


def _expand(name: str) -> tuple[str, ...]:
    try:
        return cases.expand(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


class _Printer:
    """Prints each statement as soon as it and all before it are complete."""

    def __init__(
        self, chosen: Sequence[Statement], awaited: dict[int, int], subjects: Sequence[str], quiet: bool
    ) -> None:
        self._chosen = list(chosen)
        self._left = dict(awaited)
        self._subjects = subjects
        self._quiet = quiet
        self._results: dict[int, list[Result]] = defaultdict(list)
        self._began = time.monotonic()

    def take(self, result: Result) -> None:
        """Take one result; print what is complete now."""
        for each in self._chosen:
            if each.shown_by(result.case.scenario):
                self._results[each.number].append(result)
                self._left[each.number] -= 1
        while self._chosen and self._left.get(self._chosen[0].number, 0) <= 0 and not self._quiet:
            self._print(self._chosen.pop(0))

    def _print(self, statement: Statement) -> None:
        from canet.harness.report.showing import complaints
        from canet.harness.report.statements import sentence
        from canet.harness.run import run

        results = self._results[statement.number]
        holds = not run.failed(results) and bool(results)
        typer.echo("\n" + _wrapped(f"{statement.number} {progress.mark(holds)} {statement.text}", "    "))
        for subject in self._subjects:
            mine = [each for each in results if each.case.subject == subject]
            if not mine:
                continue
            seconds = sum(each.verdict.seconds for each in mine)
            good = not run.failed(mine)
            head = f"  {progress.mark(good)} {subject:<16}"
            typer.echo(_wrapped(f"{head}{sentence(statement, mine)} ({seconds:.1f} s)", " " * 20))
            for each in mine:
                for line in complaints(each):
                    typer.echo(_wrapped(f"      {line}", " " * 8))

    def as_json(self, seconds: float) -> dict[str, object]:
        """Return everything as plain values."""
        from canet.harness.report.statements import sentence
        from canet.harness.run import run

        return {
            "seconds": round(seconds, 3),
            "statements": [
                {
                    "number": each.number,
                    "text": each.text,
                    "holds": not run.failed(self._results[each.number]),
                    "measured": {
                        subject: {
                            "holds": not run.failed(mine),
                            "words": sentence(each, mine),
                            "seconds": round(sum(one.verdict.seconds for one in mine), 3),
                            "cases": [one.case.id for one in mine],
                        }
                        for subject in self._subjects
                        if (mine := [one for one in self._results[each.number] if one.case.subject == subject])
                    },
                }
                for each in self._chosen
            ],
        }


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(text, 118, subsequent_indent=indent, break_on_hyphens=False)


def _summary(results: Sequence[Result], seconds: float, note: str | None) -> None:
    count = len(results)
    good = sum(1 for each in results if each.verdict.outcome == "holds")
    typer.echo(f"\n{good} of {count} measurements hold, in {seconds:.1f} s.")
    if note:
        typer.echo(f"Not confirmed by libca: {note}")
