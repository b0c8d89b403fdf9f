"""What the core asks of access security. The rules themselves (ACF files) are in :mod:`canet.server.core.access`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from canet.server.core.pv import PV


class Security(Protocol):
    """Decides who may read and write the PVs of an access group."""

    @property
    def check_client_ip(self) -> bool:
        """Whether clients are known by the IP address they come from, not by the host name they give."""

    @property
    def traps(self) -> bool:
        """Whether :meth:`wrote` is to be told of writes."""

    def wrote(self, pv: PV, user: str, host: str, value: object) -> None:
        """Take note that a client, known as for :meth:`rights`, writes ``value`` to a PV."""

    def rights(self, group: str, level: int, user: str, host: str) -> tuple[bool, bool]:
        """Return (read, write) for a client on a PV of ``group`` whose field has access level ``level`` (0 or 1).

        ``user`` and ``host`` are what the client said (``CLIENT_NAME``, ``HOST_NAME``); ``host`` is the IP address
        it comes from where :attr:`check_client_ip` says so.
        """

    def watch(self, changed: Callable[[], None]) -> None:
        """Have ``changed()`` called whenever answers may differ from before: the core then announces new rights."""


class Open:
    """Everybody may read and write everything: what rsrv does without an ACF file."""

    check_client_ip = False
    traps = False

    def wrote(self, pv: PV, user: str, host: str, value: object) -> None:
        """Note nothing."""

    def rights(self, group: str, level: int, user: str, host: str) -> tuple[bool, bool]:  # noqa: ARG002 - by protocol
        """Return (True, True)."""
        return True, True

    def watch(self, changed: Callable[[], None]) -> None:
        """Never call ``changed``: the answer stays."""
