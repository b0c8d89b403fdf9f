"""Conversions between native types, as EPICS Base does them."""

import numpy as np
import pytest

from canet.server.protocol.convert import (
    ConversionError,
    convert_array,
    decode_text,
    from_wire,
    state_index,
    text_number,
    to_float32,
    to_wire,
    wrap,
)
from canet.server.protocol.dbr import CHAR, DOUBLE, ENUM, FLOAT, LONG, SHORT, STRING, Native

STATES = ("off", "on", "7")


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (2.5, DOUBLE, STRING, b"2.500"),
        (1e20, DOUBLE, STRING, b" 1.000e+20"),
        (1, ENUM, STRING, b"on"),
        (-5, LONG, STRING, b"-5"),
        (200, CHAR, STRING, b"200"),
        ("12.5", STRING, DOUBLE, b"\x40\x29\0\0\0\0\0\0"),
        ("12.5", STRING, LONG, b"\0\0\0\x0c"),
        ("on", STRING, ENUM, b"\0\1"),
        (70000.9, DOUBLE, SHORT, b"\x11\x70"),
        (-1.0, DOUBLE, CHAR, b"\xff"),
        (3.9, FLOAT, LONG, b"\0\0\0\3"),
        (7, SHORT, FLOAT, b"\x40\xe0\0\0"),
    ],
)
def test_scalar_to_wire(value: object, source: Native, target: Native, expected: bytes) -> None:
    """A value is sent as any other type."""
    assert to_wire(value, source, target, 1, 3, STATES).rstrip(b"\0") == expected.rstrip(b"\0")


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        ("1.5e3", DOUBLE, 1500.0),
        ("0x10", LONG, 16),
        ("  42 mm", LONG, 42),
        ("", DOUBLE, 0.0),
        ("on", ENUM, 1),
        ("7", ENUM, 2),
        ("0", ENUM, 0),
        ("65535", SHORT, -1),
        ("1e300", FLOAT, 3.4028234663852886e38),
    ],
)
def test_text_to_number(text: str, target: Native, expected: object) -> None:
    """Text is read as far as it is a number; states come before numbers."""
    assert text_number(text, target, STATES) == expected


@pytest.mark.parametrize(
    ("text", "target"), [("abc", DOUBLE), ("abc", LONG), ("maybe", ENUM), ("3", ENUM), ("70000", SHORT)]
)
def test_text_that_is_no_number_is_refused(text: str, target: Native) -> None:
    """The client gets an error, not a zero."""
    with pytest.raises(ConversionError):
        text_number(text, target, STATES)


def test_arrays_convert_as_scalars_do() -> None:
    """Each element follows the same rule as a scalar."""
    values = [0.0, 1.9, -1.9, 70000.0, -70000.0, 1e30, float("nan"), float("inf")]
    array = np.array(values)
    for target in (SHORT, ENUM, CHAR, LONG):
        assert convert_array(array, target).tolist() == [wrap(target, each) for each in values]
    floats = [1.5, 1e300, -1e300, 1e-300, -1e-300, 0.0, float("inf")]
    assert convert_array(np.array(floats), FLOAT).tolist() == [to_float32(each) for each in floats]


@pytest.mark.parametrize("source", [SHORT, FLOAT, ENUM, CHAR, LONG, DOUBLE])
@pytest.mark.parametrize("target", list(Native))
def test_from_wire_inverts_to_wire(source: Native, target: Native) -> None:
    """Small numbers survive every pair of types."""
    raw = to_wire(np.array([1, 2, 3]).astype("f8"), DOUBLE, source, 3)

    got = from_wire(raw, source, target, 3)

    assert [float(each) for each in got] == [1.0, 2.0, 3.0]


def test_short_payload_is_refused() -> None:
    """A payload must hold what its count says; the last string may end early."""
    with pytest.raises(ConversionError, match="need 16 bytes"):
        from_wire(bytes(8), DOUBLE, DOUBLE, 2)
    with pytest.raises(ConversionError, match="2 strings"):
        from_wire(bytes(40), STRING, STRING, 2)
    assert from_wire(b"a".ljust(40, b"\0") + b"b\0", STRING, STRING, 2) == ["a", "b"]


def test_text_survives_bytes_that_are_not_utf8() -> None:
    """Whatever a client wrote is given back."""
    assert to_wire(decode_text(b"\xb5m\0rest"), STRING, STRING, 1).rstrip(b"\0") == b"\xb5m"


def test_state_by_number_must_exist() -> None:
    """Without states any number is one."""
    assert state_index("4", ()) == 4
    with pytest.raises(ConversionError, match="'off', 'on', '7'"):
        state_index("4", STATES)
