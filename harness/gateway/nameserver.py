"""A Channel Access name server: says where PVs are, over UDP and TCP, and serves none of them.

Clients ask it over TCP with ``EPICS_CA_NAME_SERVERS``, so that they need no broadcast at all. It knows what a table
says, and, if allowed, asks the IOCs itself by UDP and remembers who answered.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from canet.harness.gateway.destinations import destinations
from canet.harness.gateway.running import local_addresses, run
from canet.harness.gateway.table import Table
from canet.harness.gateway.upstream import Search
from canet.server.core.config import Config
from canet.server.core.names import Directory
from canet.server.core.pv import PV
from canet.server.core.server import Server
from canet.server.io.driver import Addresses, Driver
from canet.server.io.seam import Backend
from canet.server.protocol.commands import Command
from canet.server.protocol.message import Message, read_datagram


class NameServer:
    """Refers clients; a :class:`~canet.server.core.names.Referrer`.

    Args:
        backend: the concurrency library.
        table: what is known from the beginning.
        own: PVs that it serves itself.
        settings: ``EPICS_CA_…`` of its own searches; ``None``: it asks nobody.
    """

    def __init__(
        self, backend: Backend, table: Table, own: Directory, settings: Mapping[str, str] | None = None
    ) -> None:
        self.driver: Driver
        self.server: Server
        self.learned: dict[str, str] = {}
        """What IOCs have answered: name → ``A:PORT``."""
        self._table = table
        self._own = own
        self._addresses = local_addresses()
        self._asked: defaultdict[str, list[tuple[Message, tuple[str, int], str]]] = defaultdict(list)
        self._search = None if settings is None else Search(backend, destinations(settings), self._found)

    def find(self, name: str) -> PV | None:
        """Return a PV of its own."""
        return self._own.find(name)

    def refer(self, name: str) -> tuple[int, int] | None:
        """Return where a name is served; a name that nobody knows yet is asked for."""
        if self._own.find(name) is not None:
            return None
        where = self._table.where(name) or self.learned.get(name)
        if where is None:
            if self._search is not None and name:
                self._search.want(name)
            return None
        address, _, port = where.rpartition(":")
        return int(IPv4Address(address)), int(port)

    def heard(self, sender: str, through: str, data: bytes) -> None:
        """Remember who asks over UDP for a name that is not known yet."""
        host, _, number = sender.rpartition(":")
        if self._search is None or (int(number) == self._search.port and host in self._addresses):
            return
        for message in read_datagram(data):
            if message.command == Command.SEARCH:
                name = message.payload.partition(b"\0")[0].decode("utf-8", "surrogateescape")
                if name and self._own.find(name) is None and self.refer(name) is None:
                    self._asked[name].append((message, (host, int(number)), through))
                    del self._asked[name][:-32]  # whoever is dropped asks again

    def start(self) -> None:
        """Begin; called in the loop."""
        if self._search is not None:
            self._search.start()

    def _found(self, name: str, address: str) -> None:
        self.learned[name] = address
        for message, sender, through in self._asked.pop(name, ()):
            for reply in self.server.responder.answer([message.pack()]):
                self.driver.send_datagram(reply, sender, through)


def serve(config: Mapping[str, Any], say: Callable[[Addresses], object] | None = None) -> int:
    """Run a name server until SIGTERM or SIGINT.

    Args:
        config: as :func:`canet.server.process.serve`; ``table`` is the text of a :class:`Table`, ``file`` the path
            of one; with ``ask`` it asks IOCs for names that it does not know.
        say: told the addresses when it serves.

    Returns:
        The exit code, as there.

    Raises:
        TableError: the table cannot be read.
        OSError: the file cannot be read.
    """
    text = str(config.get("table") or "")
    if config.get("file"):
        text += "\n" + Path(str(config["file"])).read_text(encoding="utf-8")
    table = Table.parse(text, resolve=True)
    own = Directory(PV(name, value) for name, value in (config.get("pvs") or {}).items())

    def make(backend: Backend, settings: Config) -> tuple[Server, NameServer]:
        names = NameServer(backend, table, own, os.environ if config.get("ask") else None)
        names.server = Server(names, config=settings)
        return names.server, names

    return run(config, make, say)
