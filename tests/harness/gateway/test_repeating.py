"""What a relay repeats: broadcasts of one subnet into the others, once, with the sender's address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from canet.harness.gateway.repeating import Datagram, Repeater, Side, build, read

LEFT = Side("eth0", IPv4Address("10.1.0.254"), IPv4Network("10.1.0.0/24"), IPv4Address("10.1.0.255"))
RIGHT = Side("eth1", IPv4Address("10.2.0.254"), IPv4Network("10.2.0.0/24"), IPv4Address("10.2.0.255"))
THIRD = Side("eth2", IPv4Address("10.3.0.254"), IPv4Network("10.3.0.0/24"), IPv4Address("10.3.0.255"))


def packet(source: str, to: str, port: int = 5064, payload: bytes = b"search") -> bytes:
    return build(Datagram(IPv4Address(source), 40000, IPv4Address(to), port, payload))


def test_a_broadcast_goes_to_every_other_side() -> None:
    """Each other network gets it at its own broadcast address, from the sender's address and port."""
    heard = list(Repeater([LEFT, RIGHT, THIRD]).hear("eth0", packet("10.1.0.1", "10.1.0.255")))
    assert [(name, str(each.to), str(each.source), each.source_port) for name, each in heard] == [
        ("eth1", "10.2.0.255", "10.1.0.1", 40000),
        ("eth2", "10.3.0.255", "10.1.0.1", 40000),
    ]


def test_limited_broadcasts_are_repeated_as_well() -> None:
    """255.255.255.255 is a broadcast of the network that it is heard on."""
    assert list(Repeater([LEFT, RIGHT]).hear("eth0", packet("10.1.0.1", "255.255.255.255")))


def test_what_another_relay_sent_is_not_repeated() -> None:
    """Its source address belongs to another subnet: two relays do not feed each other."""
    first, second = Repeater([LEFT, RIGHT]), Repeater([LEFT, RIGHT])
    ((side, datagram),) = first.hear("eth0", packet("10.1.0.1", "10.1.0.255"))
    assert list(second.hear(side, build(datagram))) == []


def test_unicasts_other_ports_and_strange_interfaces_are_left_alone() -> None:
    """Only broadcasts to the watched ports, on an interface of the relay."""
    repeater = Repeater([LEFT, RIGHT])
    assert list(repeater.hear("eth0", packet("10.1.0.1", "10.1.0.2"))) == []
    assert list(repeater.hear("eth0", packet("10.1.0.1", "10.1.0.255", 53))) == []
    assert list(repeater.hear("eth9", packet("10.1.0.1", "10.1.0.255"))) == []
    assert list(repeater.hear("eth0", packet("10.1.0.254", "10.1.0.255"))) == []


def test_the_source_can_be_rewritten() -> None:
    """Then the relay's own address on that side is used: the trap that the scenarios show."""
    ((_side, datagram),) = Repeater([LEFT, RIGHT], keep_source=False).hear("eth0", packet("10.1.0.1", "10.1.0.255"))
    assert str(datagram.source) == "10.2.0.254"


@given(st.binary(max_size=100))
def test_any_packet_can_be_heard(data: bytes) -> None:
    """Bytes that are no UDP datagram are no datagram, and no error."""
    list(Repeater([LEFT, RIGHT]).hear("eth0", data))


@given(st.binary(max_size=200), st.integers(0, 65535))
def test_what_was_built_is_read_again(payload: bytes, port: int) -> None:
    """Building and reading are inverse."""
    datagram = Datagram(IPv4Address("10.1.0.1"), port, IPv4Address("10.1.0.255"), 5064, payload)
    assert read(build(datagram)) == datagram
