"""canet's own client: searches, and the client's side of a circuit, against bytes."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from canet.harness.client import search
from canet.harness.client.circuit import Answer, Circuit, Created, Disconnected, Echoed, Failed, Rights, Update
from canet.server.protocol import eca
from canet.server.protocol.commands import Command
from canet.server.protocol.dbr import Native
from canet.server.protocol.message import Message, read_datagram
from canet.server.protocol.payload import encode


def opened(circuit: Circuit, native: Native = Native.DOUBLE, count: int = 1) -> int:
    """Open a channel on a circuit and return its CID."""
    channel = circuit.create("a:pv")
    circuit.outgoing()
    circuit.receive(Message(Command.CREATE_CHAN, int(native), count, channel.cid, 77).pack())
    return channel.cid


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text("abc:", min_size=1, max_size=60), min_size=1, max_size=80))
def test_searches_fit_into_datagrams(names: list[str]) -> None:
    """Every name is searched for once, in order, and no datagram is larger than libca's."""
    sent = list(search.datagrams(enumerate(names)))
    found = [
        (message.p1, message.payload.rstrip(b"\0").decode())
        for data in sent
        for message in read_datagram(data)
        if message.command == Command.SEARCH
    ]
    assert found == list(enumerate(names))
    assert all(len(data) <= search.MAX_DATAGRAM for data in sent)
    assert all(read_datagram(data)[0].command == Command.VERSION for data in sent)


def test_answers_name_where_to_connect() -> None:
    """0xFFFFFFFF stands for the sender; an address stands for itself."""
    data = (
        Message(Command.VERSION, count=13).pack()
        + Message(Command.SEARCH, 5064, 0, 0xFFFFFFFF, 4, struct.pack(">H", 13)).pack()
        + Message(Command.SEARCH, 40000, 0, 0x0A010009, 5).pack()
    )
    assert list(search.answers(data, "10.1.0.2")) == [
        search.Found(4, "10.1.0.2:5064"),
        search.Found(5, "10.1.0.9:40000"),
    ]


def test_a_circuit_introduces_itself() -> None:
    """Version, user and host name go first, once."""
    circuit = Circuit("me", "here")
    commands = [each.command for each in read_datagram(circuit.outgoing())]
    assert commands == [Command.VERSION, Command.CLIENT_NAME, Command.HOST_NAME]
    assert circuit.outgoing() == b""


def test_reading_and_writing() -> None:
    """A read brings a value, a write its status; each answer carries its id."""
    circuit = Circuit()
    channel = circuit.channels[opened(circuit)]
    assert (channel.state, channel.sid, channel.native) == ("open", 77, Native.DOUBLE)
    ioid = circuit.read(channel)
    request = read_datagram(circuit.outgoing())[0]
    assert (request.command, request.data_type, request.count, request.p1) == (Command.READ_NOTIFY, 6, 1, 77)
    payload = encode(6, 1, 2.5, Native.DOUBLE)
    (event,) = circuit.receive(Message(Command.READ_NOTIFY, 6, 1, eca.NORMAL, ioid, payload).pack())
    assert isinstance(event, Answer)
    assert event.reading is not None
    assert event.reading.value == 2.5
    ioid = circuit.write(channel, 3.0)
    assert read_datagram(circuit.outgoing())[0].payload == struct.pack(">d", 3.0)
    assert circuit.receive(Message(Command.WRITE_NOTIFY, 6, 1, eca.NORMAL, ioid).pack()) == [Answer(ioid, eca.NORMAL)]
    circuit.write(channel, "3.5", notify=False)
    assert read_datagram(circuit.outgoing())[0].data_type == Native.STRING


def test_subscriptions_rights_echo_and_the_end() -> None:
    """Updates, access rights, echoes, errors and disconnections become events."""
    circuit = Circuit()
    cid = opened(circuit)
    channel = circuit.channels[cid]
    subscription = circuit.subscribe(channel)
    assert len(read_datagram(circuit.outgoing())[0].payload) == 16
    payload = encode(6, 1, 1.0, Native.DOUBLE)
    (update,) = circuit.receive(Message(Command.EVENT_ADD, 6, 1, eca.NORMAL, subscription, payload).pack())
    assert isinstance(update, Update)
    assert circuit.receive(Message(Command.ACCESS_RIGHTS, p1=cid, p2=1).pack()) == [Rights(channel)]
    assert (channel.readable, channel.writable) == (True, False)
    assert circuit.receive(Message(Command.ECHO).pack()) == [Echoed()]
    error = Message(Command.ERROR, p1=cid, p2=eca.BADTYPE, payload=bytes(16) + b"no such type\0").pack()
    assert circuit.receive(error) == [Failed(eca.BADTYPE, "no such type")]
    assert circuit.receive(Message(Command.SERVER_DISCONN, p1=cid).pack()) == [Disconnected(channel)]
    assert channel.state == "closed"


def test_what_is_refused_or_unknown() -> None:
    """A refused channel is told; answers about channels that nobody opened are ignored."""
    circuit = Circuit()
    channel = circuit.create("nobody:has:it")
    assert circuit.receive(Message(Command.CREATE_CH_FAIL, p1=channel.cid).pack()) == [Created(channel)]
    assert channel.state == "failed"
    assert circuit.receive(Message(Command.CREATE_CHAN, 6, 1, 999, 1).pack()) == []
    assert circuit.receive(Message(99).pack()) == []


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_garbage_does_no_harm(data: bytes) -> None:
    """Any bytes from a server give events or nothing."""
    circuit = Circuit()
    opened(circuit)
    circuit.receive(data)
    list(search.answers(data, "10.1.0.2"))
