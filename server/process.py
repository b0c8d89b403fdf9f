"""A server as a process of its own, told by a plain dict what to serve and where to say how it goes.

This is how a lab starts servers: :func:`serve` in a fresh process, with the environment as the only settings. One
JSON line says when it serves; with ``trace``, one more for each datagram that was read.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from canet.server.backends import backend
from canet.server.core.access import AccessSecurity
from canet.server.core.acf import parse
from canet.server.core.config import Config, ConfigError
from canet.server.core.names import Directory
from canet.server.core.pv import PV
from canet.server.core.search import searched_names
from canet.server.core.server import Server
from canet.server.io.driver import Addresses, Driver
from canet.server.io.seam import Backend

Report = Callable[[Mapping[str, object]], None]


def serve(config: Mapping[str, Any]) -> int:
    """Serve PVs until SIGTERM or SIGINT.

    Args:
        config: ``backend`` (asyncio, curio, trio), ``pvs`` (name → value), ``layout`` (literal, rsrv), ``reuse``
            (both, addr, port, none), ``env`` (EPICS variables, over those of the process), ``report_fd`` or
            ``report`` (a descriptor or path that JSON lines are written to; standard output without), ``trace``
            (report each datagram), ``acf`` (path of an access security file), ``check_address`` (its hosts are compared
            by address, as with ``asCheckClientIP``).

    Returns:
        The exit code: 0 after a signal, 1 if nothing could be bound, 2 if the configuration cannot be.
    """
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    os.environ.update(config.get("env") or {})
    report = _reporter(config)
    try:
        settings = Config.from_environment(
            os.environ, layout=config.get("layout") or "literal", reuse=config.get("reuse") or "both"
        )
        security = _security(config)
        directory = Directory(PV(name, value) for name, value in (config.get("pvs") or {}).items())
        library = backend(config.get("backend") or "asyncio")
    except (ConfigError, ValueError, TypeError, OSError) as error:
        report({"event": "error", "error": str(error)})
        logging.getLogger("canet.server").error("%s", error)
        return 2

    async def main(seam: Backend) -> None:
        server = Server(directory, config=settings, security=security)
        driver = Driver(server, seam, trace=_tracer(report) if config.get("trace") else None)

        async def until_told() -> None:
            await seam.interrupted()
            driver.stop()

        def ready(addresses: Addresses) -> None:
            report({"event": "ready", "udp": addresses.udp, "tcp": addresses.tcp})

        seam.spawn(until_told)
        await driver.serve(ready)

    # PVs live as long as the process: the collector need not look at them again and again.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    try:
        library.run(main)
    except OSError as error:
        report({"event": "error", "error": str(error)})
        logging.getLogger("canet.server").error("%s", error)
        return 1
    return 0


def _security(config: Mapping[str, Any]) -> AccessSecurity | None:
    """Return who may read and write by the access security file of the configuration, if it names one.

    Raises:
        AcfError: the file cannot be understood.
        OSError: it cannot be read.
    """
    if not config.get("acf"):
        return None
    path = str(config["acf"])
    return AccessSecurity(
        parse(Path(path).read_text(encoding="utf-8"), path), resolve=_address if config.get("check_address") else None
    )


def _address(name: str) -> str | None:
    """Return the IPv4 address of a host, as an IOC looks it up when it loads its file."""
    try:
        return socket.gethostbyname(name)
    except (OSError, UnicodeError):
        return None


def _reporter(config: Mapping[str, Any]) -> Report:
    """Return what writes a JSON line at once."""
    target = config.get("report_fd")
    if target is None:
        path = config.get("report")
        target = (
            1
            if path is None
            else path
            if isinstance(path, int)
            else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        )
    descriptor = int(target)

    def report(line: Mapping[str, object]) -> None:
        os.write(descriptor, json.dumps(line).encode() + b"\n")

    return report


def _tracer(report: Report) -> Callable[[str, str, bytes], None]:
    """Return what reports each datagram."""

    def trace(sender: str, through: str, data: bytes) -> None:
        report(
            {
                "event": "datagram",
                "from": sender,
                "socket": through,
                "names": searched_names(data),
                "bytes": len(data),
            }
        )

    return trace


def main() -> int:
    """Serve what the JSON object in the first argument says."""
    return serve(json.loads(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
