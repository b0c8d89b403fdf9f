"""``canet predict``: what must happen in a scenario, without running it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from canet.scenarios.model import Scenario

EPILOG = """\b
Examples:
  canet predict multi_ioc_unicast_reuseport_lottery
  canet predict addr_without_brd --subject rsrv --why
  canet predict my_site.canet.toml --set clients.libca.env.EPICS_CA_ADDR_LIST=10.1.0.255
\b
With --set only what the change makes different is shown, before and after."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict", epilog=EPILOG)(predict)


def predict(
    scenarios: Annotated[list[str], typer.Argument(help="Names or ids of scenarios, or files.", metavar="SCENARIO…")],
    variant: Annotated[list[str] | None, typer.Option("--variant", "-v", help="Only these variants.")] = None,
    subject: Annotated[list[str] | None, typer.Option("--subject", "-s", help="Who plays the servers.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="What if: KEY=VALUE with a dotted key; may be repeated.")
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="With all reasons.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what must happen in a scenario, and why, without running it."""
    from canet.harness.commands.run import choose

    plain = choose(scenarios, (), False, variant or ())
    changed = choose(scenarios, (), False, variant or (), setting) if setting else []
    if as_json:
        _json(changed or plain, subject)
        return
    before = {each.key: each for each in plain}
    for scenario in changed or plain:
        for who in subject or ["asyncio"]:
            typer.echo(f"{scenario.key} with {who}: {scenario.variant_title or scenario.title}")
            if setting:
                _what_if(before[scenario.key], scenario, who)
            else:
                _show(scenario, who, why)


def _show(scenario: Scenario, who: str, why: bool) -> None:
    from canet.harness.predict import predict as compute
    from canet.harness.predict.story import summary

    prediction = compute(scenario, who)
    for line in summary(prediction):
        typer.echo(f"  {line}")
    if why:
        told = [(each.name, each.reasons) for each in prediction.probes]
        told += [(each.name, each.reasons) for each in prediction.clients]
        for name, reasons in told:
            typer.echo(f"  why {name}")
            for reason in reasons:
                typer.echo(f"    {reason.text}  [{reason.rule}: {reason.source}]")


def _what_if(before: Scenario, after: Scenario, who: str) -> None:
    from canet.harness.predict import predict as compute
    from canet.harness.predict.story import summary

    old = list(summary(compute(before, who)))
    new = list(summary(compute(after, who)))
    if old == new:
        typer.echo("  the change makes no difference")
        return
    import difflib

    heading = ""
    for line in difflib.ndiff(old, new):
        if line[0] == "?":
            continue
        if not line[2:].startswith(" "):
            heading = line[2:]
            if line[0] == " ":
                continue
        if line[0] in "+-":
            if heading and line[2:] != heading:
                typer.echo(f"  {heading}")
                heading = ""
            typer.echo(f"  {'now    ' if line[0] == '+' else 'before '} {line[2:].strip()}")


def _json(scenarios: Sequence[Scenario], subject: list[str] | None) -> None:
    import msgspec

    from canet.harness.predict import predict as compute

    found = [compute(each, who) for each in scenarios for who in subject or ["asyncio"]]
    plain = msgspec.to_builtins(found, enc_hook=_hook)
    typer.echo(msgspec.json.format(msgspec.json.encode(plain)).decode())


def _hook(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)
