"""A Channel Access gateway: a server on one side, a client on the other, and each PV in between once.

A search for a name that is not known makes the gateway search for it itself; when it is found, connected and read, a
PV of that name is served, and whoever asked meanwhile is answered. Values come by one subscription for all clients;
writes are handed on and are done when the server has done them. When the server goes, so do its PVs, and the search
begins anew.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from canet.harness.client.circuit import Answer, Channel, Created, Disconnected, Event, Rights, Update
from canet.harness.gateway.destinations import destinations
from canet.harness.gateway.running import local_addresses, run
from canet.harness.gateway.upstream import Line, Search
from canet.server.core.config import Config
from canet.server.core.names import Directory
from canet.server.core.pv import PV, STORED, Refused
from canet.server.core.server import Server
from canet.server.io.driver import Addresses, Driver
from canet.server.io.seam import Backend
from canet.server.protocol import eca
from canet.server.protocol.commands import Command
from canet.server.protocol.message import Message, read_datagram
from canet.server.protocol.metadata import PLAIN

log = logging.getLogger("canet.gateway")

EVERY = 1 | 2 | 4
"""VALUE, LOG and ALARM of a subscription's mask (``caeventmask.h``)."""
TIME, CTRL = 14, 28
"""Added to a native type: the DBR types with time stamp, and with all limits."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A search that waits for its answer."""

    message: Message
    sender: tuple[str, int]
    through: str
    """The socket that it came by."""


@dataclass(slots=True)
class Remote:
    """A PV of another server."""

    line: Line
    channel: Channel
    reading: int = 0
    """IOID of the first read."""
    subscription: int = 0
    pv: PV | None = None


