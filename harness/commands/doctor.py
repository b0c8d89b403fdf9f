"""``canet doctor``: say what works on this machine, what does not, and which setting to change."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from canet.harness.report import progress

EPILOG = """\b
Examples:
  canet doctor
  canet doctor --json
\b
Exit code: 0 if scenarios can be run (peers and programs may be missing), 3 if not."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog=EPILOG)(doctor)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say what works on this machine, what does not, and which setting to change."""
    from canet.harness.lab.health import findings

    found = list(findings())
    able = all(each.works for each in found if each.needed)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(each) for each in found], indent=2))
        raise typer.Exit(0 if able else 3)
    group = ""
    for each in found:
        if each.group != group:
            group = each.group
            typer.echo(f"{group}:")
        mark = progress.mark(True if each.works else False if each.needed else None)
        typer.echo(f"  {mark} {each.name:<34} {each.detail}")
        if not each.works and each.remedy:
            typer.echo(f"      → {each.remedy}")
    missing = [each.name for each in found if not each.works and each.needed]
    optional = [each.name for each in found if not each.works and not each.needed]
    if able:
        words = f" Optional, and missing: {', '.join(optional)}." if optional else ""
        typer.echo(f"\nScenarios can be run here.{words}")
    else:
        typer.echo(f"\nScenarios cannot be run here: {', '.join(missing)} must work first.")
    raise typer.Exit(0 if able else 3)
