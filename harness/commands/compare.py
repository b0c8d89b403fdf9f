"""``canet compare``: the same scenario with each implementation in turn, and where they differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from canet.harness.commands.run import choose
from canet.harness.participants.recipe import CLIENTS, PEERS
from canet.harness.report import progress
from canet.harness.run import cases
from canet.scenarios.model import SUBJECTS

if TYPE_CHECKING:
    from canet.harness.run.run import Result

EPILOG = """\b
Examples:
  canet compare bound_to_own_address
  canet compare --tag statement --packets-only
  canet compare broadcast_reaches_all --client libca --client caproto --client canet
  canet compare multicast_group --subject asyncio --subject rsrv --json
\b
Exit code: 0 whatever the differences are, 2 for a mistake in a name, 3 if this machine has no namespaces."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare", epilog=EPILOG)(compare)


def compare(
    scenarios: Annotated[list[str] | None, typer.Argument(help="Names or ids of scenarios, or files.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", "-t", help="Those with this tag or theme.")] = None,
    variant: Annotated[list[str] | None, typer.Option("--variant", "-v", help="Only these variants.")] = None,
    subject: Annotated[
        list[str] | None, typer.Option("--subject", "-s", help="Who plays the servers; default: everyone.")
    ] = None,
    client: Annotated[
        list[str] | None,
        typer.Option("--client", "-c", help="Who plays the clients; may be repeated (libca, caproto, canet)."),
    ] = None,
    packets_only: Annotated[bool, typer.Option("--packets-only", help="Without clients.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Labs at the same time; 0: four per CPU.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Every scenario in words, not only differences.")] = False,
) -> None:
    """Run the same scenario with each implementation, and show where they differ."""
    chosen = choose(scenarios or (), tag or (), False, variant or ())
    for each in client or ():
        if each not in CLIENTS:
            raise typer.BadParameter(f"no client is called {each!r}; there are {', '.join(CLIENTS)}")
    if client:
        chosen = [cases.with_clients(each, client) for each in chosen]
    try:
        todo = list(cases.cases(chosen, subject or (*SUBJECTS[:3], *PEERS), packets_only=packets_only))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    from canet.netns import enter

    enter()  # before anything starts a thread, as numpy does
    from canet.harness.report import comparison, overview, terminal
    from canet.harness.run import run

    bar = progress.Progress(len(todo))
    results = run.run_all(todo, lambda result: bar.step(result.case.id), jobs=jobs)
    bar.clear()
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.case.scenario.key, []).append(result)
    if as_json:
        typer.echo(json.dumps({key: comparison.plain(each) for key, each in groups.items()}, indent=2))
        return
    out = terminal.console()
    out.print(overview.table(groups))
    out.print(f"\n{overview.LEGEND}")
    for key, group in groups.items():
        if verbose or len(groups) == 1 or any(row.differs for row in comparison.rows(group)):
            typer.echo(_details(key, group))


def _details(key: str, group: Sequence[Result]) -> str:
    """Return a paragraph for each measure, with a line for each set of implementations that saw the same, and why."""
    from canet.harness.report import comparison

    scenario = group[0].case.scenario
    lines = [f"\n{key}: {scenario.title}" + (f" ({scenario.variant_title})" if scenario.variant_title else "")]
    for row in comparison.rows(group):
        lines.append(f"  {row.name}")
        width = max(len(", ".join(names)) for _, names in row.seen)
        lines += [f"    {', '.join(names):<{width}}  {seen}" for seen, names in row.seen]
    lines += [f"  {sentence}" for sentence in comparison.sentences(group)]
    return "\n".join(lines)