class Gateway:
    """Serves what it finds elsewhere; a :class:`~canet.server.core.names.Provider`.

    Args:
        backend: the concurrency library.
        server: filled with the gateway's PVs; set before the driver starts.
        driver: sends late answers.
        settings: ``EPICS_CA_…`` of the side where it searches.
        search_on_create: a client that opens a channel without having searched here makes it search as well.
            CA gateways in use did not, so that name servers in front of them led nowhere.
    """

    def __init__(
        self, backend: Backend, own: Directory, settings: Mapping[str, str], *, search_on_create: bool = True
    ) -> None:
        self.directory = own
        self.server: Server
        self.driver: Driver
        self._backend = backend
        self._search_on_create = search_on_create
        self._search = Search(backend, destinations(settings), self._found)
        self._lines: dict[str, Line] = {}
        self._remotes: dict[str, Remote] = {}
        self._asked: defaultdict[str, list[Asked]] = defaultdict(list)
        self._writes: dict[tuple[str, int], Write] = {}
        self._addresses = local_addresses()

    # -- asked by the server ---------------------------------------------------------------------------------------

    def find(self, name: str) -> PV | None:
        """Return the PV if it is served already; begin to search it if that is allowed."""
        served = self.directory.find(name)
        if served is None and name and name not in self._remotes and self._search_on_create:
            self._search.want(name)
        return served

    def heard(self, sender: str, through: str, data: bytes) -> None:
        """Take note of a search datagram before the server answers it: who asks for what is not here yet."""
        host, _, number = sender.rpartition(":")
        if int(number) == self._search.port and host in self._addresses:
            return  # our own search came back
        if host in self.server.config.ignored:
            return
        for message in read_datagram(data):
            if message.command != Command.SEARCH:
                continue
            name = message.payload.partition(b"\0")[0].decode("utf-8", "surrogateescape")
            if not name or self.directory.find(name) is not None:
                continue
            asked = Asked(message, (host, int(number)), through)
            waiting = self._asked[name]
            if all(each.sender != asked.sender or each.message.p2 != message.p2 for each in waiting):
                waiting.append(asked)
                del waiting[:-32]  # whoever is dropped asks again
            if name not in self._remotes:
                self._search.want(name)

    def start(self) -> None:
        """Begin; call it in the loop."""
        self._search.start()

    # -- told by the other side ------------------------------------------------------------------------------------

    def _found(self, name: str, address: str) -> None:
        if name in self._remotes:
            return
        line = self._lines.get(address)
        if line is None:
            line = self._lines[address] = Line(self._backend, address, self._happened, self._lost)
            self._backend.spawn(line.run)
        self._remotes[name] = Remote(line, line.open(name))

    def _lost(self, line: Line, reason: str) -> None:
        log.warning("%s %s", line.address, reason)
        self._lines.pop(line.address, None)
        for name in line.names.values():
            self._forget(name)
        for key in [key for key in self._writes if key[0] == line.address]:
            self._writes.pop(key).finish(eca.DISCONN)

    def _forget(self, name: str) -> None:
        remote = self._remotes.pop(name, None)
        if remote is not None and remote.pv is not None:
            self.directory.remove(name)
            self.server.withdraw(remote.pv)

    def _happened(self, line: Line, event: Event) -> None:
        if isinstance(event, Created):
            self._created(line, event.channel)
        elif isinstance(event, Rights):
            self._rights(event.channel)
        elif isinstance(event, Answer):
            self._answered(line, event)
        elif isinstance(event, Update):
            self._updated(line, event)
        elif isinstance(event, Disconnected):
            self._forget(line.names.pop(event.channel.cid, ""))

    def _created(self, line: Line, channel: Channel) -> None:
        remote = self._remotes.get(channel.name)
        if remote is None:
            return
        if channel.state != "open":
            line.names.pop(channel.cid, None)
            self._forget(channel.name)
            return
        remote.reading = line.circuit.read(channel, int(channel.native) + CTRL)

    def _rights(self, channel: Channel) -> None:
        remote = self._remotes.get(channel.name)
        if remote is not None and remote.pv is not None and remote.pv.read_only is channel.writable:
            remote.pv.read_only = not channel.writable
            self.server.renew_rights()

    def _answered(self, line: Line, event: Answer) -> None:
        write = self._writes.pop((line.address, event.ioid), None)
        if write is not None:
            write.finish(event.status)
            return
        for name in list(line.names.values()):
            remote = self._remotes.get(name)
            if remote is not None and remote.reading == event.ioid and remote.line is line and remote.pv is None:
                self._serve(line, remote, event)

    def _serve(self, line: Line, remote: Remote, event: Answer) -> None:
        channel, reading = remote.channel, event.reading
        if reading is None:
            self._forget(channel.name)
            return
        remote.pv = PV(
            channel.name,
            reading.value,
            type=channel.native,
            max_count=max(1, channel.count),
            metadata=reading.metadata or PLAIN,
            putter=self._put,
            read_only=not channel.writable,
        )
        self.directory.add(remote.pv)
        remote.subscription = line.circuit.subscribe(channel, int(channel.native) + TIME, mask=EVERY)
        for asked in self._asked.pop(channel.name, ()):
            self._answer(asked)

    def _answer(self, asked: Asked) -> None:
        for reply in self.server.responder.answer([asked.message.pack()]):
            self.driver.send_datagram(reply, asked.sender, asked.through)

    def _updated(self, line: Line, event: Update) -> None:
        reading = event.reading
        if reading is None:
            return
        for remote in self._of(line):
            if remote.subscription == event.subscription and remote.pv is not None:
                remote.pv.post(
                    reading.value, stamp=reading.stamp, status=reading.status or 0, severity=reading.severity or 0
                )

    def _of(self, line: Line) -> list[Remote]:
        found = (self._remotes.get(name) for name in line.names.values())
        return [each for each in found if each is not None and each.line is line]

    async def _put(self, pv: PV, value: Any) -> object:
        """Hand a write on, and wait until the server has done it; what it made of the value comes as an update."""
        remote = self._remotes.get(pv.name)
        if remote is None or remote.pv is not pv:
            raise Refused(eca.DISCONN)
        write = Write(self._backend)
        ioid = remote.line.circuit.write(remote.channel, value, native=remote.channel.native)
        self._writes[remote.line.address, ioid] = write
        remote.line.flush()
        await write.done.wait()
        if write.status != eca.NORMAL:
            raise Refused(write.status)
        return STORED


class Write:
    """A write that has been handed on."""

    def __init__(self, backend: Backend) -> None:
        self.done = backend.event()
        self.status = eca.NORMAL

    def finish(self, status: int) -> None:
        """Tell whoever waits."""
        self.status = status
        self.done.set()


def serve(config: Mapping[str, Any], say: Callable[[Addresses], object] | None = None) -> int:
    """Run a gateway until SIGTERM or SIGINT.

    Args:
        config: as :func:`canet.server.process.serve`; ``pvs`` are its own PVs; ``search_on_create``.
        say: told the addresses when it serves.

    Returns:
        The exit code, as there.
    """
    own = Directory(PV(name, value) for name, value in (config.get("pvs") or {}).items())

    def make(backend: Backend, settings: Config) -> tuple[Server, Gateway]:
        gateway = Gateway(backend, own, os.environ, search_on_create=bool(config.get("search_on_create", True)))
        gateway.server = Server(gateway, config=settings)
        return gateway.server, gateway

    return run(config, make, say)
