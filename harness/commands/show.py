"""``canet show``: everything that a scenario says, for people or as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from canet.harness.report import drawing
from canet.harness.verdict.differences import differences, happening
from canet.scenarios import library
from canet.scenarios.model import Expectation, Scenario


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show", epilog=EPILOG)(show)


EPILOG = """\b
Examples:
  canet show multi_ioc_localhost_127
  canet show 'multi_ioc_localhost_127[all-addresses]'
  canet show my_network.toml --json"""


def names(incomplete: str) -> list[str]:
    """Complete the name of a scenario in a shell."""
    return [path.stem for path in library.files() if path.stem.startswith(incomplete)]


def show(
    scenario: Annotated[
        list[str],
        typer.Argument(help="Name, theme/name, name[variant] or file.", autocompletion=names, metavar="SCENARIO"),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    source: Annotated[bool, typer.Option("--source", help="Print the file as it is.")] = False,
) -> None:
    """Show a scenario: its story, drawing, expectations and variants."""
    for number, name in enumerate(scenario):
        found = library.find(name)
        if number and not as_json:
            typer.echo("\n" + "─" * 72 + "\n")
        if source:
            typer.echo(Path(found[0].source).read_text(encoding="utf-8"), nl=False)
        elif as_json:
            import msgspec

            typer.echo(msgspec.json.format(msgspec.json.encode(found, enc_hook=str)).decode())
        else:
            typer.echo("\n".join(page(found)))


def page(variants: Sequence[Scenario]) -> Iterator[str]:
    """Yield the lines of what a file says; ``variants`` are of one file, the first is described whole."""
    base = variants[0]
    yield base.title
    yield "═" * len(base.title)
    yield f"{base.id}   tags: {', '.join(base.tags) or 'none'}   for: {', '.join(base.speaks_about) or 'canet'}"
    if base.needs:
        yield f"needs: {', '.join(base.needs)}"
    if base.story:
        yield ""
        yield base.story
    yield ""
    yield base.drawing or drawing.text(base)
    if base.steps:
        yield ""
        yield "What happens"
        yield from (f"  {number}. {happening(step)}" for number, step in enumerate(base.steps, 1))
    for each in variants:
        yield ""
        title = f"[{each.variant}] {each.variant_title}".rstrip()
        yield title
        yield "─" * len(title)
        yield from variant(each, None if each is base else base)
    if base.references:
        yield ""
        yield "See also"
        for reference in base.references:
            yield from textwrap.wrap(reference, 100, initial_indent="  · ", subsequent_indent="    ")


def variant(scenario: Scenario, base: Scenario | None) -> Iterator[str]:
    """Yield what one variant expects, and where it differs from the base in how it is set up."""
    if scenario.cause:
        yield f"  wrong: {scenario.cause}"
    if base is not None:
        yield from (f"  {line}" for line in differences(base, scenario))
    for each in scenario.expectations:
        if base is not None and each in base.expectations:
            continue
        head = each.subject + (f" (with {', '.join(each.when)})" if each.when else "")
        yield f"  {head}: {'; '.join(measures(each)) or 'nothing is checked'}"
        if each.because:
            yield f"      because {each.because}"
    if base is not None and scenario.expectations == base.expectations:
        yield "  expects the same as the base"


def measures(expectation: Expectation) -> Iterator[str]:
    """Yield each measure of an expectation in words."""
    for field in ("received", "answered", "connects", "reads"):
        if (outcome := getattr(expectation, field)) is not None:
            yield f"{field} {outcome}"
    if expectation.reply_from is not None:
        yield f"replies come from {', '.join(expectation.reply_from) or 'nowhere'}"
    if expectation.replies is not None:
        yield f"{expectation.replies} replies to a datagram"
    if expectation.says is not None:
        yield f"says /{expectation.says}/"
    if expectation.silent is not None:
        yield "sends no search" if expectation.silent else "sends searches"
    if expectation.searches_to is not None:
        yield f"searches {', '.join(expectation.searches_to) or 'nowhere'}"
    for name, value in expectation.extra.items():
        text = ", ".join(map(str, value)) or "none" if isinstance(value, list) else YES_NO.get(str(value), str(value))
        yield f"{name.replace('_', ' ')}: {text}"


YES_NO = {"True": "yes", "False": "no"}
