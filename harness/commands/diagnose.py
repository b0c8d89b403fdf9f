"""``canet diagnose``: name the cause why a client does not find a PV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from canet.harness.diagnosis.diagnose import Diagnosis
    from canet.scenarios.model import Scenario

EPILOG = """\b
Examples:
  canet diagnose multi_ioc_unicast_one_answers
  canet diagnose addr_without_brd --client libca --pv ioc1:value
  canet diagnose site.toml --client opi1 --pv SR01:VAC:P1 --run
  canet diagnose --library
\b
Exit code: 0 if nothing is wrong, 1 if something is; with --library: 0 if every diagnosis is right."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("diagnose", epilog=EPILOG)(diagnose_file)


def diagnose_file(
    scenario: Annotated[str | None, typer.Argument(help="Name of a scenario, or a file.", metavar="SCENARIO")] = None,
    client: Annotated[
        str | None, typer.Option("--client", "-c", help="Only this client, or the one on this host.")
    ] = None,
    pv: Annotated[str | None, typer.Option("--pv", help="Only this PV.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", "-s", help="Who plays the servers.")] = None,
    variant: Annotated[list[str] | None, typer.Option("--variant", "-v", help="Only these variants.")] = None,
    run: Annotated[bool, typer.Option("--run", help="Also reproduce it in a lab.")] = False,
    library: Annotated[bool, typer.Option("--library", help="Diagnose the whole library and count.")] = False,
) -> None:
    """Name the cause why a client does not find a PV."""
    if library:
        raise typer.Exit(_library())
    if scenario is None:
        raise typer.BadParameter("name a scenario or a file, or --library")
    ill = False
    for each in _chosen(scenario, variant or []):
        ill |= _one(each, subject, client, pv, run)
    raise typer.Exit(1 if ill else 0)


def _chosen(name: str, variants: list[str]) -> list[Scenario]:
    from canet.harness.commands.run import choose
    from canet.harness.site.site import load_site

    if name.endswith(".toml") and Path(name).is_file() and "[iocs" in Path(name).read_text(encoding="utf-8"):
        return [load_site(name).scenario]
    return choose([name], (), False, variants)


def _one(scenario: Scenario, subject: str | None, client: str | None, pv: str | None, run: bool) -> bool:
    from canet.harness.diagnosis.diagnose import diagnose
    from canet.harness.diagnosis.diagnose_library import subject_of
    from canet.harness.site.site import part, prefix_of

    if pv is not None:
        known = sorted({each for server in scenario.servers for each in server.pvs}, key=len, reverse=True)
        pv = pv if pv in known else prefix_of(pv, known) or pv
    if client is not None and pv is not None:
        near = [each.name for each in scenario.clients if client in (each.name, each.host)]
        if near and any(pv in each.pvs for each in scenario.servers):
            scenario = part(scenario, near, [each.name for each in scenario.servers if pv in each.pvs])
    who = subject or subject_of(scenario)
    try:
        found = diagnose(scenario, who, client=client, pv=pv)
    except KeyError as error:
        raise typer.BadParameter(str(error.args[0])) from None
    typer.echo(f"{scenario.key} with {who}")
    _show(scenario, found)
    if run:
        _reproduce(scenario, who, client, pv)
    return not found.healthy


def _show(scenario: Scenario, found: Diagnosis) -> None:
    from canet.harness.site.lint_changes import settings_changed

    if found.healthy:
        typer.echo("  healthy: every client finds its PVs, and each from one server")
        return
    for each in found.symptoms:
        typer.echo(f"  symptom  {each}")
    if not found.causes:
        typer.echo("  no cause found: no single change in the model makes it better")
        return
    first = found.causes[0]
    typer.echo(f"  cause    {first}")
    for source in dict.fromkeys(each.source for each in first.evidence):
        typer.echo(f"           rule: {source}")
    for line in settings_changed(scenario, first.healed):
        typer.echo(f"           without it: {line}")
    left = len(found.symptoms) - first.heals + first.creates
    typer.echo(
        f"           that heals {first.heals} of {len(found.symptoms)} symptoms" + (f", {left} remain" if left else "")
    )
    for tie in found.ties[1:]:
        typer.echo(f"  as well  {tie}")
    for other in [cause for cause in found.causes if cause not in found.ties][:3]:
        typer.echo(f"  or else  {other}")


def _reproduce(scenario: Scenario, subject: str, client: str | None, pv: str | None) -> None:
    """Run the client in a lab, and tell what it read."""
    from canet.harness.diagnosis.diagnose import narrowed
    from canet.harness.lab.lab import run
    from canet.harness.participants.recipe import missing, parts_of
    from canet.netns import enter

    part = narrowed(scenario, client, pv)
    needed = map(missing, parts_of(part.servers, part.clients, subject))
    lacking = [sentence for sentence in needed if sentence is not None]
    if lacking:
        typer.echo(f"  not run   {lacking[0]}")
        return
    enter()
    seen = run(part, subject)
    for each in seen.clients:
        for number, attempt in enumerate(each.tries, 1):
            read = ", ".join(attempt.values) or "nothing"
            lost = f"; missing {', '.join(attempt.missing)}" if attempt.missing else ""
            typer.echo(f"  in a lab  {each.name}, try {number}: read {read}{lost}")


def _library() -> int:
    from canet.harness.diagnosis.diagnose_library import BEYOND, check
    from canet.scenarios.library import all_scenarios

    entries = check(all_scenarios())
    for each in entries:
        if each.right:
            continue
        typer.echo(f"{each.scenario.key}: {each.scenario.cause or 'should be healthy'}")
        said = each.diagnosis.causes[0].sentence if each.diagnosis.causes else "no cause"
        typer.echo(f"  diagnosis: {said if each.diagnosis.symptoms else 'healthy'}")
        if each.scenario.id in BEYOND:
            typer.echo(f"  beyond the model: {BEYOND[each.scenario.id]}")
    broken = [each for each in entries if each.scenario.cause]
    fixed = [each for each in entries if not each.scenario.cause]
    named = sum(each.right for each in broken)
    healthy = sum(each.right for each in fixed)
    typer.echo(f"cause named first in {named} of {len(broken)} broken variants")
    typer.echo(f"health reported for {healthy} of {len(fixed)} variants in which nothing is wrong")
    return 0 if all(each.right or each.scenario.id in BEYOND for each in entries) else 1
