"""Run a server core with something beside it: what the gateway and the name server share with each other."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from canet.server.backends import backend
from canet.server.core.config import Config, ConfigError
from canet.server.core.search import searched_names
from canet.server.core.server import Server
from canet.server.io.driver import Addresses, Driver
from canet.server.io.interfaces import interfaces
from canet.server.io.seam import Backend


class Companion(Protocol):
    """What runs beside the server."""

    driver: Driver

    def heard(self, sender: str, through: str, data: bytes) -> None:
        """Take note of a search datagram, before the server answers it."""

    def start(self) -> None:
        """Begin; called in the loop."""


Make = Callable[[Backend, Config], tuple[Server, Companion]]


def local_addresses() -> frozenset[str]:
    """Return the addresses of this host."""
    return frozenset(each.address for each in interfaces()) | {"127.0.0.1"}


def run(config: Mapping[str, Any], make: Make, say: Callable[[Addresses], object] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        config: ``backend``, ``env``, ``layout``, ``reuse``, ``trace``, ``report_fd`` as in
            :func:`canet.server.process.serve`; without ``report_fd`` nothing is reported.
        make: makes the server and what runs beside it.
        say: told the addresses when it serves.

    Returns:
        The exit code: 0 after a signal, 1 if nothing could be bound, 2 if the configuration cannot be.
    """
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    os.environ.update({name: str(value) for name, value in (config.get("env") or {}).items()})
    try:
        settings = Config.from_environment(
            os.environ, layout=config.get("layout") or "literal", reuse=config.get("reuse") or "both"
        )
        library = backend(config.get("backend") or "asyncio")
    except (ConfigError, ValueError) as error:
        logging.getLogger("canet.gateway").error("%s", error)
        return 2
    descriptor = config.get("report_fd")

    def report(**line: object) -> None:
        if descriptor is not None:
            os.write(int(descriptor), json.dumps(line).encode() + b"\n")

    async def main(seam: Backend) -> None:
        server, companion = make(seam, settings)

        def trace(sender: str, through: str, data: bytes) -> None:
            if config.get("trace"):
                names = searched_names(data)
                report(event="datagram", **{"from": sender}, socket=through, names=names, bytes=len(data))
            companion.heard(sender, through, data)

        driver = companion.driver = Driver(server, seam, trace=trace)

        async def until_told() -> None:
            await seam.interrupted()
            driver.stop()

        def ready(addresses: Addresses) -> None:
            companion.start()
            report(event="ready", udp=addresses.udp, tcp=addresses.tcp)
            if say is not None:
                say(addresses)

        seam.spawn(until_told)
        await driver.serve(ready)

    try:
        library.run(main)
    except OSError as error:
        report(event="error", error=str(error))
        logging.getLogger("canet.gateway").error("%s", error)
        return 1
    return 0
