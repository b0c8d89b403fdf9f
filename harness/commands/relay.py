"""``canet relay``: carry Channel Access between networks, as broadcasts or through a gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from canet.harness.gateway.repeating import Repeater
    from canet.server.io.driver import Addresses


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("relay", epilog=EPILOG)(relay)


EPILOG = """\b
Examples:
  sudo canet relay                          repeat searches and beacons between all networks of this host
  sudo canet relay eth0 eth1 --port 5064    searches only, between two of them
  canet relay --gateway                     a CA gateway: it searches as EPICS_CA_ADDR_LIST says,
                                            and serves as EPICS_CAS_INTF_ADDR_LIST says
  EPICS_CAS_INTF_ADDR_LIST=10.1.0.8 EPICS_CA_ADDR_LIST=10.2.0.255 EPICS_CA_AUTO_ADDR_LIST=NO canet relay --gateway"""


def relay(
    interface: Annotated[
        list[str] | None, typer.Argument(help="Network interfaces; all with a broadcast address if none is given.")
    ] = None,
    port: Annotated[list[int] | None, typer.Option("--port", "-p", help="UDP ports that are repeated.")] = None,
    gateway: Annotated[bool, typer.Option("--gateway", "-g", help="Serve the PVs of the other side instead.")] = False,
    backend: Annotated[str, typer.Option("--backend", help="asyncio, curio or trio (gateway).")] = "asyncio",
    layout: Annotated[str, typer.Option("--layout", help="rsrv or literal: what is bound (gateway).")] = "rsrv",
) -> None:
    """Repeat broadcasts between networks with the sender's address, or run a gateway, until Ctrl-C.

    The relay needs CAP_NET_RAW, and routes between the networks: replies and connections go directly. The gateway
    needs neither: clients talk to it, and it talks to the IOCs.
    """
    if gateway:
        if interface or port:
            typer.echo("--gateway takes no interfaces and ports: it obeys EPICS_CAS_… and EPICS_CA_…", err=True)
            raise typer.Exit(2)
        from canet.harness.gateway import gateway as server

        raise typer.Exit(server.serve({"backend": backend, "layout": layout}, _say_gateway))
    from canet.harness.gateway import relay as repeater

    config = {
        "interfaces": " ".join(interface or ()),
        "ports": " ".join(map(str, port or (5064, 5065))),
    }
    raise typer.Exit(repeater.serve(config, _say_relay))


def _say_gateway(addresses: Addresses) -> None:
    typer.echo(f"gateway on UDP {', '.join(addresses.udp)} and TCP {', '.join(addresses.tcp)}")


def _say_relay(repeater: Repeater) -> None:
    sides = ", ".join(f"{side.interface} ({side.network})" for side in repeater.sides.values())
    typer.echo(f"repeats broadcasts to UDP {', '.join(map(str, sorted(repeater.ports)))} between {sides}")
