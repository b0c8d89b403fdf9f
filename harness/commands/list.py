"""``canet list``: which scenarios there are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from canet.scenarios import library
from canet.scenarios.model import Scenario


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list", epilog=EPILOG)(list_scenarios)


EPILOG = """\b
Examples:
  canet list
  canet list --tag firewall
  canet list --tags
  canet list --json | jq -r '.[].id'"""


def list_scenarios(
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", "-t", help="Only those with this tag or theme; may be repeated (all hold)."),
    ] = None,
    variants: Annotated[bool, typer.Option("--variants", "-v", help="Every variant on a line of its own.")] = False,
    tags: Annotated[bool, typer.Option("--tags", help="List the tags and how many scenarios bear each.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the scenarios, by theme or tag."""
    chosen: Sequence[Scenario] = library.all_scenarios()
    for each in tag or ():
        chosen = library.tagged(each, chosen)
    if tags:
        counts = library.tags(chosen)
        typer.echo(
            json.dumps(counts, indent=2) if as_json else "\n".join(f"{n:4}  {name}" for name, n in counts.items())
        )
    elif as_json:
        typer.echo(json.dumps([entry(each) for each in chosen], indent=2, ensure_ascii=False))
    else:
        typer.echo(table(chosen, variants=variants))


def entry(scenario: Scenario) -> dict[str, object]:
    """Return what a list says of a variant, ready for JSON."""
    return {
        "id": scenario.id,
        "variant": scenario.variant,
        "key": scenario.key,
        "title": scenario.title,
        "variant_title": scenario.variant_title,
        "tags": scenario.tags,
        "subjects": scenario.subjects,
        "needs": scenario.needs,
        "cause": scenario.cause,
        "source": scenario.source,
    }


def table(scenarios: Sequence[Scenario], *, variants: bool) -> str:
    """Return a list for people, grouped by theme, with counts at the end."""
    groups: dict[str, dict[str, list[Scenario]]] = {}
    for each in scenarios:
        groups.setdefault(each.id.rpartition("/")[0], {}).setdefault(each.id, []).append(each)
    width = max((len(each.id.rpartition("/")[2]) for each in scenarios), default=0)
    lines = []
    for theme, files in groups.items():
        lines.append(f"{library.THEMES.get(theme, theme)} ({theme}/)")
        for name, group in files.items():
            lines.append(f"  {name.rpartition('/')[2]:<{width}}  {group[0].title}")
            if variants:
                lines += [f"  {'':<{width}}    [{each.variant}] {each.variant_title}".rstrip() for each in group]
        lines.append("")
    count = len({each.id for each in scenarios})
    return "\n".join([*lines, f"{count} scenarios in {len(scenarios)} variants"])
