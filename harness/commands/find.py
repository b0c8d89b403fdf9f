"""``canet find``: say which server, host, port and process serves a PV in a scenario."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from canet.harness.commands.lab import one

EPILOG = """\b
Examples:
  canet find broadcast_reaches_all ioc1:value
  canet find my_site.canet.toml motor:position --from console --to 10.1.0.255 --to 10.1.0.2
\b
Exit code: 0 if each PV is served somewhere, 1 if not, 3 if this machine has no namespaces."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("find", epilog=EPILOG)(find)


def find(
    scenario: Annotated[str, typer.Argument(help="Name or id of a scenario, or a file.")],
    pvs: Annotated[list[str], typer.Argument(help="Names to search for.")],
    to: Annotated[
        list[str] | None,
        typer.Option("--to", help="Destination ADDRESS[:PORT]; may be repeated. Default: the host's broadcasts."),
    ] = None,
    host: Annotated[
        str | None, typer.Option("--from", help="The host that searches; default: the first client's or host.")
    ] = None,
    variant: Annotated[str | None, typer.Option("--variant", "-v", help="Which variant; default: the first.")] = None,
    subject: Annotated[str, typer.Option("--subject", "-s", help="Who plays the servers.")] = "asyncio",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which server, host, port and process serves a PV in a scenario."""
    chosen = one(scenario, variant)
    hosts = [each.name for each in chosen.topology.hosts]
    askers = [*(each.host for each in chosen.clients), *(each.host for each in chosen.probes), *hosts]
    source = host or askers[0]
    if source not in hosts:
        raise typer.BadParameter(f"no host is called {source!r}; there are {', '.join(hosts)}")
    from canet.netns import enter

    enter()  # before anything starts a thread, as numpy does
    from canet.harness.lab import finding
    from canet.harness.lab.lab import Lab

    try:
        for text in to or ():
            finding.read_target(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with Lab(chosen, subject) as up:
        found = list(finding.find(up, source, pvs, to or ()))
    places = [each for _target, group in found for each in group]
    if as_json:
        answer = {target: [dataclasses.asdict(each) for each in group] for target, group in found}
        typer.echo(json.dumps(answer, indent=2, default=str))
    else:
        for target, group in found:
            typer.echo(f"{source} searches at {target}:")
            for each in group:
                typer.echo(f"  {each}")
            for pv in pvs:
                if pv not in {each.pv for each in group}:
                    typer.echo(f"  nobody answers for {pv}")
        for pv, owners in finding.duplicates(places).items():
            typer.echo(f"{pv} is served more than once: {', '.join(owners)}")
    raise typer.Exit(0 if {each.pv for each in places} >= set(pvs) else 1)
