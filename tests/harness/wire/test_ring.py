"""The ring through which an ordinary user's capture reads."""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from canet.harness.wire import capture, frames
from canet.harness.wire.capture import Capture
from canet.harness.wire.ring import BLOCK, SLOT, SOL_PACKET, Ring
from canet.netns import Network
from tests.harness.lan import network
from tests.harness.wire.test_capture import say, seen

MANY = 3000
"""Datagrams of a flood: four frames each, at the ports of the sender and two receivers, and at the bridge itself."""
TIMES = 4
SMALL = 212_992
"""``net.core.rmem_max`` as Linux comes: the receive buffer that an ordinary user gets."""


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    yield from network()


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel refuse larger buffers, and give those of an ordinary user."""
    monkeypatch.setattr(capture, "BUFFER", SMALL)
    force = socket.socket.setsockopt

    def setsockopt(self: socket.socket, level: int, name: int, value: int) -> None:
        if (level, name) == (socket.SOL_SOCKET, capture.SO_RCVBUFFORCE):
            raise PermissionError
        force(self, level, name, value)

    monkeypatch.setattr(socket.socket, "setsockopt", setsockopt)


def flood(net: Network, size: int = 1000) -> None:
    """Broadcast ``MANY`` datagrams at full speed."""
    with net["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for number in range(MANY):
            sock.sendto((b"flood %d." % number).ljust(size, b"."), ("10.1.0.255", 5064))


def numbers(recorded: list[bytes]) -> list[int]:
    """Return the numbers of the flood's datagrams, in order."""
    headers = [frames.read(each) for each in recorded]
    return [int(h.payload[6:].split(b".")[0]) for h in headers if h and h.payload.startswith(b"flood ")]


def udp(frame: bytes) -> bytes:
    """Return what a datagram says; nothing for the ICMP errors that quote it."""
    headers = frames.read(frame)
    return headers.payload if headers and headers.proto == "udp" else b""


def lost(sock: socket.socket) -> int:
    return int(struct.unpack("II", sock.getsockopt(SOL_PACKET, capture.PACKET_STATISTICS, 8))[1])


def test_a_flood_that_a_socket_loses_stays_whole_in_a_ring(net: Network) -> None:
    """While nobody reads, a ring holds all of it and an ordinary buffer a part; both count what they lost."""
    with net.wire.socket() as plain, net.wire.socket() as ringed:
        plain.setblocking(False)
        ringed.setblocking(False)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        ring = Ring(ringed, capture.RING)
        flood(net)
        held = numbers([data for _stamp, _index, _kind, data in ring.read()])
        kept = numbers([data for _stamp, _name, _kind, data in capture._socket_frames(plain)])

        assert held == [number for number in range(MANY) for _ in range(TIMES)]
        assert lost(ringed) == ring.cut == 0
        assert len(kept) + lost(plain) >= TIMES * MANY > 2 * len(kept)
        ringed.close()
        ring.close()


def test_a_full_ring_says_what_it_lost(net: Network) -> None:
    """What came before is there, what found no place is counted, and after reading there is place again."""
    with net.wire.socket() as sock:
        sock.setblocking(False)
        ring = Ring(sock, BLOCK)
        flood(net)
        held = numbers([each[-1] for each in ring.read()])
        dropped = lost(sock)
        say(net, "client", "10.1.0.255", b"flood 5000.")
        after = numbers([each[-1] for each in ring.read()])
        sock.close()
        ring.close()

    assert held == [number for number in range(MANY) for _ in range(TIMES)][: len(held)]
    assert 0 < len(held) <= BLOCK // SLOT
    assert dropped >= TIMES * MANY - BLOCK // SLOT
    assert after == [5000] * TIMES


def test_a_frame_longer_than_a_slot_is_whole(net: Network) -> None:
    """It comes through the receive queue, in its turn, with the time and the direction of the others."""
    long = b"long " * 4000
    start = time.time()
    with net["ioc"].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(capture.ETH_P_ALL)) as sock:
        sock.setblocking(False)
        sock.bind(("lo", capture.ETH_P_ALL))
        ring = Ring(sock, BLOCK)
        for text in (b"before", long, b"after"):
            say(net, "ioc", "127.0.0.1", text)
        ready = select.select([sock], [], [], 5)[0]
        got = [each for each in ring.read() if udp(each[-1]) and each[2] == capture.PACKET_OUTGOING]
        sock.close()
        ring.close()

    assert ready
    assert [udp(data) for *_, data in got] == [b"before", long, b"after"]
    assert all(start <= stamp <= time.time() and index == 1 for stamp, index, *_ in got)
    assert ring.cut == 0


def test_what_is_cut_is_counted(net: Network) -> None:
    """Long frames for which the receive queue has no place count as lost."""
    with net["ioc"].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(capture.ETH_P_ALL)) as sock:
        sock.setblocking(False)
        sock.bind(("lo", capture.ETH_P_ALL))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        ring = Ring(sock, BLOCK)
        for _ in range(10):
            say(net, "ioc", "127.0.0.1", b"long " * 4000)
        got = [data for *_, data in ring.read() if udp(data)]
        sock.close()
        ring.close()

    assert 0 < ring.cut < len(got) == 20
    assert sum(len(each) < SLOT for each in got) == ring.cut


@pytest.mark.usefixtures("ordinary")
def test_an_ordinary_users_capture_takes_in_a_flood(net: Network) -> None:
    """With a receive buffer that cannot be enlarged a capture is still whole, and each frame is at its place."""
    with Capture(net) as recording:
        flood(net)
    sent = [each for each in recording.frames() if b"flood" in each.data]

    assert recording.dropped == 0
    assert numbers([each.data for each in sent]) == [number for number in range(MANY) for _ in range(3)]
    assert seen(tuple(sent), b"flood 7.".ljust(1000, b".")) == [
        ("client", "eth0", "out"),
        ("ioc", "eth0", "in"),
        ("router", "eth0", "in"),
    ]


@pytest.mark.usefixtures("ordinary")
def test_without_memory_for_a_ring_the_buffer_must_do(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """The capture works as before; what it loses, it counts."""

    def refused(*_args: object) -> Ring:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(capture, "Ring", refused)
    with Capture(net) as recording:
        say(net, "client", "10.1.0.255", b"one")
        assert recording.wait_for(lambda each: each.host == "router" and each.data.endswith(b"one"))

    assert recording.dropped == 0
    assert len(seen(recording.frames(), b"one")) == 3
