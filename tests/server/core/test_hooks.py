"""Getters and putters, plain and async."""

import asyncio
import logging

import pytest

from canet.server.core.pv import PV, STORED, Refused
from canet.server.protocol import eca
from canet.server.protocol.commands import Command
from canet.server.protocol.dbr import DOUBLE
from canet.server.protocol.message import Message
from tests.server.wire import Wire, serve


async def later(value: object) -> object:
    """Give a value after others had their turn."""
    await asyncio.sleep(0)
    return value


def test_getter_gives_what_is_read() -> None:
    """Plain or async, its value is posted before the answer."""
    numbers = iter(range(10))
    wire = Wire(
        serve(
            PV("plain", 0.0, getter=lambda pv: next(numbers)), PV("slow", 0.0, getter=lambda pv: later(next(numbers)))
        )
    )
    plain, slow = wire.open("plain"), wire.open("slow", 2)

    assert [wire.read(plain, 6).value, wire.read(slow, 6).value, wire.read(plain, 6).value] == [0.0, 1.0, 2.0]


def test_putter_decides_what_is_stored() -> None:
    """None stores what was written; another value goes instead; STORED leaves it to the putter."""
    cases = {"keep": None, "other": 9.0, "own": STORED}
    pvs = [PV(name, 1.0, putter=lambda pv, value, result=result: result) for name, result in cases.items()]
    wire = Wire(serve(*pvs))

    for cid, pv in enumerate(pvs, 1):
        assert wire.write(wire.open(pv.name, cid), 6, 5.0) == eca.NORMAL

    assert [pv.value for pv in pvs] == [5.0, 9.0, 1.0]


def test_write_is_answered_when_the_putter_has_finished() -> None:
    """Others go on meanwhile."""
    wire = Wire(serve(PV("slow", 0.0, putter=lambda pv, value: later(None)), PV("x", 1.5)))
    slow, x = wire.open("slow"), wire.open("x", 2)

    wire.send(Wire.writing(slow, 6, 2.0), Message(Command.READ_NOTIFY, 6, 1, x, 1))
    before = wire.take()
    wire.run()
    after = wire.take()

    assert [each.command for each in before] == [Command.READ_NOTIFY]
    assert [(each.command, each.p1) for each in after] == [(Command.WRITE_NOTIFY, eca.NORMAL)]


def test_puts_to_one_pv_go_one_after_the_other() -> None:
    """In the order in which they came, also those without notify."""
    seen: list[str] = []

    async def putter(pv: PV, value: float) -> None:
        seen.append(f"begin {value:g}")
        await asyncio.sleep(0)
        seen.append(f"end {value:g}")

    pv = PV("x", 0.0, putter=putter)
    wire = Wire(serve(pv))
    sid = wire.open("x")

    answers = wire.ask(*(Wire.writing(sid, 6, float(n), notify=n != 2) for n in (1, 2, 3)))

    assert seen == ["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"]
    assert len(answers) == 2
    assert pv.value == 3.0


@pytest.mark.parametrize("slow", [False, True])
def test_hook_that_raises_is_an_error_for_its_client_alone(slow: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The client is told, the log says where, everything else goes on."""

    def broken(*_: object) -> object:
        if slow:
            return raising()
        raise RuntimeError("no hardware")

    async def raising() -> object:
        raise RuntimeError("no hardware")

    wire = Wire(serve(PV("bad", 1.0, getter=broken, putter=broken), PV("x", 1.5)))
    bad, x = wire.open("bad"), wire.open("x", 2)

    with caplog.at_level(logging.ERROR):
        (read,) = wire.ask(Message(Command.READ_NOTIFY, 6, 1, bad, 1))
        status = wire.write(bad, 6, 2.0)
        (error,) = wire.ask(Wire.writing(bad, 6, 2.0, notify=False))

    assert (read.p1, status, error.command, error.p2) == (eca.GETFAIL, eca.PUTFAIL, Command.ERROR, eca.PUTFAIL)
    assert wire.read(x, 6).value == 1.5
    assert "getter of bad raised RuntimeError: no hardware" in caplog.text
    assert "putter of bad raised RuntimeError: no hardware" in caplog.text


def test_putter_may_refuse_with_a_status() -> None:
    """The client gets that status, and nothing is logged or stored."""

    def putter(pv: PV, value: float) -> None:
        raise Refused(eca.NOWTACCESS, "interlock")

    pv = PV("x", 1.0, putter=putter)
    wire = Wire(serve(pv))

    assert wire.write(wire.open("x"), 6, 2.0) == eca.NOWTACCESS
    assert pv.value == 1.0


def test_client_that_leaves_does_not_stop_its_put() -> None:
    """A put that was taken is finished."""
    pv = PV("x", 0.0, putter=lambda pv, value: later(None))
    wire = Wire(serve(pv))
    wire.send(Wire.writing(wire.open("x"), 6, 7.0))

    wire.server.disconnected(wire.circuit)
    wire.run()

    assert pv.value == 7.0


def test_requests_that_wait_for_hooks_are_bounded() -> None:
    """A client with too many of them is not read until some are done."""
    wire = Wire(serve(PV("x", 0.0, getter=lambda pv: later(1.0))))
    sid = wire.open("x")

    wire.send(*(Message(Command.READ_NOTIFY, DOUBLE, 1, sid, ioid) for ioid in range(1000)))
    assert not wire.circuit.hungry
    wire.run()

    assert sorted(each.p2 for each in wire.take()) == list(range(1000))
