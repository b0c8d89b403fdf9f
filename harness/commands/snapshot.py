"""``canet snapshot``: read this machine's network and servers into a site file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EPILOG = """\b
Examples:
  canet snapshot > ioc1.toml
  sudo canet snapshot --name ioc1 --out ioc1.toml
  canet snapshot --merge ioc1.toml --merge opi1.toml --out site.toml
  canet lint site.toml
\b
Nothing is sent and nothing is changed. What this user may not read (other users' processes) is left out.
The firewall is read by nft, as root; the story names each rule that a site file cannot say."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("snapshot", epilog=EPILOG)(snapshot)


def snapshot(
    name: Annotated[str | None, typer.Option("--name", help="The host's name in the file; else its own.")] = None,
    merge: Annotated[
        list[Path] | None, typer.Option("--merge", "-m", help="Join these snapshots instead of taking one.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write here; else to standard output.")] = None,
) -> None:
    """Read this machine's network and servers into a scenario file; nothing is sent."""
    from canet.harness.site import snapshot as shot

    document = shot.merge([shot.read(each) for each in merge]) if merge else shot.take(name)
    text = shot.to_toml(document)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        typer.echo(
            f"{out}: {len(document['hosts'])} hosts, {len(document['iocs'])} IOCs, {len(document['clients'])} clients"
        )
