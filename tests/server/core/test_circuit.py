"""A circuit: bytes in, bytes out."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from canet.server.core import circuit as circuits
from canet.server.core.config import Config
from canet.server.core.pv import PV
from canet.server.core.security import Open
from canet.server.protocol import eca
from canet.server.protocol.commands import Command
from canet.server.protocol.dbr import CHAR, ENUM, LONG
from canet.server.protocol.message import Message, Reader
from canet.server.protocol.metadata import Metadata
from tests.server.wire import Wire, serve


class Strict(Open):
    """Security that lets only ``alice`` write, and nobody at ``evil`` read."""

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.locked = False

    def rights(self, group: str, level: int, user: str, host: str) -> tuple[bool, bool]:
        """Return the rights."""
        return host != "evil" and not self.locked, user == "alice"

    def watch(self, changed: Callable[[], None]) -> None:
        """Remember whom to tell."""
        self.changed = changed


def test_unknown_name_fails() -> None:
    """CREATE_CH_FAIL repeats the client's id."""
    wire = Wire(serve())

    assert wire.ask(Message(Command.CREATE_CHAN, p1=9, p2=13, payload=b"nope\0")) == [
        Message(Command.CREATE_CH_FAIL, p1=9)
    ]


@pytest.mark.parametrize("name", [b"", b"\0", b"\0\0\0\0\0\0\0\0"])
def test_empty_name_fails(name: bytes) -> None:
    """A name of no length is unknown."""
    wire = Wire(serve(PV("x", 1.0)))

    (answer,) = wire.ask(Message(Command.CREATE_CHAN, p1=9, p2=13, payload=name))

    assert answer.command == Command.CREATE_CH_FAIL


def test_channel_announces_rights_type_and_count() -> None:
    """Rights come first, then the channel."""
    wire = Wire(serve(PV("a", [1, 2, 3], max_count=5, read_only=True)))

    rights, created = wire.ask(Message(Command.CREATE_CHAN, p1=4, p2=13, payload=b"a\0"))

    assert (rights.command, rights.p1, rights.p2) == (Command.ACCESS_RIGHTS, 4, 1)
    assert (created.data_type, created.count, created.p1) == (LONG, 5, 4)


def test_clear_channel_ends_its_subscriptions() -> None:
    """Nothing more is sent for a channel that was cleared."""
    pv = PV("x", 1.0)
    wire = Wire(serve(pv))
    sid = wire.open("x")
    wire.watch(sid, 6)
    wire.take()

    cleared = wire.ask(Message(Command.CLEAR_CHANNEL, p1=sid, p2=1))
    pv.post(2.0)

    assert cleared == [Message(Command.CLEAR_CHANNEL, p1=sid, p2=1)]
    assert wire.take() == []
    assert pv.listeners == []
    assert wire.server.count().channels == 0


@pytest.mark.parametrize(
    "message",
    [
        Message(Command.READ_NOTIFY, 6, 1, 99, 1),
        Message(Command.WRITE_NOTIFY, 6, 1, 99, 1, bytes(8)),
        Message(Command.WRITE, 6, 1, 99, 1, bytes(8)),
        Message(Command.EVENT_ADD, 6, 1, 99, 1, bytes(13) + b"\1\0\0"),
        Message(Command.CLEAR_CHANNEL, p1=99, p2=1),
    ],
    ids=str,
)
def test_unknown_channel_is_an_error(message: Message) -> None:
    """The error carries the offending header and BADCHID."""
    wire = Wire(serve(PV("x", 1.0)))

    (answer,) = wire.ask(message)

    assert (answer.command, answer.p2) == (Command.ERROR, eca.BADCHID)
    assert answer.payload.startswith(message.pack()[:16])
    assert b"99" in answer.payload[16:]


def test_unknown_command_ends_the_circuit() -> None:
    """What follows an unknown command cannot be trusted."""
    wire = Wire(serve())

    (answer,) = wire.ask(Message(77, payload=b"whatever"))

    assert (answer.command, answer.p2) == (Command.ERROR, eca.INTERNAL)
    assert wire.circuit.closing


def test_echo_and_read_sync() -> None:
    """Both are answered with the same."""
    wire = Wire(serve())
    messages = [Message(Command.ECHO, payload=bytes(8)), Message(Command.READ_SYNC, p1=1, p2=2)]

    assert wire.ask(*messages) == messages


