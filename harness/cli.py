"""The ``canet`` command: a table of commands, each in a module of its own that is imported only when it is called.

``canet --help`` shows the table and imports nothing else, so it answers at once. A command module has one function
``register(app: typer.Typer) -> None`` that adds its command under the name in :data:`COMMANDS`.

Exit codes: see :data:`EXIT_CODES`.
"""

from __future__ import annotations

import importlib
import os
import shlex
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

import canet

COMMANDS: Mapping[str, tuple[str, str]] = {
    "statements": ("statements", "Measure the nine statements about servers on one host, and print them in words."),
    "run": ("run", "Run scenarios in labs and compare what is seen with what is expected."),
    "list": ("list", "List the scenarios, by theme or tag."),
    "show": ("show", "Show a scenario: its story, drawing, expectations and variants."),
    "search": ("search", "Find scenarios by words, as you would describe a problem."),
    "guide": ("guide", "Write the troubleshooting guide: every problem with symptom, cause and fix."),
    "new": ("new", "Write a commented scenario file to start from."),
    "check": ("check", "Check scenario files without running them."),
    "predict": ("predict", "Say what must happen in a scenario, and why, without running it."),
    "explain": ("explain", "Tell the story of one search, from variable to value, hop by hop."),
    "lint": ("lint", "Find what is wrong in a whole site that one file describes."),
    "snapshot": ("snapshot", "Read this machine's network and servers into a scenario file; nothing is sent."),
    "diagnose": ("diagnose", "Name the cause why a client does not find a PV."),
    "compare": ("compare", "Run the same scenario with each implementation, and show where they differ."),
    "lab": ("lab", "Bring a scenario's network up and give a prompt."),
    "shell": ("shell", "Bring a scenario's network up and open a shell on a host of it."),
    "find": ("find", "Say which server, host, port and process serves a PV in a scenario."),
    "report": ("report", "Make one HTML page from the results of runs."),
    "doctor": ("doctor", "Say what works on this machine, what does not, and which setting to change."),
    "selfcheck": ("selfcheck", "Compare predictions with this kernel in random networks."),
    "nameserver": ("nameserver", "Serve searches over TCP for clients that cannot broadcast."),
    "gateway": ("gateway", "Make the PVs of one network available in another."),
    "relay": ("relay", "Forward searches and beacons between networks."),
}
"""Name of a command → its module in ``canet.harness.commands``, and its line in the help."""

EXIT_CODES: Mapping[int, str] = {
    0: "everything holds",
    1: "something was run and does not hold",
    2: "bad input: an option, a file or a name; nothing was started",
    3: "this machine cannot do it (namespaces); the message names the setting",
    130: "interrupted",
}
"""What the exit code of every command means."""

EPILOG = """\b
Examples:
  canet statements                       the nine statements, measured here
  canet search cannot connect in docker  scenarios that speak about it
  canet show multi_ioc_localhost_127     story, drawing, expectations
  canet run --tag firewall               run them
\b
Exit codes:
""" + "\n".join(f"  {code:<4} {text}" for code, text in EXIT_CODES.items())


def available() -> dict[str, tuple[str, str]]:
    """Return the part of :data:`COMMANDS` whose modules are installed."""
    folder = Path(__file__).parent / "commands"
    return {name: entry for name, entry in COMMANDS.items() if (folder / f"{entry[0]}.py").is_file()}


def application(words: Sequence[str]) -> typer.Typer:
    """Return the application for a command line; only the command that it names is imported.

    Args:
        words: what follows ``canet``.
    """
    app = typer.Typer(
        name="canet",
        help="Try an EPICS Channel Access network without touching production.",
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    app.callback()(_canet)
    named = next((word for word in words if not word.startswith("-")), None)
    for name, (module, summary) in available().items():
        if name == named:
            importlib.import_module(f"canet.harness.commands.{module}").register(app)
        else:
            app.command(name, help=summary, short_help=summary)(_unloaded)
    return app


def _unloaded() -> None:
    """Stand in the help for a command that was not named."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"canet {canet.__version__}")
        raise typer.Exit


def _canet(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with one of :data:`EXIT_CODES`.

    Args:
        arguments: what follows ``canet``; the process's own arguments if not given.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = application(_completed() or words)(words, prog_name="canet", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe has gone (`canet list | head`): there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("interrupted", 130)
        if any(each.name.startswith("canet-lab") for each in threading.enumerate()):
            # Labs end with this process, however it ends; their threads may wait for clients for a long time.
            sys.stdout.flush()
            os._exit(code)
    except Exception as error:
        code = _failed(error)
    sys.exit(code if isinstance(code, int) else 0)


def _completed() -> list[str]:
    """Return the words of a command line that a shell wants completed; none in an ordinary call."""
    text = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS") or ""
    if "_CANET_COMPLETE" not in os.environ:
        return []
    try:
        return shlex.split(text)[1:]
    except ValueError:
        return text.split()[1:]


def _failed(error: Exception) -> int:
    """Return the exit code of an error that says what to do; raise any other one again."""
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # a mistake in the options, as typer knows it
        error.show()
        return int(error.exit_code)
    from canet.scenarios.errors import MistakeError, ScenarioError

    if isinstance(error, (ScenarioError, MistakeError)):
        return _complain(str(error), 2)
    from canet.netns.errors import Unavailable

    if isinstance(error, Unavailable):
        return _complain(str(error), 3)
    raise error


def _complain(message: str, code: int) -> int:
    typer.echo(f"canet: {message}", err=True)
    return code
