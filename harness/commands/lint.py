"""``canet lint``: find what is wrong in a whole site."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from canet.harness.site.lint import Finding

EPILOG = """\b
Examples:
  canet lint site.toml
  canet lint site.toml --verify
  canet lint site.toml --json > findings.json
\b
The file lists hosts, segments, IOCs with the prefixes of their PVs, and clients; `canet snapshot` writes one.
Exit code: 0 if nothing is wrong, 1 if something is, 2 for a mistake in the file."""


MOST_LINES = 6
"""Settings of one remedy that are printed."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lint", epilog=EPILOG)(lint_file)


def lint_file(
    file: Annotated[Path, typer.Argument(help="A site file, or a scenario file.")],
    verify: Annotated[bool, typer.Option("--verify", help="Try each remedy in a lab, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find what is wrong in a whole site that one file describes."""
    from canet.harness.site.lint import lint
    from canet.harness.site.site import load_site

    site = load_site(file)
    found = lint(site)
    tried: dict[int, str] = {}
    if verify:
        from canet.harness.site.lint_verify import verify_in_lab
        from canet.netns import enter

        enter()
        tried = {number: verify_in_lab(each) for number, each in enumerate(found) if each.healed is not None}
    if as_json:
        typer.echo(
            json.dumps([_plain(each, tried.get(n)) for n, each in enumerate(found)], indent=2, ensure_ascii=False)
        )
    else:
        for number, each in enumerate(found):
            _show(each, tried.get(number))
        counts = Counter(each.kind for each in found)
        scenario = site.scenario
        size = f"{len(scenario.topology.hosts)} hosts, {len(scenario.servers)} IOCs, {len(scenario.clients)} clients"
        what = ", ".join(f"{count} {kind}" for kind, count in counts.most_common()) or "nothing is wrong"
        typer.echo(f"{site.name}: {size}: {what}")
    raise typer.Exit(1 if found else 0)


def _show(finding: Finding, tried: str | None) -> None:
    typer.echo(f"{finding.kind}: {finding.where}")
    typer.echo(f"  {finding.text}")
    if finding.cause:
        typer.echo(f"  cause     {finding.cause}")
    for each in finding.evidence:
        typer.echo(f"  evidence  {each}")
    for each in finding.remedy[:MOST_LINES]:
        typer.echo(f"  change    {each}")
    if len(finding.remedy) > MOST_LINES:
        typer.echo(f"            and {len(finding.remedy) - MOST_LINES} more (--json shows all)")
    if finding.verified:
        typer.echo("  verified  in the model" + (f"; in a lab: {tried}" if tried else ""))


def _plain(finding: Finding, tried: str | None) -> dict[str, object]:
    return {
        "kind": finding.kind,
        "where": finding.where,
        "text": finding.text,
        "cause": finding.cause,
        "evidence": list(finding.evidence),
        "remedy": list(finding.remedy),
        "verified": finding.verified,
        "lab": tried,
    }
