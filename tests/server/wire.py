"""A client without a socket: talks to a core through bytes, as the driver would."""

from __future__ import annotations

import asyncio
from typing import Any

from canet.server.core.names import Directory
from canet.server.core.pv import PV
from canet.server.core.server import Server
from canet.server.protocol.commands import Command
from canet.server.protocol.dbr import Native, native_of
from canet.server.protocol.message import Message, Reader
from canet.server.protocol.payload import Reading, decode, encode

VALUE_AND_ALARM = 5


def serve(*pvs: PV, **settings: Any) -> Server:
    """Return a server of these PVs."""
    return Server(Directory(pvs), **settings)


class Wire:
    """A circuit's client. Requests are sent by methods; :meth:`take` returns what came back."""

    def __init__(self, server: Server, *, minor: int = 13, peer: str = "192.0.2.9") -> None:
        self.server = server
        self.circuit = server.connected((peer, 40000), 0.0)
        self.reader = Reader()
        self.sids: dict[int, int] = {}
        assert self.take() == [Message(Command.VERSION, count=13)]
        self.send(Message(Command.VERSION, count=minor))

    def send(self, *messages: Message) -> None:
        """Send messages in one piece."""
        self.circuit.receive(b"".join(each.pack() for each in messages), 0.0)

    def take(self, most: int | None = None) -> list[Message]:
        """Return what the server sent; ``most`` bytes at the most, as a slow client reads."""
        circuit = self.circuit
        received: list[Message] = []
        while circuit.outbox.size and most != 0:
            data = b"".join(circuit.outbox.buffers())[:most]
            circuit.outbox.sent(len(data))
            most = None if most is None else most - len(data)
            received += self.reader.feed(data)
            circuit.drained()
        circuit.dirty = False
        self.server.dirty = [each for each in self.server.dirty if each is not circuit]
        return received

    def ask(self, *messages: Message) -> list[Message]:
        """Send, run what has to be awaited, and return the answers."""
        self.send(*messages)
        self.run()
        return self.take()

    def run(self) -> None:
        """Run the hooks that the server wants run, as a driver does."""

        async def all_of_them() -> None:
            while self.server.jobs:
                jobs, self.server.jobs = self.server.jobs, []
                for job in jobs:
                    try:
                        result = await job.awaitable
                    except Exception as error:
                        job.failed(error)
                    else:
                        job.done(result)

        if self.server.jobs:
            asyncio.run(all_of_them())

    def open(self, name: str, cid: int = 1) -> int:
        """Create a channel and return its SID."""
        raw = name.encode() + b"\0"
        rights, created = self.ask(Message(Command.CREATE_CHAN, p1=cid, p2=13, payload=raw))
        assert (rights.command, created.command) == (Command.ACCESS_RIGHTS, Command.CREATE_CHAN)
        return created.p2

    def read(self, sid: int, dbr_type: int, count: int = 0) -> Reading:
        """Read a value."""
        (answer,) = self.ask(Message(Command.READ_NOTIFY, dbr_type, count, sid, 77))
        assert (answer.command, answer.p1, answer.p2) == (Command.READ_NOTIFY, 1, 77), str(answer)
        return decode(answer.data_type, answer.count, answer.payload)

    def write(self, sid: int, dbr_type: int, value: Any, count: int = 1) -> int:
        """Write with notify and return the status."""
        (answer,) = self.ask(self.writing(sid, dbr_type, value, count))
        assert (answer.command, answer.p2) == (Command.WRITE_NOTIFY, 88), str(answer)
        return answer.p1

    @staticmethod
    def writing(sid: int, dbr_type: int, value: Any, count: int = 1, *, notify: bool = True) -> Message:
        """Return a write."""
        native = native_of(dbr_type)
        plain = native if dbr_type > 34 else dbr_type
        payload = encode(plain, count, value, Native(native))
        return Message(Command.WRITE_NOTIFY if notify else Command.WRITE, dbr_type, count, sid, 88, payload)

    def watch(self, sid: int, dbr_type: int, *, count: int = 0, mask: int = VALUE_AND_ALARM, identity: int = 5) -> None:
        """Subscribe."""
        payload = bytes(12) + mask.to_bytes(2) + bytes(2)
        self.send(Message(Command.EVENT_ADD, dbr_type, count, sid, identity, payload))
        self.run()

    def values(self) -> list[Any]:
        """Return the values of the updates that came."""
        return [
            decode(each.data_type, each.count, each.payload).value
            for each in self.take()
            if each.command == Command.EVENT_ADD
        ]
