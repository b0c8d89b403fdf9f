"""``python -m canet.server``: serve PVs that are given on the command line, in TOML files or in EPICS databases."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from canet.server.ioc.command import Parser, add_switches, complain, merged_macros, serve
from canet.server.ioc.given import add_argument, add_file
from canet.server.ioc.group import Group, host_of

_EXAMPLES = """
examples:
  python -m canet.server lab:temperature=21.5 lab:valve:enum=closed,open lab:wave=[1,2,3] lab:image:char[65536]=
  python -m canet.server --toml pvs.toml --prefix lab: --stats lab:server:
  python -m canet.server --db motor.db -m P=lab:,M=m1 --db vacuum.db --acf rules.acf
  python -m canet.server --backend trio --interfaces 127.0.0.1 --port 6064 x=1

values: a number, [a list], true or false (a PV with the states Off and On), or else text.
types:  NAME:double, float, long, short, char, string or enum (its states, with commas); [N] after it: N elements.
The server obeys EPICS_CAS_… and EPICS_CA_… as an IOC does. SIGINT and SIGTERM end it with exit code 0.
"""


def parser() -> Parser:
    """Return the parser of the command line."""
    found = Parser(
        prog="python -m canet.server",
        description="Serve PVs over EPICS Channel Access.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("pvs", nargs="*", metavar="NAME=VALUE", help="a PV and its first value; also NAME:type=VALUE")
    found.add_argument("--toml", action="append", default=[], metavar="FILE", help="PVs of a TOML file")
    found.add_argument(
        "--db", nargs="+", action="extend", default=[], metavar="FILE", help="records of EPICS databases"
    )
    found.add_argument("--path", action="append", default=[], metavar="DIR", help="where files included by --db are")
    add_switches(found)
    return found


def load(arguments: argparse.Namespace) -> Group:
    """Make all PVs that the command line asks for.

    Raises:
        ValueError: Something in it, or in a file that it names, is wrong.
        OSError: A file cannot be read.
    """
    group = Group(arguments.prefix, merged_macros(arguments))
    for text in arguments.pvs:
        add_argument(group, text)
    for file in arguments.toml:
        add_file(group, Path(file))
    if arguments.db:
        from canet.server.database import load as load_database
        from canet.server.database.build import add_to

        database = load_database(*arguments.db, macros=merged_macros(arguments), path=arguments.path)
        add_to(host_of(group).directory, database, arguments.prefix)
    return group


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal comes; the exit code: 0, 1 if no socket can be opened, 2 for bad input."""
    found = parser()
    arguments = found.parse_args(argv)
    for name in ("interfaces", "db"):  # both take several words, and so may have swallowed PVs
        words: list[str] = getattr(arguments, name)
        arguments.pvs += [word for word in words if "=" in word]
        setattr(arguments, name, [word for word in words if "=" not in word])
    if not (arguments.pvs or arguments.toml or arguments.db):
        found.error("nothing to serve: give NAME=VALUE, --toml FILE or --db FILE")
    gc.disable()  # PVs are made by the ten thousand, and none of them is garbage
    try:
        group = load(arguments)
    except (ValueError, OSError) as error:
        return complain(error)
    finally:
        gc.freeze()
        gc.enable()
    return serve(group, arguments, os.environ)


if __name__ == "__main__":
    sys.exit(main())