def test_rights_follow_the_client_and_the_rules() -> None:
    """Rights are announced again when the client says who it is, and when the rules change."""
    security = Strict()
    pv = PV("x", 1.0)
    wire = Wire(serve(pv, security=security))
    sid = wire.open("x")

    assert wire.ask(Message(Command.CLIENT_NAME, payload=b"alice\0")) == [Message(Command.ACCESS_RIGHTS, p1=1, p2=3)]
    assert wire.write(sid, 6, 2.0) == eca.NORMAL
    assert wire.ask(Message(Command.HOST_NAME, payload=b"EVIL\0")) == [Message(Command.ACCESS_RIGHTS, p1=1, p2=2)]
    (answer,) = wire.ask(Message(Command.READ_NOTIFY, 6, 1, sid, 1))
    assert answer.p1 == eca.NORDACCESS
    wire.ask(Message(Command.HOST_NAME, payload=b"good\0"), Message(Command.CLIENT_NAME, payload=b"bob\0"))
    assert wire.write(sid, 6, 3.0) == eca.NOWTACCESS
    assert pv.value == 2.0


def test_subscription_hears_that_reading_is_forbidden_and_allowed_again() -> None:
    """A revoked right is an update with a status; a granted one brings the value."""
    security = Strict()
    wire = Wire(serve(PV("x", 1.5), security=security))
    wire.watch(wire.open("x"), 6)
    wire.take()

    security.locked = True
    security.changed()
    rights, update = wire.take()
    assert (rights.p2, update.p1) == (0, eca.NORDACCESS)

    security.locked = False
    security.changed()
    rights, update = wire.take()
    assert (rights.p2, update.p1) == (1, eca.NORMAL)


def test_oversized_request_is_refused_and_skipped() -> None:
    """A payload larger than its kind can be is not kept; what follows is understood."""
    wire = Wire(serve(PV("x", 1.0)))
    sid = wire.open("x")
    huge = Message(Command.WRITE, 6, 1, sid, 1, bytes(200_000)).pack()

    for start in range(0, len(huge), 1000):
        wire.circuit.receive(huge[start : start + 1000], 0.0)
    answers = wire.ask(Message(Command.ECHO))

    assert [each.command for each in answers] == [Command.ERROR, Command.ECHO]
    assert answers[0].p2 == eca.TOLARGE


def test_array_bytes_bound_what_is_written_and_read() -> None:
    """Without automatic buffers, EPICS_CA_MAX_ARRAY_BYTES holds both ways."""
    config = Config.from_environment({"EPICS_CA_AUTO_ARRAY_BYTES": "NO", "EPICS_CA_MAX_ARRAY_BYTES": "20000"})
    wire = Wire(serve(PV("a", np.zeros(5000)), config=config))
    sid = wire.open("a")

    (refused,) = wire.ask(Wire.writing(sid, 6, np.ones(5000), 5000))
    (unread,) = wire.ask(Message(Command.READ_NOTIFY, 6, 5000, sid, 1))
    (unwatched,) = wire.ask(Message(Command.EVENT_ADD, 6, 5000, sid, 1, bytes(12) + b"\0\1\0\0"))

    assert (refused.command, refused.p2) == (Command.ERROR, eca.TOLARGE)
    assert (unread.command, unread.p2) == (Command.ERROR, eca.TOLARGE)
    assert (unwatched.command, unwatched.p2) == (Command.ERROR, eca.TOLARGE)
    assert wire.write(sid, 6, np.ones(2000), 2000) == eca.NORMAL


def test_requests_wait_while_the_client_does_not_read() -> None:
    """What a client may have waiting is bounded; all is answered in the end."""
    wire = Wire(serve(PV("a", np.zeros(50_000))))
    sid = wire.open("a")
    requests = [Message(Command.READ_NOTIFY, 6, 50_000, sid, ioid) for ioid in range(40)]

    wire.send(*requests)

    assert not wire.circuit.hungry
    assert wire.circuit.outbox.size < circuits.FULL + 500_000
    assert [each.p2 for each in wire.take()] == list(range(40))
    assert wire.circuit.hungry


def test_a_write_run_gives_the_last_value() -> None:
    """Writes that nobody could see one by one are stored once."""
    pv, other = PV("x", 1.0), PV("e", 0, type=ENUM, metadata=Metadata(states=("a", "b")))
    wire = Wire(serve(pv, other))
    x, e = wire.open("x"), wire.open("e", 2)

    wire.send(*(Wire.writing(x, 6, float(n), notify=False) for n in range(5)), Wire.writing(e, 3, 1, notify=False))

    assert (pv.value, other.value) == (4.0, 1)


