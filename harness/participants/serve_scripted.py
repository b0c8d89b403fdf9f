"""A small Channel Access server that misbehaves on request, as servers in the field did (runs inside a lab).

It serves constant numbers, in one thread, and everything about it can be twisted: the version that it tells, which
searches it answers and how late, whether it accepts connections, and whether it knows the PV that it claimed to have.
"""

from __future__ import annotations

import errno
import heapq
import itertools
import json
import os
import selectors
import signal
import socket
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from canet.harness.participants.flaws import FLAWS, text
from canet.server.protocol import eca
from canet.server.protocol.commands import MINOR_VERSION, Command
from canet.server.protocol.dbr import Native
from canet.server.protocol.message import Message, Reader, read_datagram
from canet.server.protocol.payload import encode

IP_RECVERR = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How the server behaves. Everything at its default is a well-behaved server."""

    pvs: Mapping[str, float] = field(default_factory=dict)
    minor: int = MINOR_VERSION
    """The minor protocol version that it tells and keeps to: before 13 an element count of 0 is an error."""
    answer_from: int = 1
    """It answers the search for a name from this one on."""
    delay: float = 0.0
    """Seconds until it answers a search."""
    copies: int = 1
    """How often it sends each reply."""
    claims: str = ""
    """It answers searches for names that begin so, though it does not serve them."""
    accept: bool = True
    """False: its listening queue is full, so that connections are neither accepted nor refused."""
    reuse: bool = True
    """False: it does not share its UDP port."""
    late: bool = False
    """It answers each search only when the next datagram comes."""
    fragile: str = ""
    """What makes it stop reading searches for ever: words out of ``truncated`` (a message that is not all there),
    ``empty`` (a datagram without bytes), ``unnamed`` (a search for no name), ``unknown`` (a command that does not
    exist) and ``bounced`` (word that a reply could not be delivered)."""
    remembers: bool = False
    """It keeps every name that was ever searched for."""
    leaks: bool = False
    """It keeps the sockets of clients that have gone."""


def serve(config: Mapping[str, Any]) -> None:
    """Serve until SIGTERM; ``config`` holds ``pvs`` and the other fields of :class:`Script`."""
    known = {name: config[name] for name in Script.__dataclass_fields__ if name in config}
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Scripted(Script(**known), int(os.environ.get("EPICS_CA_SERVER_PORT") or 5064)).run()


class Scripted:
    """The server: its sockets and the loop."""

    def __init__(self, script: Script, port: int) -> None:
        self.script = script
        self._asked: Counter[str] = Counter()
        self._memory: list[object] = []
        self._held: list[tuple[bytes, tuple[str, int]]] = []
        self._late: list[tuple[float, int, bytes, tuple[str, int]]] = []
        self._order = itertools.count()
        self._selector = selectors.DefaultSelector()
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if script.reuse:
            self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if "bounced" in script.fragile:
            self._udp.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        self._udp.bind(("0.0.0.0", port))
        self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._tcp.bind(("0.0.0.0", port))
        self._tcp.listen(64 if script.accept else 0)
        self._fillers = [] if script.accept else self._fill()
        self._selector.register(self._udp, selectors.EVENT_READ, self._search)
        if script.accept:
            self._selector.register(self._tcp, selectors.EVENT_READ, self._accept)
        name = f"0.0.0.0:{port}"
        print("\n" + json.dumps({"event": "ready", "udp": [name], "tcp": [name]}), flush=True)

    def run(self) -> None:
        """Serve for ever."""
        while True:
            wait = None if not self._late else max(0.0, self._late[0][0] - time.monotonic())
            for key, _ in self._selector.select(wait):
                key.data(key.fileobj)
            while self._late and self._late[0][0] <= time.monotonic():
                _when, _order, data, to = heapq.heappop(self._late)
                self._reply(data, to)

    def _fill(self) -> list[socket.socket]:
        """Fill the listening queue with connections of our own, which nobody accepts (listen(2), backlog)."""
        fillers = []
        for _ in range(4):
            filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            filler.setblocking(False)
            filler.connect_ex(self._tcp.getsockname())
            fillers.append(filler)
        return fillers

    def _search(self, udp: socket.socket) -> None:
        try:
            data, source = udp.recvfrom(65536)
        except OSError:  # an earlier reply could not be delivered
            self._give_up("an earlier reply could not be delivered")
            return
        for reply, to in self._held:
            self._reply(reply, to)
        self._held.clear()
        if any(word in FLAWS and FLAWS[word](data) for word in self.script.fragile.split()):
            self._give_up("the datagram is not understood")
            return
        for message in read_datagram(data):
            if message.command == Command.SEARCH:
                self._searched(message, source)

    def _reply(self, data: bytes, to: tuple[str, int]) -> None:
        try:
            self._udp.sendto(data, to)
        except OSError as error:
            if self._udp.fileno() >= 0 and error.errno == errno.ECONNREFUSED:
                self._give_up("an earlier reply could not be delivered")

    def _give_up(self, why: str) -> None:
        """End the search loop; circuits go on."""
        print(f"no more searches are read: {why}", flush=True)
        self._selector.unregister(self._udp)
        self._udp.close()

    def _searched(self, message: Message, source: tuple[str, int]) -> None:
        script, name = self.script, text(message.payload)
        if script.remembers:
            self._memory.append((name, source, time.monotonic()))
        claimed = bool(script.claims) and name.startswith(script.claims)
        if name not in script.pvs and not claimed:
            return
        self._asked[name] += 1
        if self._asked[name] < script.answer_from:
            return
        body = script.minor.to_bytes(2, "big")
        reply = Message(Command.SEARCH, self._tcp.getsockname()[1], 0, 0xFFFFFFFF, message.p2, body).pack()
        data = Message(Command.VERSION, count=script.minor).pack() + reply
        for _ in range(script.copies):
            if script.late:
                self._held.append((data, source))
            else:
                heapq.heappush(self._late, (time.monotonic() + script.delay, next(self._order), data, source))

    def _accept(self, tcp: socket.socket) -> None:
        stream, _ = tcp.accept()
        circuit = _Circuit(self.script)
        stream.sendall(Message(Command.VERSION, count=self.script.minor).pack())

        def ready(_stream: object) -> None:
            try:
                data = stream.recv(65536)
                answer = circuit.receive(data) if data else b""
                if answer:
                    stream.sendall(answer)
            except OSError:
                data = b""
            if not data:
                self._selector.unregister(stream)
                if self.script.leaks:
                    self._memory.append(stream)
                else:
                    stream.close()

        self._selector.register(stream, selectors.EVENT_READ, ready)


class _Circuit:
    """What the server answers on one connection."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._reader = Reader()
        self._names: dict[int, str] = {}

    def receive(self, data: bytes) -> bytes:
        """Return the answer to what arrived."""
        return b"".join(self._answer(message) for message in self._reader.feed(data))

    def _answer(self, message: Message) -> bytes:
        if message.command == Command.ECHO:
            return Message(Command.ECHO).pack()
        if message.command == Command.CREATE_CHAN:
            return self._create(message)
        if message.command == Command.CLEAR_CHANNEL:
            return Message(Command.CLEAR_CHANNEL, p1=message.p1, p2=message.p2).pack()
        if message.command in (Command.READ_NOTIFY, Command.EVENT_ADD, Command.READ):
            return self._value(message)
        return b""

    def _create(self, message: Message) -> bytes:
        name = text(message.payload)
        if name not in self._script.pvs:
            return Message(Command.CREATE_CH_FAIL, p1=message.p1).pack()
        sid = len(self._names) + 1
        self._names[sid] = name
        rights = Message(Command.ACCESS_RIGHTS, p1=message.p1, p2=3).pack()
        return rights + Message(Command.CREATE_CHAN, int(Native.DOUBLE), 1, message.p1, sid).pack()

    def _value(self, message: Message) -> bytes:
        count = message.count
        status = eca.NORMAL
        if count == 0 and self._script.minor >= 13:
            count = 1
        elif count == 0:
            status = eca.BADCOUNT  # variable-length arrays came with 4.13
        value = float(self._script.pvs[self._names[message.p1]])
        payload = encode(message.data_type, count, value, Native.DOUBLE) if status == eca.NORMAL else b""
        return Message(message.command, message.data_type, count, status, message.p2, payload).pack()
