"""Payloads of every DBR type."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.server.protocol.convert import ConversionError
from canet.server.protocol.dbr import (
    CLASS_NAME,
    HOST,
    NAMES,
    PUT_ACKT,
    STRING,
    STSACK_STRING,
    Layout,
    Native,
    layout_of,
    native_of,
)
from canet.server.protocol.layout import EPOCH, head_size
from canet.server.protocol.metadata import Metadata
from canet.server.protocol.payload import decode, encode, encode_number, payload_size

# Offsets and sizes of db_access.h (dbr_value_offset), by type number.
OFFSETS = (
    *(0, 0, 0, 0, 0, 0, 0),
    *(4, 4, 4, 4, 5, 4, 8),
    *(12, 14, 12, 14, 15, 12, 16),
    *(4, 24, 40, 422, 19, 36, 64),
    *(4, 28, 48, 422, 21, 44, 80),
)

META = Metadata(
    units="mm",
    precision=3,
    low_display=-1,
    high_display=9,
    low_control=-2,
    high_control=8,
    lolo=-9,
    low=-5,
    high=5,
    hihi=7,
)


def scalars(native: Native) -> st.SearchStrategy[object]:
    """Values that a type holds exactly."""
    if native == STRING:
        return st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=9)
    kind = HOST[native]
    if kind.kind == "f":
        return st.floats(width=64 if kind.itemsize == 8 else 32, allow_nan=False)
    limits = np.iinfo(kind.char)
    return st.integers(int(limits.min), int(limits.max))


@pytest.mark.parametrize("dbr_type", range(35), ids=NAMES[:35])
def test_value_offset(dbr_type: int) -> None:
    """The value stands where EPICS Base puts it."""
    assert OFFSETS[dbr_type] == head_size(dbr_type)


@settings(deadline=None, max_examples=15)
@pytest.mark.parametrize("dbr_type", range(35), ids=NAMES[:35])
@given(data=st.data())
def test_round_trip(dbr_type: int, data: st.DataObject) -> None:
    """What is encoded is decoded, value and all that stands before it."""
    native = native_of(dbr_type)
    values = data.draw(st.lists(scalars(native), min_size=0, max_size=5))
    held = tuple(values) if native == STRING else np.array(values, HOST[native])
    stamp = (EPOCH + 5) * 10**9 + 7

    raw = encode(dbr_type, len(values), held, native, status=3, severity=2, stamp=stamp, metadata=META)
    reading = decode(dbr_type, len(values), raw)

    assert len(raw) % 8 == 0
    got = [reading.value] if len(values) == 1 else list(reading.value)
    assert values == got
    if dbr_type >= 7:
        assert (reading.status, reading.severity) == (3, 2)
    if 14 <= dbr_type < 21:
        assert reading.stamp == stamp
    if dbr_type >= 21 and native not in (STRING, Native.ENUM):
        assert reading.metadata is not None
        assert reading.metadata.units == "mm"
        assert reading.metadata.hihi == 7
        if native != Native.CHAR:
            assert reading.metadata.low == -5
        if layout_of(dbr_type) == Layout.CTRL:
            assert reading.metadata.high_control == 8


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 50), st.integers(0, 9), st.binary(max_size=120))
def test_any_payload_is_decoded_or_refused(dbr_type: int, count: int, payload: bytes) -> None:
    """Nothing but a conversion error leaves the decoder."""
    try:
        reading = decode(dbr_type, count, payload)
    except ConversionError:
        return
    assert reading.dbr_type == dbr_type


@pytest.mark.parametrize("dbr_type", range(35), ids=NAMES[:35])
def test_one_number_at_once(dbr_type: int) -> None:
    """What is packed at once is what the general way gives."""
    native = native_of(dbr_type)
    quick = encode_number(dbr_type, 7, 3, 2, 10**18 + 5)

    assert (quick is not None) == (native != STRING and dbr_type // 7 in (0, 2))
    if quick is not None:
        value = float(7) if HOST[native].kind == "f" else 7
        assert quick == encode(dbr_type, 1, value, native, status=3, severity=2, stamp=10**18 + 5)


def test_missing_alarm_limits_are_nan_and_zero() -> None:
    """A limit that is not set is NaN; integers have none and say 0."""
    double = decode(34, 1, encode(34, 1, 1.0, Native.DOUBLE)).metadata
    long = decode(33, 1, encode(33, 1, 1, Native.LONG)).metadata

    assert double is not None
    assert long is not None
    assert math.isnan(double.hihi or 0.0)
    assert long.hihi == 0


def test_states_of_an_enum() -> None:
    """State names come with GR and CTRL."""
    raw = encode(31, 1, 1, Native.ENUM, metadata=Metadata(states=("off", "on")))

    reading = decode(31, 1, raw)

    assert len(raw) == 424
    assert reading.value == 1
    assert reading.metadata is not None
    assert reading.metadata.states == ("off", "on")


def test_acknowledgement() -> None:
    """STSACK_STRING carries ACKT and ACKS before the text."""
    reading = decode(STSACK_STRING, 1, encode(STSACK_STRING, 1, 2.5, Native.DOUBLE, severity=1, acknowledge=(False, 2)))

    assert (reading.severity, reading.acknowledge_transient, reading.unacknowledged) == (1, False, 2)
    assert reading.value == "2"


def test_class_name() -> None:
    """CLASS_NAME is a string of forty bytes."""
    assert decode(CLASS_NAME, 1, encode(CLASS_NAME, 1, 2.5, Native.DOUBLE, class_name="ai")).value == "ai"


def test_single_string_is_not_padded_to_forty() -> None:
    """A plain single string is as long as it is; with a status it has its full size."""
    assert len(encode(0, 1, "abc", STRING)) == 8
    assert len(encode(7, 1, "abc", STRING)) == 48


def test_missing_elements_are_zero() -> None:
    """A client that asks for more than is there gets zeros."""
    assert list(decode(6, 4, encode(6, 4, np.array([1.0, 2.0]), Native.DOUBLE)).value) == [1.0, 2.0, 0.0, 0.0]
    assert payload_size(6, 4) == 32


def test_put_types_cannot_be_read() -> None:
    """PUT_ACKT and PUT_ACKS have no value."""
    with pytest.raises(ConversionError):
        encode(PUT_ACKT, 1, 1, Native.LONG)
    with pytest.raises(ConversionError):
        decode(PUT_ACKT, 1, bytes(8))
