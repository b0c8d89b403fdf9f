"""``canet shell``: bring a scenario's network up and open a shell on a host of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from canet.harness.commands.lab import one

EPILOG = """\b
Examples:
  canet shell broadcast_reaches_all client
  canet shell broadcast_reaches_all client -- caget ioc1:value
\b
Exit code: that of the shell or command."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("shell", epilog=EPILOG)(shell)


def shell(
    scenario: Annotated[str, typer.Argument(help="Name or id of a scenario, or a file.")],
    host: Annotated[str, typer.Argument(help="A host of it.")],
    command: Annotated[list[str] | None, typer.Argument(help="Run this instead of a shell (after --).")] = None,
    variant: Annotated[str | None, typer.Option("--variant", "-v", help="Which variant; default: the first.")] = None,
    subject: Annotated[str, typer.Option("--subject", "-s", help="Who plays the servers.")] = "asyncio",
) -> None:
    """Bring a scenario's network up and open a shell on a host of it."""
    chosen = one(scenario, variant)
    hosts = [each.name for each in chosen.topology.hosts]
    if host not in hosts:
        raise typer.BadParameter(f"no host is called {host!r}; there are {', '.join(hosts)}")
    from canet.netns import enter

    enter()  # before anything starts a thread, as numpy does
    from canet.harness.lab.lab import Lab

    with Lab(chosen, subject) as up:
        env = {key: os.environ[key] for key in ("TERM", "COLORTERM") if key in os.environ}
        client = next((each.env for each in chosen.clients if each.host == host), {})
        words = command or [os.environ.get("SHELL", "/bin/sh")]
        process = up.network[host].spawn(words, env={**env, **client}, cwd=Path.cwd(), stdin=0, output=1)
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the shell
        try:
            status = process.wait()
        finally:
            signal.signal(signal.SIGINT, previous)
    raise typer.Exit(status if status >= 0 else 128 - status)
