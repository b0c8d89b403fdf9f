"""Netlink messages as bytes."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from canet.netns import netlink


@given(st.dictionaries(st.integers(1, 100), st.binary(max_size=60), max_size=8))
def test_attributes_come_back(attributes: dict[int, bytes]) -> None:
    """What is encoded is decoded, whatever its length."""
    raw = netlink.encode_attributes(list(attributes.items()))

    assert len(raw) % 4 == 0
    assert netlink.decode_attributes(raw) == attributes


@given(st.binary(max_size=80))
def test_any_bytes_can_be_decoded(data: bytes) -> None:
    """Cut or broken input ends the reading, and raises nothing."""
    netlink.decode_attributes(data)
    list(netlink.decode(data))


def test_values_are_encoded_by_their_type() -> None:
    """Text has its zero, an int is a native word, a sequence is a nest."""
    raw = netlink.encode_attributes([(1, "ab"), (2, 7), (3, [(4, b"\x01")])])

    assert raw == struct.pack("=HH4sHHIHHHHB3x", 7, 1, b"ab\0\0", 8, 2, 7, 12 - 3 + 3, 3, 5, 4, 1)


def test_a_message_has_its_length_and_number() -> None:
    """The header carries length, type, flags and sequence number."""
    raw = netlink.encode(netlink.Message(16, b"body"), 9)
    [(kind, sequence, payload)] = netlink.decode(raw)

    assert (kind, sequence, payload) == (16, 9, b"body")
    assert struct.unpack_from("=IHH", raw) == (20, 16, netlink.NLM_F_REQUEST | netlink.NLM_F_ACK)


def test_a_refusal_says_what_for_and_why() -> None:
    """The purpose in words and the kernel's error stand in one line."""
    refusal = netlink.Refusal(netlink.Message(16, b"", purpose="make bridge br2"), 17)

    assert str(refusal) == "make bridge br2: File exists (EEXIST)"
