"""``canet check``: read scenario files and say what is wrong, without starting anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from canet.scenarios import library
from canet.scenarios.errors import ScenarioError
from canet.scenarios.load import load


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check", epilog=EPILOG)(check)


EPILOG = """\b
Examples:
  canet check my_network.canet.toml
  canet check tests/            every *.toml below
  canet check                   the scenarios that ship with canet"""


def check(
    file: Annotated[list[Path] | None, typer.Argument(help="Files, or folders to look in.", metavar="FILE")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print mistakes only.")] = False,
) -> None:
    """Check scenario files without running them; exit code 2 if one is wrong."""
    paths = [path for each in file or () for path in (sorted(each.rglob("*.toml")) if each.is_dir() else [each])]
    wrong = 0
    for path in paths if file else library.files():
        try:
            found = load(path)
        except ScenarioError as error:
            typer.echo(str(error), err=True)
            wrong += 1
            continue
        if not quiet:
            typer.echo(
                f"{path}: {len(found)} variant{'s' if len(found) > 1 else ''}: {', '.join(s.variant for s in found)}"
            )
    if wrong:
        raise typer.Exit(2)
