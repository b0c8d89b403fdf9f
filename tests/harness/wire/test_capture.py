"""The recording of all frames of a lab."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from canet.harness.observation import Frame
from canet.harness.wire import frames
from canet.harness.wire.capture import Capture
from canet.netns import Network
from tests.harness.lan import TOPOLOGY, network


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    yield from network()


def say(net: Network, host: str, to: str, text: bytes, port: int = 5064) -> None:
    with net[host].socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.sendto(text, (to, port))


def seen(recorded: tuple[Frame, ...], text: bytes) -> list[tuple[str, str, str]]:
    """Where a datagram was; ICMP errors quote it too and do not count."""
    read = ((each, frames.read(each.data)) for each in recorded)
    return sorted((f.host, f.interface, f.direction) for f, h in read if h and h.proto == "udp" and h.payload == text)


def test_sender_and_receivers_are_told_apart(net: Network) -> None:
    """A broadcast is seen once on its way out and once towards each other host of the segment."""
    start = time.time()
    with Capture(net, start) as capture:
        say(net, "client", "10.1.0.255", b"first to all")
        say(net, "client", "10.1.0.255", b"the sentinel that follows")
        capture.wait_for(lambda each: each.host == "router" and each.data.endswith(b"that follows"))
    recorded = capture.frames()

    assert seen(recorded, b"first to all") == [
        ("client", "eth0", "out"),
        ("ioc", "eth0", "in"),
        ("router", "eth0", "in"),
    ]
    assert capture.dropped == 0
    assert len(capture) == len(recorded)
    assert all(0 <= each.time <= time.time() - start for each in recorded)
    headers = frames.read(next(each.data for each in recorded if each.data.endswith(b"to all")))
    assert headers is not None
    assert (headers.target, headers.payload) == ("10.1.0.255:5064", b"first to all")


def test_both_segments_are_seen(net: Network) -> None:
    """What a router forwards is seen again on the other segment."""
    with Capture(net) as capture:
        say(net, "client", "10.2.0.2", b"through the router")
        found = capture.wait_for(
            lambda each: (each.host, each.direction) == ("far", "in") and each.data.endswith(b"router")
        )
    places = seen(capture.frames(), b"through the router")

    assert found is not None
    assert ("router", "eth1", "out") in places
    assert ("router", "eth0", "in") in places


def test_loopback_and_cable(net: Network) -> None:
    """Loopback traffic is recorded once where it is asked for, and cables where the topology names them."""
    with Capture(net, loopbacks=("ioc",), topology=TOPOLOGY) as capture:
        say(net, "ioc", "127.0.0.1", b"to myself")
        say(net, "far", "10.3.0.2", b"over the cable")
        assert capture.wait_for(lambda each: each.host == "box" and each.data.endswith(b"cable"))
        assert capture.wait_for(lambda each: each.interface == "lo")
    recorded = capture.frames()

    assert seen(recorded, b"to myself") == [("ioc", "lo", "out")]
    assert seen(recorded, b"over the cable") == [("box", "eth0", "in"), ("far", "eth1", "out")]


def test_wait_for_gives_up(net: Network) -> None:
    """What never comes is ``None`` after the deadline."""
    with Capture(net) as capture:
        assert capture.wait_for(lambda _each: False, timeout=0.01) is None


def test_wait_for_starts_where_it_is_told(net: Network) -> None:
    """Frames before ``since`` are not looked at."""
    with Capture(net) as capture:
        say(net, "client", "10.1.0.255", b"one")
        assert capture.wait_for(lambda each: each.host == "router" and each.data.endswith(b"one"))
        before = len(capture)
        say(net, "client", "10.1.0.255", b"two")
        assert capture.wait_for(lambda each: each.host == "router" and each.data.endswith(b"two"), since=before)

        assert not [each for each in capture.frames(before) if each.data.endswith(b"one")]


def test_nothing_is_lost_in_a_burst(net: Network) -> None:
    """Two thousand frames at full speed are all there, or the capture says that it lost some."""
    with Capture(net) as capture, net["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for number in range(2000):
            sock.sendto(b"burst %d." % number, ("10.1.0.255", 5064))
    sent = [each for each in capture.frames() if each.host == "client" and b"burst" in each.data]

    assert len(sent) == 2000 or capture.dropped
