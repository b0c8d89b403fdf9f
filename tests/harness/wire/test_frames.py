"""The headers of frames, read with struct."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given, settings
from hypothesis import strategies as st

from canet.harness import packets
from canet.harness.observation import Frame
from canet.harness.wire import frames


def udp(payload: bytes, port: int = 40000, to: str = "10.1.0.255") -> bytes:
    return packets.udp_frame(
        payload,
        mac="02:00:00:00:00:01",
        to_mac="ff:ff:ff:ff:ff:ff",
        source=IPv4Address("10.1.0.1"),
        source_port=port,
        to=IPv4Address(to),
        port=5064,
    )


def test_udp() -> None:
    """Addresses, ports and payload of a UDP frame; padding of short frames is not payload."""
    headers = frames.read(udp(b"abc") + bytes(15))

    assert headers is not None
    assert (headers.proto, headers.origin, headers.target) == ("udp", "10.1.0.1:40000", "10.1.0.255:5064")
    assert headers.payload == b"abc"


def test_tcp_icmp_and_arp() -> None:
    """The other protocols, as scapy builds them."""
    from scapy.layers.inet import ICMP, IP, TCP
    from scapy.layers.l2 import ARP, Ether

    ethernet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    ip = IP(src="10.1.0.1", dst="10.1.0.2")
    tcp = frames.read(bytes(ethernet / ip / TCP(sport=1, dport=2, flags="SA", seq=9, options=[("MSS", 1460)]) / b"xy"))
    icmp = frames.read(bytes(ethernet / ip / ICMP(type=3, code=3) / b"quoted"))
    arp = frames.read(bytes(ethernet / ARP(op=1, psrc="10.1.0.1", pdst="10.1.0.2", hwsrc="02:00:00:00:00:01")))

    assert tcp is not None
    assert (tcp.proto, tcp.flags, tcp.sequence, tcp.payload) == ("tcp", frames.SYN | frames.ACK, 9, b"xy")
    assert icmp is not None
    assert (icmp.proto, icmp.port, icmp.to_port, icmp.payload) == ("icmp", 3, 3, b"quoted")
    assert arp is not None
    assert (arp.proto, arp.source, arp.to, arp.port) == ("arp", "10.1.0.1", "10.1.0.2", 1)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=80), st.sampled_from([b"", b"\x08\x00", b"\x08\x06"]))
def test_any_bytes(data: bytes, kind: bytes) -> None:
    """Whatever was on the wire, reading never raises."""
    frames.read(data[:12] + kind + data[12:])
    list(frames.messages(data))
    frames.searched_names(data)


def test_searches_of_a_host() -> None:
    """Only what the host itself sent counts, with names and destination; replies are no searches."""
    search, reply = packets.search_payload(("a", "b")), bytes(packets.CASearchReply(cid=1))
    recorded = [
        Frame(time=0.0, host=host, interface="eth0", direction=direction, data=udp(payload))  # type: ignore[arg-type]
        for host, direction, payload in (
            ("client", "out", search),
            ("ioc", "in", search),
            ("client", "out", reply),
            ("client", "out", b"junk"),
        )
    ]

    assert frames.searches(recorded, "client") == (("10.1.0.1:40000", "10.1.0.255:5064", ("a", "b")),)
    assert frames.searches(recorded, "ioc") == ()
