"""Beacons: when, where, what."""

import itertools

import pytest

from canet.server.core.beacon import Beacons, Destination
from canet.server.core.config import Endpoint
from canet.server.protocol.commands import Command
from canet.server.protocol.message import Message, read_datagram

HERE = Destination(Endpoint("10.1.0.255", 5065), "10.1.0.2")
THERE = Destination(Endpoint("10.2.0.255", 5065))


def run(beacons: Beacons, until: float, start: float = 0.0) -> list[tuple[float, Message, Destination]]:
    """Return all beacons until a time."""
    sent = []
    now = start
    while now <= until:
        sent += [(now, read_datagram(data)[0], to) for data, to in beacons.take(now)]
        due = beacons.next()
        if due is None:
            break
        now = due
    return sent


def test_period_doubles_up_to_the_plateau() -> None:
    """20 ms, then twice as long each time, up to the period."""
    beacons = Beacons(5064, 0.5)
    beacons.send_to([HERE], 0.0)

    times = [time for time, _, _ in run(beacons, 2.5)]

    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5])


def test_a_short_period_needs_no_ramp() -> None:
    """A period below 20 ms holds from the start."""
    beacons = Beacons(5064, 0.01)
    beacons.send_to([HERE], 0.0)

    assert [time for time, _, _ in run(beacons, 0.03)] == pytest.approx([0.0, 0.01, 0.02, 0.03])


def test_beacon_names_port_number_and_the_interface_it_leaves_by() -> None:
    """The address is that of the interface; 0 has the receiver take the sender's."""
    beacons = Beacons(45001, 15.0)
    beacons.send_to([HERE, THERE], 0.0)

    first, second = (message for _, message, _ in run(beacons, 0.0))

    assert first == Message(Command.RSRV_IS_UP, 13, 45001, 0, 0x0A010002)
    assert second == Message(Command.RSRV_IS_UP, 13, 45001, 0, 0)


def test_numbers_count_up() -> None:
    """Each beacon has the next number."""
    beacons = Beacons(5064, 15.0)
    beacons.send_to([HERE], 0.0)

    assert [message.p1 for _, message, _ in run(beacons, 1.0)] == list(range(6))


def test_a_network_that_appears_later_gets_a_ramp_of_its_own() -> None:
    """The others hear nothing unusual."""
    beacons = Beacons(5064, 15.0)
    beacons.send_to([HERE], 0.0)
    run(beacons, 100.0)

    beacons.send_to([HERE, THERE], 100.5)
    sent = run(beacons, 102.0, start=100.5)

    assert {to for _, _, to in sent} == {THERE}
    assert [message.p1 for _, message, _ in sent][:3] == [0, 1, 2]


def test_no_destination_no_beacon() -> None:
    """There is nothing to wait for."""
    beacons = Beacons(5064, 15.0)
    beacons.send_to([HERE], 0.0)
    beacons.send_to([], 0.0)

    assert beacons.next() is None
    assert beacons.take(1.0) == []
