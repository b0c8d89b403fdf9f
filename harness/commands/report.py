"""``canet report``: one HTML page, or a machine's format, from the results of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", epilog=EPILOG)(report)


EPILOG = """\b
Examples:
  canet run --all --out runs && canet report runs
  canet report runs --html report.html
  canet report runs --junit junit.xml --json results.json"""


def report(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(help="Directories that `canet run --out` wrote, at any depth.", metavar="DIR…"),
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", "-o", help="The page; default: DIR/report.html.")] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write JUnit XML instead of, or beside, a page.")
    ] = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Write results as JSON (`result.schema.json`).")
    ] = None,
    github: Annotated[bool, typer.Option("--github", help="Print annotations for GitHub Actions.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of the results and end.")] = False,
) -> None:
    """Make one HTML page from the results of runs."""
    from canet.harness.report import github as annotate
    from canet.harness.report import junit as xml
    from canet.harness.report import record, results

    if schema:
        import json

        typer.echo(json.dumps(results.schema(), indent=2))
        return
    if not directories:
        raise typer.BadParameter("name the directory that `canet run … --out DIR` wrote")
    found = record.find(*directories)
    if not found:
        where = ", ".join(map(str, directories))
        raise typer.BadParameter(f"no run is stored below {where}; `canet run … --out DIR` stores some")
    try:
        runs = [record.load(each) for each in found]
    except record.RecordError as error:
        raise typer.BadParameter(str(error)) from None
    verdicts = [each.verdict for each in runs]
    if junit is not None:
        xml.write(junit, verdicts)
    if as_json is not None:
        results.write(as_json, verdicts)
    if github:
        sources = {each.scenario.key: each.scenario.source for each in runs}
        typer.echo("\n".join(annotate.commands(verdicts, sources)))
    if html is not None or not (junit or as_json or github):
        from canet.harness.report import page

        path = html or directories[0] / "report.html"
        page.write(path, runs)
        typer.echo(f"{len(runs)} runs → {path}")
