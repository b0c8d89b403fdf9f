"""Host names of the settings → addresses, once, at the start."""

from __future__ import annotations

import logging
import socket
from dataclasses import replace

from canet.server.core.config import Config, Endpoint

log = logging.getLogger("canet.server")


def resolve(config: Config) -> Config:
    """Return the configuration with addresses in place of names; names that cannot be found are left out and logged."""
    return replace(
        config,
        interfaces=_all(config.interfaces, "EPICS_CAS_INTF_ADDR_LIST"),
        beacon_to=_all(config.beacon_to, "EPICS_CAS_BEACON_ADDR_LIST"),
        ignored=frozenset(
            each.host
            for each in _all(tuple(Endpoint(host, 0) for host in sorted(config.ignored)), "EPICS_CAS_IGNORE_ADDR_LIST")
        ),
    )


def _all(endpoints: tuple[Endpoint, ...], variable: str) -> tuple[Endpoint, ...]:
    """Resolve a list."""
    found: dict[Endpoint, None] = {}
    for each in endpoints:
        try:
            found[Endpoint(socket.gethostbyname(each.host), each.port)] = None
        except (OSError, UnicodeError) as error:
            log.warning("%s: %s is left out: %s", variable, each.host, error)
    return tuple(found)
