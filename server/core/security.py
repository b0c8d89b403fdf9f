"""What the core asks of access security. The rules themselves (ACF files) are in :mod:`canet.server.core.access`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Security(Protocol):
    """Decides who may read and write the PVs of an access group."""

    def rights(self, group: str, level: int, user: str, host: str) -> tuple[bool, bool]:
        """Return (read, write) for a client on a PV of ``group`` whose field has access level ``level`` (0 or 1).

        ``user`` and ``host`` are what the client said (``CLIENT_NAME``, ``HOST_NAME``), or the host's IP address
        where ``asCheckClientIP`` is set.
        """

    def watch(self, changed: Callable[[], None]) -> None:
        """Have ``changed()`` called whenever answers may differ from before: the core then announces new rights."""


class Open:
    """Everybody may read and write everything: what rsrv does without an ACF file."""

    def rights(self, group: str, level: int, user: str, host: str) -> tuple[bool, bool]:  # noqa: ARG002 - by protocol
        """Return (True, True)."""
        return True, True

    def watch(self, changed: Callable[[], None]) -> None:
        """Never call ``changed``: the answer stays."""
