"""``canet nameserver``: tell clients where PVs are, over UDP and TCP, from a table or by asking the IOCs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from canet.server.io.driver import Addresses


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("nameserver", epilog=EPILOG)(nameserver)


EPILOG = """\b
Examples:
  canet nameserver --table pvs.txt          lines "NAME HOST[:PORT]"; * and ? in names; # begins a comment
  canet nameserver --ask                    ask the IOCs at EPICS_CA_ADDR_LIST, and remember
  canet nameserver "vac:* 10.1.0.3; ring:current 10.1.0.2:5066"
Clients: EPICS_CA_NAME_SERVERS=THIS-HOST EPICS_CA_AUTO_ADDR_LIST=NO"""


def nameserver(
    entry: Annotated[list[str] | None, typer.Argument(help="Entries 'NAME HOST[:PORT]'.", metavar="ENTRY")] = None,
    table: Annotated[Path | None, typer.Option("--table", "-t", help="File with one entry each line.")] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask IOCs by UDP for names that are not in the table.")] = False,
    backend: Annotated[str, typer.Option("--backend", help="asyncio, curio or trio.")] = "asyncio",
) -> None:
    """Run a name server until Ctrl-C. It listens as EPICS_CAS_INTF_ADDR_LIST and EPICS_CAS_SERVER_PORT say."""
    from canet.harness.gateway import nameserver as server
    from canet.harness.gateway.table import Table, TableError

    text = "\n".join(entry or ())
    try:
        known = len(Table.parse(text + "\n" + (table.read_text(encoding="utf-8") if table else ""), resolve=True))
    except TableError as error:
        typer.echo(f"{table or 'entry'}: {error}", err=True)
        raise typer.Exit(2) from None
    except (OSError, UnicodeDecodeError) as error:
        typer.echo(f"{table}: not readable ({error})", err=True)
        raise typer.Exit(2) from None
    if not known and not ask:
        typer.echo("nothing to tell: give entries, --table FILE or --ask; see canet nameserver --help", err=True)
        raise typer.Exit(2)

    def say(addresses: Addresses) -> None:
        asking = ", and asks for others" if ask else ""
        typer.echo(
            f"name server on UDP {', '.join(addresses.udp)} and TCP {', '.join(addresses.tcp)}: {known} entries{asking}"
        )

    config = {"backend": backend, "table": text, "file": str(table) if table else "", "ask": ask}
    raise typer.Exit(server.serve(config, say))
