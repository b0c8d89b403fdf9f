"""``canet selfcheck``: compare predictions with this kernel in random networks."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

EPILOG = """\b
Examples:
  canet selfcheck --cases 200
  canet selfcheck --cases 5000 --seed 1 --jobs 2
  canet selfcheck --cases 1000 --keep found
  canet selfcheck --library
\b
Exit code: 0 if model and kernel agree in every case, 1 if not, 3 if this machine has no namespaces."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("selfcheck", epilog=EPILOG)(selfcheck)


def selfcheck(
    cases: Annotated[int, typer.Option("--cases", "-n", help="How many random networks.", min=1)] = 200,
    seed: Annotated[int, typer.Option("--seed", help="The first one; the same seed gives the same networks.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Networks at the same time; 0: one per CPU.")] = 0,
    keep: Annotated[Path | None, typer.Option("--keep", help="Store differences here, as small as they get.")] = None,
    library: Annotated[
        bool, typer.Option("--library", help="Count what runs of the library compare with predictions; nothing is run.")
    ] = False,
) -> None:
    """Compare predictions with this kernel in random networks, or count what runs of the library compare."""
    if library:
        _library()
        return
    from canet.netns import enter

    enter()  # first of all: what is imported after it may start threads
    from canet.harness.predict.rules import RULES
    from canet.harness.proof import selfcheck as check

    began = time.monotonic()
    live = sys.stderr.isatty()

    def tell(done: int, outcome: check.Outcome) -> None:
        if live:
            rate = done / (time.monotonic() - began)
            left = (cases - done) / rate
            bad = len(outcome.differences)
            sys.stderr.write(f"\r\x1b[K[{done}/{cases}] {rate:.0f} a second, {left:.0f} s to go, {bad} differences")
            sys.stderr.flush()

    outcome = check.run(cases, seed, jobs, tell)
    seconds = time.monotonic() - began
    if live:
        sys.stderr.write("\r\x1b[K")
    for each in outcome.differences:
        typer.echo(f"seed {each.seed}:")
        typer.echo("\n".join(f"  {line}" for line in each.what))
        if keep is not None:
            typer.echo(f"  kept in {check.keep(each, keep)}")
    wanted = check.network_rules()
    touched = [each for each in wanted if each in outcome.rules]
    agreed = outcome.compared - len(outcome.differences)
    typer.echo(f"{agreed} of {outcome.compared} networks agree ({outcome.shots} datagrams and connections)")
    for reason, count in sorted(Counter(outcome.unbuildable.values()).items()):
        typer.echo(f"{count} networks could not be built here: {reason}")
    if outcome.single:
        typer.echo(
            f"left out: {outcome.single} networks with sockets of several users, made with one user here instead"
        )
    typer.echo(f"rules touched: {len(touched)} of {len(wanted)}")
    for rule in wanted:
        if rule not in outcome.rules:
            typer.echo(f"  not touched: {rule}: {RULES[rule].text}")
    rate = f"{outcome.cases / seconds:.0f} networks and {outcome.shots / seconds:.0f} shots a second"
    typer.echo(f"{seconds:.1f} s, {rate}")
    raise typer.Exit(1 if outcome.differences else 0)


def _library() -> None:
    """Print what is compared in runs of the library, and what is not."""
    from canet.harness.proof import coverage
    from canet.harness.proof.deviations import DEVIATIONS
    from canet.scenarios.library import all_scenarios

    found = coverage.cover(all_scenarios())
    some, variants = found.variants()
    typer.echo(f"in {some} of {variants} variants something is compared with its prediction in each run:")
    for kind in coverage.KINDS:
        compared, every = found.count(kind)
        typer.echo(f"  {coverage.KINDS[kind]:<44} {compared:>5} of {every}")
    typer.echo("not compared:")
    for reason, left in sorted(found.reasons().items(), key=lambda each: -len(each[1])):
        keys = list(dict.fromkeys(each.scenario for each in left))
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        typer.echo(f"  {len(left):>4}  {reason}: {keys[0]}{more}")
    typer.echo(f"known deviations: {len(DEVIATIONS)}")
    for (key, subject), reason in DEVIATIONS.items():
        typer.echo(f"  {key}, {subject}: {reason}")
