"""Runs give the same bytes and values as the ordinary way."""

from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.server.core.pv import PV
from canet.server.core.runs import RUNS
from canet.server.protocol.commands import Command
from canet.server.protocol.message import Message
from tests.server.wire import Wire, serve

STAMP = 1_000_000_000_000_000_000


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    """Let time stand, so that time stamps can be compared."""
    with mock.patch.object(PV, "clock", staticmethod(lambda: STAMP)):
        yield


def conversation(requests: list[Message], pieces: int) -> tuple[bytes, list[object]]:
    """Return what a server answers, and what its PVs are afterwards."""
    pvs = [PV("x", 1.5), PV("i", 3), PV("ro", 2.5, read_only=True), PV("a", [1, 2, 3]), PV("s", "text")]
    wire = Wire(serve(*pvs))
    for cid, pv in enumerate(pvs, 1):
        wire.open(pv.name, cid)
    data = b"".join(each.pack() for each in requests)
    answer = b""
    step = max(1, len(data) // pieces)
    for start in range(0, len(data), step):
        wire.circuit.receive(data[start : start + step], 0.0)
        answer += b"".join(wire.circuit.outbox.buffers())
        wire.circuit.outbox.clear()
    return answer, [each.value if each.max_count == 1 else each.value.tolist() for each in pvs]


sids = st.integers(1, 6)
reads = st.builds(
    Message,
    command=st.just(int(Command.READ_NOTIFY)),
    data_type=st.sampled_from([6, 20, 34, 0]),
    count=st.sampled_from([0, 1]),
    p1=sids,
    p2=st.integers(0, 99),
)
writes = st.builds(
    lambda sid, kind, number: Wire.writing(sid, kind, number, notify=False),
    sids,
    st.sampled_from([6, 5, 1]),
    st.integers(0, 100),
)
creates = st.builds(
    lambda name, cid: Message(Command.CREATE_CHAN, p1=cid, p2=13, payload=name + b"\0"),
    st.sampled_from([b"x", b"i", b"ro", b"nope", b"x.EGU"]),
    st.integers(10, 20),
)
others = st.sampled_from([Message(Command.ECHO), Message(Command.EVENTS_ON)])


@settings(deadline=None, max_examples=80)
@given(st.lists(st.one_of(reads, reads, writes, creates, others), max_size=30), st.integers(1, 5))
def test_runs_change_nothing(requests: list[Message], pieces: int) -> None:
    """A server without runs answers the same."""
    fast = conversation(requests, pieces)
    with mock.patch.dict(RUNS, clear=True):
        slow = conversation(requests, pieces)

    assert fast == slow


def test_a_watched_pv_is_written_one_by_one() -> None:
    """Each write is an update."""
    pv = PV("x", 0.0)
    wire = Wire(serve(pv))
    sid = wire.open("x")
    wire.watch(sid, 6)

    wire.send(*(Wire.writing(sid, 6, float(n), notify=False) for n in (1, 2, 3)))

    assert wire.values() == [0.0, 1.0, 2.0, 3.0]


def test_a_cached_reply_ends_with_the_value() -> None:
    """After a post, the next read gives the new value."""
    pv = PV("x", 1.0)
    wire = Wire(serve(pv))
    sid = wire.open("x")

    assert [wire.read(sid, 6).value, wire.read(sid, 6).value] == [1.0, 1.0]
    pv.post(2.0)
    assert wire.read(sid, 6).value == 2.0
