"""``canet new``: a commented scenario file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from canet.scenarios.load import load_text
from canet.scenarios.schema import FILE


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("new", epilog=EPILOG)(new)


EPILOG = """\b
Examples:
  canet new my_network.canet.toml
  canet new | less"""


def new(
    file: Annotated[Path | None, typer.Argument(help="Where to write it; printed if not given.")] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Overwrite a file that exists.")] = False,
) -> None:
    """Write a commented scenario file to start from."""
    text = template()
    load_text(text, str(file or "new.canet.toml"))  # what we hand out is right
    if file is None:
        typer.echo(text, nl=False)
        return
    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        typer.echo(f"canet: {file} exists; choose another name, or --force to overwrite it", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"canet: {file} cannot be written: {error.strerror or error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{file} is written; check it with `canet check {file}`, run it with `canet run {file}`")


def template() -> str:
    """Return the file."""
    return f"#:schema {FILE}\n" + TEMPLATE


TEMPLATE = '''\
# A scenario: a network, servers and clients in it, and what must be seen.
# The keys are described in docs/scenarios.md; `canet check FILE` tells what is wrong.

title = "Two IOCs on one host, and a client that lists the host's address"
story = """
What people see, why, and what to do. `canet show` prints it.
"""
drawing = """
  client 10.1.0.1 ---- lan ---- ioc 10.1.0.2   (ioc1, ioc2)
"""
tags = ["mine"]

# Who plays the servers: canet (its three backends), rsrv, caproto, pcaspy.
speaks_about = ["canet"]

# The file itself is the variant "broken"; say base = "plain" where nothing is wrong.
cause = "two servers share the search port, and a unicast search reaches one of them"

# A segment is a switch.
[segments.lan]

# A host is a computer of its own. Addresses get the broadcast address of their subnet.
[hosts.client.interfaces]
eth0 = { segment = "lan", addresses = ["10.1.0.1/24"] }

[hosts.ioc.interfaces]
eth0 = { segment = "lan", addresses = ["10.1.0.2/24"] }

# More that a host can have:
# [hosts.ioc]
# routes   = [{ to = "default", via = "10.1.0.254" }]
# rules    = [{ hook = "input", proto = "udp", dport = 5064, verdict = "drop" }]
# policies = { input = "drop" }
# sysctls  = { "net.ipv4.ip_forward" = 1 }
# files    = { "/etc/hosts" = "10.1.0.2 ioc" }

# Servers start in this order.
[servers.ioc1]
host = "ioc"
pvs = { "ioc1:value" = 1.0 }

[servers.ioc2]
host = "ioc"
pvs = { "ioc2:value" = [1.0, 2.0, 3.0] }
# env = { EPICS_CAS_INTF_ADDR_LIST = "10.1.0.2" }

# A probe sends searches and tells who received them, who answered and who can be reached.
[probes.unicast]
host = "client"
to = "10.1.0.2"
sources = 20            # from so many source ports, one after the other

# A client is a real one (libca), a fresh process for each try.
[clients.libca]
host = "client"
env = { EPICS_CA_ADDR_LIST = "10.1.0.2", EPICS_CA_AUTO_ADDR_LIST = "NO" }
timeout = 1.0
tries = 2

# What must be seen: all of A, B · one of A, B · some of A, B · only A · none.
[expect.unicast]
answered = "one of ioc1, ioc2, spread"
reply_from = ["10.1.0.2:5064"]
because = "a unicast is delivered to one of the sockets that share a port"

[expect.libca]
reads = "one of ioc1:value, ioc2:value"

# A variant changes some values by their dotted paths; what it expects replaces the above.
[variants.broadcast]
title = "the broadcast address is listed"

[variants.broadcast.set]
"probes.unicast.to" = "10.1.0.255"
"clients.libca.env.EPICS_CA_ADDR_LIST" = "10.1.0.255"

[variants.broadcast.expect.unicast]
answered = "all of ioc1, ioc2"
because = "a broadcast is delivered to every socket"

[variants.broadcast.expect.libca]
reads = "all of ioc1:value, ioc2:value"
'''
