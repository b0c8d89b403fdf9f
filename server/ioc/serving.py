"""Serve a group on a backend: its hooks at their times, its PVs to all clients, until a signal ends it."""

from __future__ import annotations

import inspect
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from canet.server.backends import backend as make_backend
from canet.server.core.access import AccessSecurity
from canet.server.core.acf import parse
from canet.server.core.config import Config
from canet.server.core.names import Names
from canet.server.core.pv import PV
from canet.server.core.server import Server
from canet.server.io.driver import Addresses, Driver
from canet.server.io.seam import Backend, Event
from canet.server.ioc.group import Group, Hook, hooks_of, host_of
from canet.server.ioc.statistics import ServerStatistics

log = logging.getLogger("canet.ioc")
_PATIENCE = 5.0
"""Seconds after which start-up hooks that have not finished are spoken of."""


def run(
    group: Group,
    backend: str = "asyncio",
    *,
    interfaces: Sequence[str] = (),
    acf: str | Path | None = None,
    check_client_ip: bool = False,
    statistics: str | None = None,
    environment: Mapping[str, str] | None = None,
    ready: Callable[[Addresses], object] | None = None,
) -> None:
    """Serve a group until SIGINT or SIGTERM.

    Args:
        group: What to serve.
        backend: asyncio, curio or trio.
        interfaces: Addresses to serve on, instead of what ``EPICS_CAS_INTF_ADDR_LIST`` says.
        acf: An access security file; ``$(P)`` in it is the group's prefix, and it may use the group's macros.
        check_client_ip: Compare the hosts of that file with the addresses that clients come from, not with the names
            that they claim.
        statistics: Prefix of PVs that count clients, channels, searches and bytes; ``None``: there are none.
        environment: Where ``EPICS_CA…`` variables are read; by default the process's own.
        ready: Called when the server answers, with the addresses that it is bound to.

    Raises:
        ValueError: The backend is unknown, the environment contradicts itself, or the access security file has a
            mistake (:class:`canet.server.core.problem.AcfError`).
        OSError: The access security file cannot be read, or no socket can be opened.
    """
    found = dict(os.environ if environment is None else environment)
    if interfaces:
        found["EPICS_CAS_INTF_ADDR_LIST"] = " ".join(interfaces)
    loop = make_backend(backend)
    server = Server(host_of(group).directory, config=Config.from_environment(found))
    if statistics is not None:
        group.attach(ServerStatistics, statistics).source = server.count
    if acf is not None:
        server.security = _security(
            Path(acf), {"P": group.prefix, **group.macros}, server.names, _address if check_client_ip else None
        )
    ioc = _Ioc(group, server, ready)
    loop.run(ioc.main)


def _address(host: str) -> str | None:
    """Return the address of a host name."""
    try:
        return socket.gethostbyname(host)
    except (OSError, UnicodeError):
        return None


def _security(
    file: Path, macros: Mapping[str, str], names: Names, resolve: Callable[[str], str | None] | None
) -> AccessSecurity:
    """Read an access security file, and let it follow the PVs that its rules ask for."""
    security = AccessSecurity(parse(file.read_text(encoding="utf-8"), str(file), macros), resolve=resolve)
    for host in sorted(security.unresolved):
        log.warning("%s: host %s has no address: no rule speaks of it", file, host)
    for warning in security.file.warnings:
        log.warning("%s", warning)

    def lookup(name: str) -> PV | None:
        target = names.resolve(name.encode("utf-8", "surrogateescape"))
        return None if target is None else target.pv

    for name in sorted(security.connect(lookup)):
        log.warning("%s: rules that need %s do not hold: it is not served here", file, name)
    return security


class _Ioc:
    """One group being served."""

    def __init__(self, group: Group, server: Server, ready: Callable[[Addresses], object] | None) -> None:
        self.group = group
        self.server = server
        self.ready = ready

    async def main(self, backend: Backend) -> None:
        """Start, serve, end."""
        host = host_of(self.group)
        host.started(backend)
        host.withdraw = self.server.withdraw
        driver = Driver(self.server, backend)
        begun = backend.event()

        def stop() -> None:
            driver.stop()
            begun.set()

        host.stop = stop
        try:
            startup = backend.spawn(self._start, begun)
            backend.spawn(self._end, backend, stop)
            backend.spawn(self._complain, backend, begun)
            await begun.wait()
            if driver.stopping.is_set():
                startup.cancel()
                return
            for hook in hooks_of(self.group, "scan"):
                backend.spawn(self._scan, backend, hook)
            await driver.serve(self.ready)
        finally:
            for hook in hooks_of(self.group, "shutdown"):
                await self._call(hook)
            host.stopped()

    async def _start(self, begun: Event) -> None:
        for hook in hooks_of(self.group, "startup"):
            await self._call(hook)
        begun.set()

    async def _end(self, backend: Backend, stop: Callable[[], None]) -> None:
        """Stop when a signal comes, even while start-up hooks still work."""
        await backend.interrupted()
        stop()

    async def _complain(self, backend: Backend, begun: Event) -> None:
        await backend.sleep(_PATIENCE)
        if not begun.is_set():
            log.warning(
                "startup hooks have not finished after %g s; clients are answered when they have."
                " Work that never ends belongs into scan() or io.spawn()",
                _PATIENCE,
            )

    async def _scan(self, backend: Backend, hook: Hook) -> None:
        """Call a hook on the grid of its period."""
        begin = time.monotonic()
        while True:
            await self._call(hook)
            await backend.sleep(hook.period - (time.monotonic() - begin) % hook.period)

    async def _call(self, hook: Hook) -> None:
        """Call a hook once, and post what it returns to its PV."""
        try:
            result = hook.call()
            if inspect.isawaitable(result):
                result = await result
            if hook.variable is not None and result is not None:
                hook.variable.post(result)
        except Exception:  # an author's hook may raise anything; all else goes on
            log.exception("%s failed", hook.name)
