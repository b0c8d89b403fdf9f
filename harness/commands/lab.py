"""``canet lab``: bring a scenario's network up, with its servers, and give a prompt."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from canet.harness.commands.run import choose
from canet.scenarios.model import Scenario

EPILOG = """\b
Examples:
  canet lab broadcast_reaches_all
  canet lab my_site.canet.toml --variant broken --subject rsrv
  echo 'search client ioc1:value' | canet lab broadcast_reaches_all
\b
At the prompt: hosts, servers, shell HOST, exec HOST COMMAND, search HOST PV --to ADDRESS, messages, capture FILE,
fault HOST down eth0 --heal 5, stop SERVER, quit."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lab", epilog=EPILOG)(lab)


def one(name: str, variant: str | None) -> Scenario:
    """Return the one variant that a command line names: the first of its file unless it says otherwise."""
    return choose([name], (), False, [variant] if variant else ())[0]


def lab(
    scenario: Annotated[str, typer.Argument(help="Name or id of a scenario, or a file.")],
    variant: Annotated[str | None, typer.Option("--variant", "-v", help="Which variant; default: the first.")] = None,
    subject: Annotated[str, typer.Option("--subject", "-s", help="Who plays the servers.")] = "asyncio",
    no_servers: Annotated[bool, typer.Option("--no-servers", help="Only the network; start servers yourself.")] = False,
) -> None:
    """Bring a scenario's network up and give a prompt."""
    chosen = one(scenario, variant)
    from canet.netns import enter

    enter()  # before anything starts a thread, as numpy does
    from canet.harness.lab.lab import Lab
    from canet.harness.prompt import Prompt

    interactive = sys.stdin.isatty()
    with Lab(chosen, subject, start=not no_servers) as up:
        prompt = Prompt(up, sys.stdin, sys.stdout, interactive=interactive)
        if interactive:
            prompt.do_hosts("")
            prompt.do_servers("")
        while True:
            try:
                prompt.cmdloop()
                return
            except KeyboardInterrupt:  # a line that was begun; quit ends the lab
                typer.echo()
                prompt.intro = ""
