"""Frames turned into what was said."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from canet.harness import packets
from canet.harness.observation import Frame
from canet.harness.wire.conversation import Message, conversation, frame_words, headline
from tests.harness import talk

OPENED = "ACCESS_RIGHTS read,write · CREATE_CHAN reply DBR_DOUBLE count=1"


def said() -> list[tuple[str, tuple[str, ...], str, str]]:
    return [(each.source, each.targets, each.kind, each.headline) for each in conversation(talk.frames())]


def test_whole_talk() -> None:
    """Search, reply, circuit and beacon are told in order, with senders, receivers and PV names."""
    assert said() == [
        ("client", ("ioc", "other"), "search", 'SEARCH "canet:witness", "ioc1:value"'),
        ("ioc", ("client",), "reply", 'SEARCH reply tcp port 45001 "canet:witness", "ioc1:value"'),
        ("client", ("ioc",), "connect", "TCP connect to 10.1.0.2:45001"),
        ("ioc", ("client",), "connect", "TCP accept"),
        ("client", ("ioc",), "circuit", "VERSION 4.13"),
        ("client", ("ioc",), "circuit", 'CLIENT_NAME "user" · HOST_NAME "client" · CREATE_CHAN "ioc1:value"'),
        (
            "ioc",
            ("client",),
            "circuit",
            "VERSION 4.13 · ACCESS_RIGHTS read,write · CREATE_CHAN reply DBR_DOUBLE count=1",
        ),
        ("client", ("ioc",), "circuit", "READ_NOTIFY DBR_DOUBLE count=1"),
        ("ioc", ("client",), "circuit", "READ_NOTIFY reply DBR_DOUBLE count=1 value=1.5"),
        ("client", ("ioc",), "close", "TCP close"),
        ("ioc", ("client", "other"), "beacon", "BEACON tcp port 45001"),
    ]


def test_lost_frame_reaches_nobody() -> None:
    """A frame that was not delivered has no targets; the same bytes sent again are a message of their own."""
    data = talk.udp("client", 1, "10.1.0.2", 5064, packets.search_payload(("a",)))
    lost, arrived = conversation([*talk.deliver(0, "client", (), data), *talk.deliver(1, "client", ("ioc",), data)])

    assert (lost.targets, arrived.targets) == ((), ("ioc",))


def test_icmp_names_what_was_unreachable() -> None:
    """An ICMP error says which address and port it is about."""
    from scapy.layers.inet import ICMP, IP
    from scapy.layers.l2 import Ether

    refused = talk.udp("client", 1, "10.1.0.2", 5064, b"x")
    data = bytes(
        Ether(src=talk.MACS["ioc"], dst=talk.MACS["client"])
        / IP(src="10.1.0.2", dst="10.1.0.1")
        / ICMP(type=3, code=3)
        / refused[14:]
    )
    (message,) = conversation(talk.deliver(0, "ioc", ("client",), data))

    assert (message.kind, message.headline) == ("icmp", "ICMP port unreachable for 10.1.0.2:5064")


def test_loopback_is_to_oneself() -> None:
    """What is seen on ``lo`` went to the host itself."""
    data = talk.udp("client", 1, "10.1.0.255", 5064, packets.search_payload(("a",)))
    (message,) = conversation([Frame(time=0, host="client", interface="lo", direction="out", data=data)])

    assert message.targets == ("client",)


def test_words_for_each_frame() -> None:
    """Each frame of the capture gets its words where it leaves and where it arrives; a bare ACK gets none."""
    words = list(frame_words(talk.frames()))

    assert len(words) == len(talk.frames())
    assert words[0] == words[1] == words[2]
    assert 'SEARCH "ioc1:value" cid=2 reply=no' in words[0]
    assert () in words


def test_headline_joins_like_ones() -> None:
    """Many names become a few and a number, repeated words a count."""
    many = tuple(f'SEARCH "pv{number}" cid={number} reply=no' for number in range(7))

    assert headline(("VERSION 4.13", *many)) == 'SEARCH "pv0", "pv1", "pv2" and 4 more'
    assert headline(("ECHO", "ECHO")) == "ECHO ×2"
    assert headline(("VERSION 4.13",)) == "VERSION 4.13"


@settings(deadline=None, max_examples=80)
@given(st.lists(st.binary(max_size=60), max_size=4), st.sampled_from([5064, 5065, 1234]))
def test_any_payload(payloads: list[bytes], port: int) -> None:
    """Damaged datagrams and segments never raise."""
    frames: list[Frame] = []
    for number, payload in enumerate(payloads):
        frames += talk.deliver(number, "client", ("ioc",), talk.udp("client", 1, "10.1.0.2", port, payload))
        frames += talk.deliver(number, "client", ("ioc",), talk.tcp("client", 1, "ioc", 5064, "PA", 100, payload))

    assert all(isinstance(each, Message) for each in conversation(frames))
