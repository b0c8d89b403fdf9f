"""Subscriptions: what is sent, what waits, what is replaced."""

import numpy as np
import pytest

from canet.server.core import circuit as circuits
from canet.server.core.pv import PV
from canet.server.core.subscription import QUEUE_BYTES, QUEUE_LENGTH
from canet.server.core.update import ALARM, LOG, PROPERTY, VALUE
from canet.server.protocol import eca
from canet.server.protocol.commands import Command
from canet.server.protocol.dbr import DOUBLE
from canet.server.protocol.message import Message
from canet.server.protocol.metadata import Metadata
from tests.server.wire import Wire, serve


def watching(pv: PV, dbr_type: int = 6, name: str = "", **how: int) -> Wire:
    """Return a client that watches a PV and has read the first value."""
    wire = Wire(serve(pv))
    wire.watch(wire.open(name or pv.name), dbr_type, **how)
    wire.take()
    return wire


@pytest.mark.parametrize(
    ("mask", "expected"),
    [(VALUE, [5.0, 8.0]), (LOG, [8.0]), (ALARM, [8.0]), (PROPERTY, [8.0]), (VALUE | LOG, [5.0, 8.0])],
)
def test_masks(mask: int, expected: list[float]) -> None:
    """Value and log have deadbands of their own; an alarm counts when it changes; properties by themselves."""
    pv = PV("x", 0.0, metadata=Metadata(monitor_deadband=1.0, archive_deadband=6.0, high=7.0))
    wire = watching(pv, mask=mask)

    for value in (0.5, 5.0, 5.5, 8.0):
        pv.post(value)
    if mask == PROPERTY:
        pv.configure(units="V")

    assert wire.values() == expected


def test_first_value_comes_at_once() -> None:
    """EVENT_ADD is answered with the present value."""
    wire = Wire(serve(PV("x", 1.5)))
    wire.watch(wire.open("x"), 6)

    assert wire.values() == [1.5]


def test_count_of_zero_follows_the_array() -> None:
    """A dynamic subscription gets as many elements as there are."""
    pv = PV("a", [1.0, 2.0], max_count=5)
    wire = watching(pv)
    pv.post([1.0, 2.0, 3.0])
    pv.post([])

    three, none = wire.take()

    assert (three.count, none.count, none.payload) == (3, 0, b"")


def test_cancel_is_answered_and_ends_it() -> None:
    """The answer is an EVENT_ADD without payload."""
    pv = PV("x", 1.0)
    wire = watching(pv)

    answer = wire.ask(Message(Command.EVENT_CANCEL, 6, 1, 1, 5))
    pv.post(2.0)

    assert answer == [Message(Command.EVENT_ADD, 6, 1, 1, 5)]
    assert wire.take() == []


def test_cancel_of_an_unknown_subscription() -> None:
    """It is a bad monitor id."""
    (answer,) = watching(PV("x", 1.0)).ask(Message(Command.EVENT_CANCEL, 6, 1, 1, 99))

    assert (answer.command, answer.p2) == (Command.ERROR, eca.BADMONID)


def test_mask_of_nothing_is_refused() -> None:
    """A subscription to nothing is an error."""
    wire = Wire(serve(PV("x", 1.0)))
    wire.watch(wire.open("x"), 6, mask=0)

    (answer,) = wire.take()

    assert (answer.command, answer.p2) == (Command.ERROR, eca.BADMASK)


def test_flow_control_keeps_the_newest() -> None:
    """While events are off nothing comes; afterwards the newest does."""
    pv = PV("x", 0.0)
    wire = watching(pv)

    wire.send(Message(Command.EVENTS_OFF))
    for value in (1.0, 2.0, 3.0):
        pv.post(value)
    assert wire.take() == []
    wire.send(Message(Command.EVENTS_ON))
    pv.post(4.0)

    assert wire.values() == [3.0, 4.0]


def test_slow_client_gets_the_newest_in_order() -> None:
    """A client that does not read costs a bounded queue; when it reads, order holds and the newest is last."""
    pv = PV("x", 0.0)
    wire = watching(pv)

    for value in range(1, 50_000):
        pv.post(float(value))
    bound = circuits.CONGESTED + QUEUE_BYTES
    held = wire.circuit.outbox.size
    values = wire.values()

    assert held < bound
    assert values == sorted(values)
    assert values[-1] == 49_999.0
    assert len(values) <= bound // 24 + QUEUE_LENGTH
    assert wire.server.statistics.updates_replaced > 0


def test_stalled_client_with_many_subscriptions_is_bounded() -> None:
    """A thousand subscriptions to fast arrays hold two updates each beyond the outbox."""
    pv = PV("a", np.zeros(1000))
    wire = Wire(serve(pv))
    sid = wire.open("a")
    for identity in range(1000):
        wire.watch(sid, DOUBLE, identity=identity)

    for value in range(20):
        pv.post(np.full(1000, float(value)))

    waiting = [each.queue or () for each in wire.circuit.subscriptions.values()]
    assert max(len(each) for each in waiting) <= 2
    assert len({id(payload) for each in waiting for _, _, payload in each}) <= 20
    assert wire.circuit.outbox.size < circuits.CONGESTED + 10_000


def test_filters_of_a_subscription() -> None:
    """Each subscription has filters of its own, and they remember."""
    pv = PV("x", 0.0)
    wire = watching(pv, name='x{"dbnd":{"abs":1.5}}')

    for value in (1.0, 2.0, 3.0, 4.0):
        pv.post(value)

    assert wire.values() == [2.0, 4.0]


def test_array_range() -> None:
    """A range gives a part, and announces its count."""
    pv = PV("a", [1.0, 2.0, 3.0, 4.0])
    wire = Wire(serve(pv))
    _, created = wire.ask(Message(Command.CREATE_CHAN, p1=1, p2=13, payload=b"a[1:2:3]\0"))
    wire.watch(created.p2, 6)

    assert created.count == 2
    assert [each.tolist() for each in wire.values()] == [[2.0, 4.0]]
    assert wire.read(created.p2, 6).value.tolist() == [2.0, 4.0]


def test_text_that_is_no_number_is_an_update_with_a_status() -> None:
    """A string watched as a number fails, update by update."""
    pv = PV("s", "1")
    wire = watching(pv)
    pv.post("one")
    pv.post("2")

    assert [each.p1 for each in wire.take()] == [eca.GETFAIL, eca.NORMAL]
