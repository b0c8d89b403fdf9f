"""``canet run``: run scenarios in labs and compare what is seen with what is expected."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from canet.harness.report import progress
from canet.harness.run import cases
from canet.scenarios import library
from canet.scenarios.errors import MistakeError
from canet.scenarios.load import load
from canet.scenarios.model import Scenario

if TYPE_CHECKING:
    from canet.harness.run.run import Result

EPILOG = """\b
Examples:
  canet run unicast_reaches_one
  canet run several_servers_on_one_host --subject rsrv --subject trio
  canet run my_site.canet.toml --variant broken --pcap broken.pcapng --verbose
  canet run --tag firewall --out results && canet report results
\b
Exit code: 0 if all hold (skips included), 1 if one does not, 2 for a mistake in a file or name,
3 if this machine has no namespaces, 130 when interrupted."""

WIDE = 300
"""Columns of a pipe, so that it gets whole names."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog=EPILOG)(run_scenarios)


def run_scenarios(
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(help="Names or ids of scenarios, themes, or files.", show_default=False),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", "-t", help="Those with this tag or theme; may be repeated (all hold).")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", "-a", help="The whole library.")] = False,
    variant: Annotated[list[str] | None, typer.Option("--variant", "-v", help="Only these variants.")] = None,
    subject: Annotated[
        list[str] | None, typer.Option("--subject", "-s", help="Who plays the servers; may be repeated.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Change the scenario: KEY=VALUE with a dotted key.")
    ] = None,
    pcap: Annotated[Path | None, typer.Option("--pcap", help="Write the frames of the run (pcapng).")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Leave a directory for each case here.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    require_all: Annotated[bool, typer.Option("--require-all", help="A skip is a failure.")] = False,
    packets_only: Annotated[bool, typer.Option("--packets-only", help="Without clients.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Every check, and the messages.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Labs at the same time; 0: four per CPU.")] = 0,
    times: Annotated[int, typer.Option("--times", "-n", help="Run each case so often.", min=1)] = 1,
) -> None:
    """Run scenarios in labs and compare what is seen with what is expected."""
    chosen = choose(scenarios or (), tag or (), everything, variant or (), setting or ())
    try:
        todo = list(cases.cases(chosen, subject or (), packets_only=packets_only))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not scenarios:
        told = [each for each in todo if cases.speaks_about(each)]
        todo = _without(todo, told, "it does not speak about who was asked for; name a scenario to run it anyhow")
    if packets_only:
        shown = {each.key for each in chosen if cases.shown_by_packets(each)}
        told = [each for each in todo if each.scenario.key in shown]
        todo = _without(todo, told, "it is about what clients do, which packets alone do not show")
    from canet.netns import enter

    enter()  # before anything starts a thread, as numpy does
    from canet.harness.report import showing, terminal
    from canet.harness.run import run

    bar = progress.Progress(len(todo) * times)

    def done(result: Result) -> None:
        bar.step(result.case.id)
        bar.clear()
        _store(result, out)
        if not as_json:
            showing.show(result, verbose=verbose)

    results = run.run_all(todo, done, jobs=jobs, require_all=require_all, times=times)
    bar.clear()
    if pcap is not None:
        _capture(results, pcap)
    if junit is not None:
        from canet.harness.report.junit import write

        write(junit, [each.verdict for each in results])
    if as_json:
        from canet.harness.report.results import results as as_document

        typer.echo(as_document(each.verdict for each in results), nl=False)
    else:
        if len({each.case.id for each in results}) > 1:
            paper = terminal.console(width=None if sys.stdout.isatty() else WIDE)
            paper.print(terminal.matrix((each.verdict for each in results), paper.encoding))
        typer.echo(terminal.summary([each.verdict for each in results]))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from canet.harness.report.github import commands

        sources = {each.case.scenario.key: each.case.scenario.source for each in results}
        for line in commands((each.verdict for each in results), sources):
            typer.echo(line)
    raise typer.Exit(1 if run.failed(results) else 0)


def _without(todo: list[cases.Case], left: list[cases.Case], why: str) -> list[cases.Case]:
    """Return the cases that are left, and say on stderr how many are not, and why.

    Raises:
        typer.BadParameter: none is left.
    """
    if not left:
        raise typer.BadParameter(f"nothing is left to run: {why}")
    if silent := len(todo) - len(left):
        typer.echo(f"left out {silent} of {len(todo)}: {why}", err=True)
    return left


def choose(
    names: Sequence[str], tags: Sequence[str], everything: bool, variants: Sequence[str], settings: Sequence[str] = ()
) -> list[Scenario]:
    """Return the scenarios that a command line names.

    Raises:
        typer.BadParameter: nothing was named, or nothing has that variant.
        ScenarioError, MistakeError: a file or name is wrong.
    """
    if not names and not tags and not everything:
        raise typer.BadParameter("name scenarios or files, or --tag TAG, or --all; `canet list` shows them")
    changes = dict(_setting(each) for each in settings)
    chosen: list[Scenario] = []
    for name in names:
        path = Path(name)
        if name.endswith(".toml") or path.is_file():
            chosen += load(path, set=changes)
        else:
            chosen += _again(library.find(name), changes) if changes else library.find(name)
    if everything or (tags and not names):
        chosen += library.all_scenarios()
    for tag in tags:
        chosen = list(library.tagged(tag, chosen))
    if variants:
        known = dict.fromkeys(each.variant for each in chosen)
        chosen = [each for each in chosen if each.variant in variants]
        if not chosen:
            raise typer.BadParameter(f"no variant is called {', '.join(variants)}; there are {', '.join(known)}")
    if not chosen:
        raise typer.BadParameter("no scenario fits; `canet list` shows them")
    return list({each.key + each.source: each for each in chosen}.values())


def _again(found: Sequence[Scenario], changes: dict[str, Any]) -> list[Scenario]:
    """Load the files of scenarios again with changes."""
    keys = {each.key for each in found}
    files = dict.fromkeys(each.source for each in found)
    return [each for file in files for each in load(Path(file), set=changes) if each.key in keys]


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise MistakeError(f"--set {text}", "no '='", "KEY=VALUE")
    import tomllib

    try:
        return key, tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        return key, value


def _store(result: Result, out: Path | None) -> None:
    if out is None:
        return
    from canet.harness.report.record import directory_name, save

    case = result.case
    place = out / directory_name(case.scenario.key, case.subject)
    save(place, case.scenario, result.observation, result.verdict, result.prediction)


def _capture(results: Sequence[Result], path: Path) -> None:
    """Write one file; with several cases, each into a file of its own beside it."""
    from canet.harness.report import record
    from canet.harness.wire import pcapng

    seen = [(each.case, each.observation) for each in results if each.observation is not None]
    for case, observation in seen:
        name = path if len(seen) == 1 else path.with_name(f"{path.stem}.{_name(record, case)}{path.suffix}")
        pcapng.write(name, observation.frames, case.scenario.topology, comment=case.id)


def _name(record: Any, case: cases.Case) -> str:
    return str(record.directory_name(case.scenario.key, case.subject))
