"""Which variables a server of an older EPICS Base reads: what it does not know, it never sees.

A server may say its version (``options.version``); no old EPICS Base is started then: the server just does not get
variables that came later, which is all that the version changes here.
"""

from __future__ import annotations

from dataclasses import replace

from canet.scenarios.model import Server

KNOWN_SINCE: dict[str, tuple[str, str]] = {
    "EPICS_CAS_INTF_ADDR_LIST": ("3.15.4", "EPICS Base 3.15.4 release notes"),
}
"""Variable → the first version whose IOC server reads it, and where that is said."""


def number(version: str) -> tuple[int, ...]:
    """Return a version as numbers that can be compared.

    >>> number("3.15.4") > number("3.14.12.8")
    True
    """
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def unknown(server: Server) -> tuple[str, ...]:
    """Return the variables that are set for a server and that its version does not know."""
    version = server.options.get("version")
    if version is None:
        return ()
    mine = number(str(version))
    return tuple(each for each in server.env if each in KNOWN_SINCE and mine < number(KNOWN_SINCE[each][0]))


def as_it_reads(server: Server) -> Server:
    """Return a server with those variables alone that its version knows, and without the version."""
    if "version" not in server.options:
        return server
    lost = unknown(server)
    env = {name: value for name, value in server.env.items() if name not in lost}
    options = {name: value for name, value in server.options.items() if name != "version"}
    return replace(server, env=env, options=options)
