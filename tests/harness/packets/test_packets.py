"""The scapy layer for Channel Access."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.harness import packets
from canet.harness.packets.message import CAMessage
from canet.harness.wire import frames

PAIRS = [
    [line for line in block.splitlines() if not line.startswith("#")]
    for block in (Path(__file__).parent / "packets.uts").read_text(encoding="utf-8").split("\n\n")
    if block.startswith("=")
]
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)


def messages_of(payload: bytes, to_server: bool | None) -> list[Any]:
    return list(packets.dissect(payload, to_server).messages)


@pytest.mark.parametrize("pair", PAIRS, ids=[pair[0][2:] for pair in PAIRS])
def test_pair(pair: list[str]) -> None:
    """Each expression builds its bytes; its bytes are read as that class, with these words."""
    words, hexadecimal, direction, expression = pair[0][2:], bytes.fromhex(pair[1]), pair[2][0], pair[2][2:]
    built = eval(expression, vars(packets))
    (read,) = messages_of(hexadecimal, direction == ">")

    assert hexadecimal == bytes(built)
    assert (type(built), words) == (type(read), read.words())
    assert hexadecimal == bytes(read)


def test_every_class_is_in_the_table() -> None:
    """No message class lacks its pair of bytes and expression."""
    expressions = "\n".join(pair[2] for pair in PAIRS)
    classes = {*packets.REQUESTS.values(), *packets.REPLIES.values()}

    assert [each.__name__ for each in classes if f"{each.__name__}(" not in expressions] == []


@settings(deadline=None, max_examples=60)
@given(st.lists(NAMES, min_size=1, max_size=12), st.integers(0, 2**31))
def test_search_payload_round_trip(names: list[str], cid: int) -> None:
    """Any names that are searched for are read back in order, with their ids, by scapy and by struct."""
    payload = packets.search_payload(tuple(names), cid)
    version, *searches = messages_of(payload, None)

    assert packets.CAVersion is type(version)
    assert [(name.encode(), cid + place) for place, name in enumerate(names)] == [(s.pv, s.cid) for s in searches]
    assert tuple(names) == frames.searched_names(payload)
    assert len(payload) % 8 == 0


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 38), st.integers(1, 2**32 - 1), st.binary(max_size=64), st.integers(0, 70000))
def test_values_round_trip(data_type: int, ioid: int, data: bytes, count: int) -> None:
    """Data of any type and length is padded to eight and read back; big counts take the extended header."""
    built = bytes(packets.CAReadNotifyReply(data_type=data_type, count=count, ioid=ioid, data=data))
    (read,) = messages_of(built, False)

    assert data == read.data[: len(data)]
    assert (count, data_type, ioid) == (read.elements, read.data_type, read.ioid)
    assert built == bytes(read)
    assert (24 if count >= 0xFFFF else 16) + (len(data) + 7) // 8 * 8 == len(built)


def test_large_payload_takes_the_extended_header() -> None:
    """A payload of 64 KiB and more announces its size behind the header."""
    built = bytes(packets.CAWriteNotify(data_type=6, count=10_000, data=bytes(80_000)))

    assert struct.unpack_from("!H2xH", built, 2) == (0xFFFF, 0)
    assert struct.unpack_from("!II", built, 16) == (80_000, 10_000)
    assert "WRITE_NOTIFY DBR_DOUBLE count=10000" in packets.words(built, True)[0]


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=120), st.sampled_from([True, False, None]))
def test_any_bytes_are_read_and_kept(data: bytes, to_server: bool | None) -> None:
    """Damaged bytes never raise, and none of them is lost."""
    assert isinstance(packets.words(data, to_server), tuple)
    assert data == bytes(packets.dissect(data, to_server)) if data else True


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 30), st.integers(0, 0xFFFF), st.binary(max_size=40), st.sampled_from([True, False, None]))
def test_headers_with_any_size(command: int, size: int, rest: bytes, to_server: bool | None) -> None:
    """A header that announces more or less than there is never raises."""
    data = struct.pack("!HHHHII", command, size, 6, 1, 1, 1) + rest

    assert data == bytes(packets.dissect(data, to_server))
    assert all(packets.words(data, to_server))


def test_direction_is_told_by_the_shape_where_ports_do_not() -> None:
    """Requests and replies of the same command are told apart without ports."""
    request = packets.CASearch(cid=5, pv="x"), packets.CAReadNotify(sid=1, ioid=2), packets.CACreateChan(cid=3, pv="x")
    reply = (
        packets.CASearchReply(port=45001, cid=5),
        packets.CAReadNotifyReply(ioid=2, data=bytes(8)),
        packets.CACreateChanReply(cid=3, sid=4),
    )
    for sent in (*request, *reply):
        (read,) = messages_of(bytes(sent), None)

        assert type(sent) is type(read)


def test_truncated_message_is_named() -> None:
    """A message that is not all there is kept and said to be none."""
    payload = packets.search_payload(("a:name",)) + b"\0\x06\0\x10"

    assert packets.words(payload)[-1] == "4 bytes that are no whole message"


def test_bound_to_the_ports() -> None:
    """Whole frames to and from 5064 and 5065 show their messages in scapy's own summary."""
    from scapy.layers.l2 import Ether

    data = packets.udp_frame(
        packets.search_payload(("ioc1:value",), 7),
        mac="02:00:00:00:00:01",
        to_mac="ff:ff:ff:ff:ff:ff",
        source=IPv4Address("10.1.0.1"),
        source_port=40000,
        to=IPv4Address("10.1.0.255"),
        port=5064,
    )

    assert Ether(data).summary().endswith('CA VERSION 4.13; SEARCH "ioc1:value" cid=7 reply=no')
    assert issubclass(packets.CASearch, CAMessage)


def test_udp_frame_has_right_checksums() -> None:
    """The kernel would accept the frame: both checksums verify to zero."""
    data = packets.udp_frame(
        b"odd",
        mac="02:00:00:00:00:01",
        to_mac="02:00:00:00:00:02",
        source=IPv4Address("10.1.0.1"),
        source_port=1,
        to=IPv4Address("10.1.0.2"),
        port=5064,
    )

    assert frames.checksum(data[14:34]) == 0
    assert frames.checksum(data[26:34] + struct.pack("!HH", 17, 11) + data[34:]) == 0
