"""``canet explain``: the story of one search, from variable to value, hop by hop."""

from __future__ import annotations

from typing import Annotated

import typer

EPILOG = """\b
Examples:
  canet explain multi_ioc_unicast_one_answers
  canet explain addr_without_brd --client libca --pv ioc1:value
  canet explain my_site.canet.toml --set hosts.client.routes=[] --subject rsrv"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", epilog=EPILOG)(explain)


def explain(
    scenario: Annotated[str, typer.Argument(help="Name or id of a scenario, or a file.", metavar="SCENARIO")],
    client: Annotated[str | None, typer.Option("--client", "-c", help="Only this client.")] = None,
    pv: Annotated[str | None, typer.Option("--pv", help="Only this PV.")] = None,
    variant: Annotated[list[str] | None, typer.Option("--variant", "-v", help="Only these variants.")] = None,
    subject: Annotated[str, typer.Option("--subject", "-s", help="Who plays the servers.")] = "asyncio",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="What if: KEY=VALUE with a dotted key; may be repeated.")
    ] = None,
) -> None:
    """Tell the story of one search, from variable to value, hop by hop."""
    from canet.harness.commands.run import choose
    from canet.harness.predict.story import explain as tell

    chosen = choose([scenario], (), False, variant or (), setting or ())
    if variant is None and "[" not in scenario:
        chosen = chosen[:1]
    for number, each in enumerate(chosen):
        if number:
            typer.echo()
        typer.echo(f"{each.key}: {each.variant_title or each.title}")
        typer.echo()
        try:
            for line in tell(each, subject, client, pv):
                typer.echo(line)
        except KeyError as error:
            raise typer.BadParameter(str(error.args[0])) from None
