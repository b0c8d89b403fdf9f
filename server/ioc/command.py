"""The command line of IOCs: the switches that all of them have, and ``main`` for one that is written as a group."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from canet.server.backends import NAMES
from canet.server.core.macros import MacroError, parse_macros
from canet.server.io.driver import Addresses
from canet.server.ioc.group import Group, host_of
from canet.server.ioc.serving import run


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and where to read more, and leave with exit code 2."""
        self.exit(2, f"{self.prog}: {message} (--help tells more)\n")


def macros_argument(text: str) -> dict[str, str]:
    """Read the value of ``--macros``."""
    try:
        return parse_macros(text)
    except MacroError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_switches(parser: argparse.ArgumentParser, *, prefix: str = "") -> None:
    """Add the switches that all IOCs have.

    Args:
        parser: What they are added to.
        prefix: The default of ``--prefix``.
    """
    parser.add_argument(
        "--prefix", default=prefix, help="what all PV names begin with" + (f" (default: {prefix})" if prefix else "")
    )
    parser.add_argument(
        "-m", "--macros", "--macro", type=macros_argument, action="append", default=[], metavar="A=1,B=2",
        help="values for $(A), $(B) in names and files",
    )  # fmt: skip
    parser.add_argument(
        "--backend", "--async-lib", choices=NAMES, default="asyncio", help="concurrency library (default: asyncio)"
    )
    parser.add_argument(
        "--interfaces", nargs="+", default=[], metavar="ADDRESS",
        help="addresses to serve on (default: EPICS_CAS_INTF_ADDR_LIST, or all)",
    )  # fmt: skip
    parser.add_argument("--port", type=int, metavar="N", help="port for searches and clients (default: 5064)")
    parser.add_argument("--acf", metavar="FILE", help="access security file; $(P) in it is the prefix")
    parser.add_argument(
        "--check-client-ip", action="store_true", help="hosts of the access security file are known by their addresses"
    )
    parser.add_argument(
        "--stats", metavar="PREFIX", help="serve PVs that count clients, channels, searches and bytes, as PREFIX…"
    )
    parser.add_argument("--list-pvs", action="store_true", help="print the names of all PVs at the start")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="say more; twice: say all")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def merged_macros(arguments: argparse.Namespace) -> dict[str, str]:
    """Return all macros of the command line."""
    merged: dict[str, str] = {}
    for each in arguments.macros:
        merged.update(each)
    return merged


def serve(group: Group, arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Serve a group as the switches say, until a signal comes.

    Returns:
        Exit code: 0 after a signal, 1 if no socket can be opened, 2 for bad input.
    """
    level = logging.ERROR if arguments.quiet else (logging.WARNING, logging.INFO)[min(arguments.verbose, 1)]
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s", level=logging.DEBUG if arguments.verbose > 1 else level
    )
    found = dict(environment)
    if arguments.port is not None:
        found["EPICS_CAS_SERVER_PORT"] = str(arguments.port)
    try:
        run(
            group,
            arguments.backend,
            interfaces=arguments.interfaces,
            acf=arguments.acf,
            check_client_ip=arguments.check_client_ip,
            statistics=arguments.stats,
            environment=found,
            ready=_greeting(group, arguments),
        )
    except ValueError as error:
        return complain(error)
    except OSError as error:
        return complain(error, 2 if error.filename else 1)
    return 0


def complain(error: Exception, code: int = 2) -> int:
    """Print what is wrong to standard error; the exit code."""
    text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    print(text, file=sys.stderr)
    return code


def _greeting(group: Group, arguments: argparse.Namespace) -> Callable[[Addresses], None]:
    """Return what is said when the server answers."""

    def greet(addresses: Addresses) -> None:
        if arguments.list_pvs:
            print("\n".join(sorted(host_of(group).directory.pvs)))
        if not arguments.quiet:
            where = f"{', '.join(addresses.tcp)} (searches: {', '.join(addresses.udp)})"
            print(f"{len(host_of(group).directory)} PVs served on {where} by {arguments.backend}", flush=True)

    return greet


def main(
    group: type[Group],
    *,
    prefix: str = "",
    macros: Mapping[str, str] | None = None,
    acf: str | Path | None = None,
    arguments: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> NoReturn:
    """Be the program of one IOC: read the command line, serve, and leave with the exit code.

    Args:
        group: The class to serve.
        prefix: Prefix of its PVs, unless ``--prefix`` says otherwise.
        macros: Values for macros, unless ``-m`` says otherwise.
        acf: Access security file, unless ``--acf`` names another.
        arguments: The command line; by default that of the process.
        environment: Where EPICS variables are read; by default that of the process.
    """
    parser = Parser(description=(group.__doc__ or "").strip() or None, formatter_class=argparse.RawTextHelpFormatter)
    add_switches(parser, prefix=prefix)
    parser.set_defaults(acf=acf)
    found: Any = parser.parse_args(arguments)
    try:
        made = group(found.prefix, {**(macros or {}), **merged_macros(found)})
    except (ValueError, TypeError) as error:
        sys.exit(complain(error))
    sys.exit(serve(made, found, os.environ if environment is None else environment))
