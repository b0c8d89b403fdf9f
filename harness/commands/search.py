"""``canet search``: from the words of a problem to the scenarios that show it."""

from __future__ import annotations

import json
import textwrap
from typing import Annotated

import typer

from canet.scenarios import library


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("search", epilog=EPILOG)(search)


EPILOG = """\b
Examples:
  canet search cannot connect through docker
  canet search second IOC not found
  canet search --most 3 beacon"""


def search(
    words: Annotated[list[str], typer.Argument(help="What you see, in your own words.", metavar="WORDS")],
    most: Annotated[int, typer.Option("--most", "-n", min=1, help="How many hits at most.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find scenarios by words, as you would describe a problem; exit code 1 if none speaks of it."""
    hits = library.search(" ".join(words), most=most)
    if as_json:
        found = [
            {"id": hit.scenario.id, "title": hit.scenario.title, "score": hit.score, "words": hit.words} for hit in hits
        ]
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    for hit in () if as_json else hits:
        typer.echo(f"{hit.scenario.title}")
        typer.echo(f"    canet show {hit.scenario.id.rpartition('/')[2]}   ({', '.join(hit.words)})")
        first = hit.scenario.story.partition("\n\n")[0].replace("\n", " ")
        typer.echo(
            textwrap.fill(
                textwrap.shorten(first, 300, placeholder=" …"), 100, initial_indent="    ", subsequent_indent="    "
            )
        )
        typer.echo()
    if not hits:
        typer.echo(
            "No scenario speaks of this; `canet list --tags` shows the words that scenarios are tagged with.", err=True
        )
        raise typer.Exit(1)