def test_many_updates_reach_a_client_that_keeps_up() -> None:
    """No write is skipped for a subscriber."""
    wire = Wire(serve(PV("x", 0.0)))
    sid = wire.open("x")
    wire.watch(sid, 6)

    wire.send(*(Wire.writing(sid, 6, float(n), notify=False) for n in range(1, 500)))

    assert wire.values() == [float(n) for n in range(500)]


def test_old_client_gets_full_arrays() -> None:
    """A client before 4.13 does not know arrays of varying length."""
    wire = Wire(serve(PV("a", [1.0], max_count=3)), minor=11)

    reading = wire.read(wire.open("a"), 6)

    assert list(reading.value) == [1.0, 0.0, 0.0]


def test_withdrawn_pv_disconnects_its_channels() -> None:
    """SERVER_DISCONN names the channel, and nothing more is sent for it."""
    pv = PV("x", 1.0)
    wire = Wire(serve(pv))
    wire.watch(wire.open("x", 7), 6)
    wire.take()

    wire.server.withdraw(pv)
    pv.post(2.0)

    assert wire.take() == [Message(Command.SERVER_DISCONN, p1=7)]


# Any input in any state: legal replies, errors, or a close.

known = st.sampled_from([int(each) for each in Command])
small = st.integers(0, 6)
requests = st.builds(
    Message,
    command=st.one_of(known, known, st.integers(0, 0xFFFF)),
    data_type=st.one_of(st.integers(0, 40), st.integers(0, 0xFFFF)),
    count=st.one_of(small, st.integers(0, 0xFFFFFFFF)),
    p1=st.one_of(small, st.integers(0, 0xFFFFFFFF)),
    p2=st.one_of(small, st.integers(0, 0xFFFFFFFF)),
    payload=st.one_of(
        st.sampled_from(
            [b"x\0", b"a\0", b"s.VAL$\0", b"x.HIHI\0", b'x{"dec":{"n":2}}\0', b"a[1:2]\0", bytes(12) + b"\0\5\0\0"]
        ),
        st.binary(max_size=40),
    ),
)


@settings(deadline=None, max_examples=80, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(requests, max_size=20), st.lists(st.integers(1, 60), max_size=10), st.binary(max_size=30))
def test_any_input_ends_in_messages_or_a_close(messages: list[Message], cuts: list[int], rest: bytes) -> None:
    """Whatever a client sends, the core raises nothing, and what it answers can be read."""
    pvs = [PV("x", 1.0), PV("a", [1, 2, 3]), PV("s", "text"), PV("c", b"abc", type=CHAR, max_count=10)]
    wire = Wire(serve(*pvs))
    for cid, pv in enumerate(pvs, 1):
        wire.open(pv.name, cid)
    data = b"".join(each.pack() for each in messages) + rest
    reader = Reader()

    start = 0
    for cut in [*cuts, len(data)]:
        if wire.circuit.closing:
            break
        wire.circuit.receive(data[start : start + cut], 0.0)
        start += cut
        for pv in pvs[:1]:
            pv.post(float(start))
        while wire.circuit.outbox.size:
            out = b"".join(wire.circuit.outbox.buffers())
            wire.circuit.outbox.sent(len(out))
            for answer in reader.feed(out):
                assert answer.command in set(Command)
            wire.circuit.drained()

    assert reader.pending == 0
    wire.server.disconnected(wire.circuit)
    assert wire.server.count().channels == 0
    assert not pvs[0].listeners


@pytest.mark.parametrize("minor", range(8, 14))
def test_every_version_from_4_8_on(minor: int) -> None:
    """Reads, writes and monitors are the same for each; only varying counts need 4.13."""
    pv = PV("x", 1.5)
    wire = Wire(serve(pv), minor=minor)
    sid = wire.open("x")
    wire.watch(sid, 20, count=1)

    assert wire.values() == [1.5]
    update, written = wire.ask(Wire.writing(sid, 6, 2.5))
    assert (update.command, written.command, written.p1) == (Command.EVENT_ADD, Command.WRITE_NOTIFY, eca.NORMAL)
    assert wire.read(sid, 34, 1).value == 2.5
