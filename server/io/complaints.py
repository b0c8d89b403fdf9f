"""Faults of the network, each logged once: a server that cannot send a beacon must not fill a disk with saying so."""

from __future__ import annotations

import logging

log = logging.getLogger("canet.server")


class Complaints:
    """Remembers what was said."""

    def __init__(self) -> None:
        self._said: set[tuple[str, int | None]] = set()

    def __call__(self, what: str, error: OSError, detail: str = "") -> None:
        """Log a fault, until it is another one.

        Args:
            what: what could not be done; must be one of a few, since all are remembered.
            error: why.
            detail: what differs from time to time, such as an address.
        """
        if (what, error.errno) not in self._said:
            self._said.add((what, error.errno))
            log.warning("%s: %s%s", what, error.strerror or error, detail)
