"""The scapy fields that Channel Access needs besides scapy's own, and how a message is laid out from them.

Source: Channel Access Protocol Specification 1.4, "Message Structure": a header of 16 bytes, or of 24 when size or
count do not fit, and a payload padded to a multiple of eight.
"""

# mypy: disable-error-code="misc,no-untyped-call"
# scapy's classes carry no types that mypy could follow.

from __future__ import annotations

import struct
from typing import Any

from scapy.fields import ConditionalField, IntEnumField, IntField, ShortEnumField, ShortField, StrLenField

from canet.harness.packets.names import COMMANDS, ECA, ECA_NORMAL, EXTENDED
from canet.harness.packets.values import DBR_NAMES


class PaddedStrField(StrLenField):
    """A C string that fills the rest of the payload: NUL-terminated, padded with NULs to a multiple of eight."""

    def i2m(self, pkt: Any, x: Any) -> bytes:
        """Add the terminator and the padding."""
        text: bytes = super().i2m(pkt, x)
        return text + bytes(8 - len(text) % 8)

    def m2i(self, pkt: Any, x: bytes) -> bytes:  # noqa: ARG002  # scapy's signature
        """Cut at the terminator, as C does."""
        return x.split(b"\0", 1)[0]


class PaddedDataField(StrLenField):
    """Values in network order, padded with NULs to a multiple of eight; the padding is kept when read."""

    def i2m(self, pkt: Any, x: Any) -> bytes:
        """Add the padding."""
        data: bytes = super().i2m(pkt, x)
        return data + bytes(-len(data) % 8)


class CountField(ShortField):
    """An element count; more than 65,534 goes into the extended header and stands as 0 here."""

    def addfield(self, pkt: Any, s: bytes, val: Any) -> bytes:  # noqa: ARG002  # scapy's signature
        """Write 0 for a count that does not fit."""
        return s + struct.pack("!H", val if val is not None and val < EXTENDED else 0)


def rest_of(pkt: Any) -> int:
    """Return the payload's length that the header announces."""
    return int(pkt.rest)


def message(command: int, data_type: Any, count: Any, p1: Any, p2: Any, *payload: Any) -> list[Any]:
    """Lay out a message: the header's four free places named as this command means them, then its payload."""
    return [
        ShortEnumField("cmd", command, COMMANDS),
        ShortField("size", None),
        data_type,
        count,
        p1,
        p2,
        ConditionalField(IntField("long_size", None), lambda pkt: pkt.size == EXTENDED),
        ConditionalField(IntField("long_count", None), lambda pkt: pkt.size == EXTENDED),
        *payload,
    ]


def zero16(name: str) -> Any:
    """Make a 16-bit field that is 0 where nothing else is said."""
    return ShortField(name, 0)


def zero32(name: str) -> Any:
    """Make a 32-bit field that is 0 where nothing else is said."""
    return IntField(name, 0)


def dbr_field() -> Any:
    """Make the field of the DBR type."""
    return ShortEnumField("data_type", 6, DBR_NAMES)


def count_field() -> Any:
    """Make the field of the element count."""
    return CountField("count", 1)


def status_field() -> Any:
    """Make the field of the ECA status."""
    return IntEnumField("status", ECA_NORMAL, ECA)


def data_field() -> Any:
    """Make the payload of values."""
    return PaddedDataField("data", b"", length_from=rest_of)


def text_field(field: str = "pv") -> Any:
    """Make the payload that is a string."""
    return PaddedStrField(field, b"", length_from=rest_of)
