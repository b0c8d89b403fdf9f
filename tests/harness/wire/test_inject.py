"""Search datagrams that are sent from a host, and the replies that come back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.harness import packets
from canet.harness.wire import frames
from canet.harness.wire.inject import MOST, Volley, batches, search_datagram, search_frame
from canet.harness.wire.link import Way, find_way
from canet.netns import Network
from canet.scenarios.model import WITNESS, Probe
from tests.harness.lan import TOPOLOGY, answer, answerer, network

NAMES = (WITNESS, "ioc1:value")
PROBE = Probe(name="p", host="client", to=IPv4Address("10.1.0.255"))


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    yield from network()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text("abc:", min_size=1, max_size=60), min_size=1, max_size=60), st.integers(0, 2**31))
def test_patched_payload_is_what_scapy_builds(names: list[str], cid: int) -> None:
    """Patching the ids in gives the same bytes as building afresh, and no datagram is too large."""
    found = batches(("w", *names))

    assert names == [name for batch in found for name in batch[1:]]
    for batch in found:
        payload = search_datagram(batch, cid)
        assert packets.search_payload(batch, cid) == payload
        assert len(payload) <= MOST


def test_patched_frame_is_what_scapy_builds() -> None:
    """Patching source port, payload and checksum in gives the same frame as building afresh."""
    way = Way("eth0", "02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", IPv4Address("10.1.0.1"))
    for port, cid in ((1, 1), (40_000, 7), (65_535, 2**31)):
        payload = search_datagram(NAMES, cid)
        built = packets.udp_frame(
            payload, mac=way.mac, to_mac=way.to_mac, source=way.source, source_port=port, to=PROBE.to, port=5064
        )

        assert built == search_frame(way, way.source, port, PROBE.to, 5064, payload)


LEVELS: tuple[Literal["ip", "link"], ...] = ("ip", "link")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("to", ["10.1.0.255", "10.1.0.2", "239.1.2.3", "10.2.0.2"])
def test_replies_come_back(net: Network, level: Literal["ip", "link"], to: str) -> None:
    """Each datagram gets its own reply, whatever the level and kind of destination, also through a router."""
    probe = replace(PROBE, to=IPv4Address(to), level=level, sources=2, repeat=2)
    host = "far" if to == "10.2.0.2" else "ioc"
    group = to if IPv4Address(to).is_multicast else None
    with answerer(net, host, group=group) as server, Volley(net, TOPOLOGY, probe, NAMES, first_cid=100) as volley:
        volley.send()
        sources = [answer(server, 45001) for _ in range(4)]
        assert volley.collect(lambda: sum(len(shot.replies) for shot in volley.shots()) == 4)
        shots = volley.shots({f"{server_ip(host)}:45001": "one"}.get)

    assert [names for names, _source in sources] == [NAMES] * 4
    assert [shot.source for shot in shots] == [f"{source[0]}:{source[1]}" for _names, source in sources]
    assert len({shot.source for shot in shots}) == 2
    for shot in shots:
        (reply,) = shot.replies
        assert (shot.received, shot.error, reply.pvs) == (("one",), None, NAMES)
        assert (f"{server_ip(host)}:5064", f"{server_ip(host)}:45001") == (reply.address, reply.announced)


def server_ip(host: str) -> str:
    return str(TOPOLOGY.host(host).addresses[0].ip)


def test_limited_broadcast(net: Network) -> None:
    """255.255.255.255 follows the default route at IP level, and needs none at link level."""
    with answerer(net, "ioc") as server:
        for level in LEVELS:
            probe = replace(PROBE, to=IPv4Address("255.255.255.255"), level=level)
            with Volley(net, TOPOLOGY, probe, NAMES) as volley:
                volley.send()
                assert answer(server, 1)[0] == NAMES


def test_send_error_is_a_result(net: Network) -> None:
    """Without a route a shot says ENETUNREACH; nothing is raised, and nothing waits."""
    for level in LEVELS:
        probe = replace(PROBE, host="box", to=IPv4Address("10.9.0.1"), level=level, sources=2)
        with Volley(net, TOPOLOGY, probe, NAMES) as volley:
            volley.send()

            assert [shot.error for shot in volley.shots()] == ["ENETUNREACH"] * 2


def test_foreign_source_address(net: Network) -> None:
    """A source that the host does not have is refused at IP level and carried at link level."""
    probe = replace(PROBE, source=IPv4Address("10.1.0.77"), source_port=5555)
    with Volley(net, TOPOLOGY, probe, NAMES) as volley:
        volley.send()
        assert [(shot.error, shot.source) for shot in volley.shots()] == [("EADDRNOTAVAIL", "10.1.0.77:5555")]
    with answerer(net, "ioc") as server, Volley(net, TOPOLOGY, replace(probe, level="link"), NAMES) as volley:
        volley.send()
        data, source = server.recvfrom(2000)

    assert (frames.searched_names(data), source) == (NAMES, ("10.1.0.77", 5555))


def test_chosen_source_ports(net: Network) -> None:
    """Source ports count from the one that the probe names."""
    with Volley(net, TOPOLOGY, replace(PROBE, source_port=6000, sources=3), NAMES) as volley:
        volley.send()

        assert [shot.source for shot in volley.shots()] == ["10.1.0.1:6000", "10.1.0.1:6001", "10.1.0.1:6002"]


def test_raw_payload(net: Network) -> None:
    """Bytes in hexadecimal go out as they are."""
    with answerer(net, "ioc") as server:
        for level in LEVELS:
            probe = replace(PROBE, payload="0006ffff00", level=level)
            with Volley(net, TOPOLOGY, probe, ()) as volley:
                volley.send()
                assert server.recvfrom(100)[0] == b"\x00\x06\xff\xff\x00"


def test_loopback(net: Network) -> None:
    """A probe to 127.255.255.255 reaches a wildcard-bound socket of the same host."""
    probe = replace(PROBE, to=IPv4Address("127.255.255.255"))
    with answerer(net, "client") as server, Volley(net, TOPOLOGY, probe, NAMES) as volley:
        volley.send()
        names, source = answer(server, 45001)
        assert volley.collect(lambda: bool(volley.shots()[0].replies))

    assert (names, source[0]) == (NAMES, "127.0.0.1")


def test_not_over_in_time(net: Network) -> None:
    """A collection that is never over ends at its deadline and says so."""
    with Volley(net, TOPOLOGY, PROBE, NAMES) as volley:
        volley.send()

        assert not volley.collect(lambda: False, timeout=0.01)


def test_way_to_nobody(net: Network) -> None:
    """An address of the segment that nobody has cannot be addressed: the reason names it."""
    with pytest.raises(OSError, match=r"nobody on eth0 has 10\.1\.0\.99"):
        find_way(net, TOPOLOGY, "client", IPv4Address("10.1.0.99"))


def test_way_over_a_cable(net: Network) -> None:
    """The far end of a cable is found by the host that has it."""
    way = find_way(net, TOPOLOGY, "box", IPv4Address("10.3.0.1"))

    assert ("eth0", IPv4Address("10.3.0.2")) == (way.interface, way.source)
    assert int(way.to_mac[:2], 16) % 2 == 0
