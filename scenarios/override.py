"""Change a document by dotted paths: what a variant does, and ``--set`` on the command line.

A path names tables by their keys and list items by their index. Below a table with free names (``env``, ``pvs``,
``sysctls``, ``files``, ``options``) the rest of the path is one key, so that
``hosts.ioc.sysctls.net.ipv4.ip_forward`` means what it says.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from canet.scenarios.errors import MistakeError, unknown

FREE = frozenset({"env", "pvs", "sysctls", "files", "options", "measures"})
"""Tables whose keys are not ours, and may contain dots."""


def split(path: str) -> list[str]:
    """Return the keys of a dotted path.

    >>> split("hosts.ioc.sysctls.net.ipv4.ip_forward")
    ['hosts', 'ioc', 'sysctls', 'net.ipv4.ip_forward']
    """
    keys = path.split(".")
    for index, key in enumerate(keys[:-1]):
        if key in FREE and index:
            return [*keys[: index + 1], ".".join(keys[index + 1 :])]
    return keys


def apply(document: Mapping[str, Any], values: Mapping[str, Any], without: Iterable[str] = ()) -> dict[str, Any]:
    """Return a changed copy of a document.

    Args:
        document: nested tables, as read from TOML; not changed.
        values: dotted path to new value; tables on the way that do not exist are made.
        without: dotted paths that are removed first.

    Raises:
        MistakeError: if a path leads through a value that is no table, or what is to be removed does not exist.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(document))
    for path in without:
        table, key = _reach(changed, path, make=False)
        if isinstance(table, list):
            del table[int(key)]
        else:
            del table[key]
    for path, value in values.items():
        table, key = _reach(changed, path, make=True)
        if isinstance(table, list):
            table[int(key)] = copy.deepcopy(value)
        else:
            table[key] = copy.deepcopy(value)
    return changed


def read(text: str) -> tuple[str, object]:
    """Read ``PATH=VALUE`` as the command line takes it: a TOML value, or text where it is none.

    Raises:
        MistakeError: if there is no ``=``.

    >>> read("clients.libca.env.EPICS_CA_ADDR_LIST=10.1.0.2")
    ('clients.libca.env.EPICS_CA_ADDR_LIST', '10.1.0.2')
    >>> read("clients.libca.tries=3")
    ('clients.libca.tries', 3)
    """
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise MistakeError("--set", repr(text), "PATH=VALUE, such as clients.libca.tries=3")
    try:
        return path.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return path.strip(), value.strip()


def _reach(document: dict[str, Any], path: str, *, make: bool) -> tuple[Any, str]:
    """Walk to the table (or list) that holds the last key of ``path``."""
    keys = split(path)
    here: Any = document
    for position, key in enumerate(keys):
        last = position == len(keys) - 1
        if isinstance(here, list):
            if not key.isdecimal() or int(key) >= len(here):
                raise MistakeError(
                    path, f"item {key!r} of a list of {len(here)}", f"a number from 0 to {len(here) - 1}"
                )
            if not last:
                here = here[int(key)]
            continue
        if not isinstance(here, dict):
            raise MistakeError(
                path, f"a path through {'.'.join(keys[:position])}, which is no table", "a path to a value"
            )
        if key not in here and (not make or not last):
            if not make:
                raise unknown(path, key, here, "what is there")
            here[key] = {}
        if not last:
            here = here[key]
    return here, keys[-1]
