"""Values of one native type to another's bytes and back, by the rules of EPICS Base (``dbConvert.c``).

:func:`to_wire` turns what a PV holds into the bytes of any type; :func:`from_wire` turns bytes that a client sent
into what a PV of another type would hold. All that knows how a number becomes text, or text a state, is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any

import numpy as np

from canet.server.protocol import text as texts
from canet.server.protocol.dbr import (
    CHAR,
    DOUBLE,
    ENUM,
    FLOAT,
    HOST,
    ITEM_SIZE,
    LONG,
    MAX_STRING,
    SHORT,
    STRING,
    WIRE,
    Native,
)

ITEM = (Struct("40s"), Struct(">h"), Struct(">f"), Struct(">H"), Struct("B"), Struct(">i"), Struct(">d"))
"""One element on the wire, by native type."""

_BITS = {SHORT: 16, ENUM: 16, CHAR: 8, LONG: 32}
_SIGNED = (SHORT, LONG)
_FLOAT_MAX = float(np.finfo(np.float32).max)
_FLOAT_MIN = float(np.finfo(np.float32).tiny)


class ConversionError(ValueError):
    """A value has no counterpart in the other type."""


def wrap(native: Native, number: float) -> int:
    """Cut a number to an integer type as C does on x86-64: truncate, then keep the low bits.

    >>> wrap(Native.SHORT, 40000), wrap(Native.CHAR, -1), wrap(Native.LONG, float("nan"))
    (-25536, 255, -2147483648)
    """
    if not -9.2e18 < number < 9.2e18:  # out of reach, infinite or NaN: cvttsd2si gives the smallest integer
        number = -(1 << 31)
    bits = _BITS[native]
    whole = int(number) & ((1 << bits) - 1)
    return whole - (1 << bits) if native in _SIGNED and whole >> (bits - 1) else whole


def to_float32(number: float) -> float:
    """Return the nearest 32-bit float; what is too large or too small stops at the limit (``epicsConvert.c``)."""
    size = abs(number)
    if size == 0.0 or size == float("inf") or number != number:
        return number
    if size >= _FLOAT_MAX:
        return _FLOAT_MAX if number > 0 else -_FLOAT_MAX
    if size <= _FLOAT_MIN:
        return _FLOAT_MIN if number > 0 else -_FLOAT_MIN
    return float(np.float32(number))


def convert_array(source: np.ndarray[Any, Any], native: Native) -> np.ndarray[Any, Any]:
    """Cast a numeric array to a native type by the same rules."""
    target = HOST[native]
    if source.dtype == target:
        return source
    with np.errstate(all="ignore"):
        if source.dtype.kind == "f" and target.kind in "iu":
            finite = np.where(np.isfinite(source) & (np.abs(source) < 9.2e18), source, -(2.0**31))
            return finite.astype(np.int64).astype(target)
        if target == np.float32 and source.dtype == np.float64:
            size = np.abs(source)
            inside = np.where(np.isfinite(source), np.clip(source, -_FLOAT_MAX, _FLOAT_MAX), source)
            tiny = (size > 0) & (size < _FLOAT_MIN)
            return np.where(tiny, np.copysign(_FLOAT_MIN, source), inside).astype(target)
        return source.astype(target)


def state_name(index: int, states: Sequence[str]) -> str:
    """Return the text of an enum value: its state, empty for one of 16 without a name (``mbbiRecord.c``).

    >>> state_name(1, ("off", "on")), state_name(5, ("off", "on")), state_name(99, ("off",)), state_name(3, ())
    ('on', '', 'Illegal Value', '3')
    """
    if index < len(states):
        return states[index]
    if not states:
        return str(index)
    return "" if index < 16 else "Illegal Value"


def state_index(name: str, states: Sequence[str]) -> int:
    """Return the index of a state by its name or, as text, its number (``putStringEnum``).

    Raises:
        ConversionError: if it is neither.
    """
    if name in states:
        return states.index(name)
    try:
        index = texts.to_integer(name) if name else -1
    except ValueError:
        index = -1
    if 0 <= index < (len(states) or 65536):
        return index
    raise ConversionError(f"{name!r} is none of the states {', '.join(map(repr, states))}")


def encode_text(value: str, size: int = MAX_STRING) -> bytes:
    """Return text in UTF-8, cut so that a terminating zero fits into ``size`` bytes, without padding."""
    raw = value.encode("utf-8", "surrogateescape")
    return raw if len(raw) < size else raw[: size - 1]


def decode_text(raw: bytes) -> str:
    """Return the text before the first zero byte; bytes that are not UTF-8 survive the way back."""
    end = raw.find(0)
    return (raw if end < 0 else raw[:end]).decode("utf-8", "surrogateescape")


def number_text(value: Any, source: Native, precision: int, states: Sequence[str]) -> str:
    """Write one element of numeric type ``source`` as text."""
    if source in (DOUBLE, FLOAT):
        return texts.of_float(float(value), precision)
    if source == ENUM:
        return state_name(int(value), states)
    return str(int(value))


def text_number(value: str, target: Native, states: Sequence[str]) -> Any:
    """Read one element of numeric type ``target`` from text.

    Raises:
        ConversionError: if the text does not begin with a number, or is none of the states.
    """
    try:
        if target == DOUBLE:
            return texts.to_float(value)
        if target == FLOAT:
            return to_float32(texts.to_float(value))
        if target == ENUM:
            return state_index(value, states)
        number = texts.to_integer(value)
    except ConversionError:
        raise
    except ValueError as error:
        raise ConversionError(str(error)) from None
    bits = _BITS[target]
    if not -(1 << (bits - 1)) <= number < (1 << bits):
        raise ConversionError(f"{value!r} does not fit into {bits} bits")
    return wrap(target, number)


def to_wire(
    value: Any, source: Native, target: Native, count: int, precision: int = 0, states: Sequence[str] = ()
) -> bytes:
    """Encode a value as ``count`` elements of ``target``, without padding at the end.

    Args:
        value: a scalar, or an array (``ndarray``; strings: a sequence of ``str``).
        source: its native type.
        target: the type on the wire.
        count: elements to write; those that the value lacks are zero.
        precision: places of a float that becomes text.
        states: names of the states of an enum that becomes text.

    Raises:
        ConversionError: text that is no number, where a number is wanted.
    """
    if isinstance(value, np.ndarray):
        items: Any = value[:count] if len(value) > count else value
        if target != STRING:
            return _fill(convert_array(items, target).astype(WIRE[target]).tobytes(), target, count)
        items = items.tolist()
    else:
        items = value[:count] if isinstance(value, tuple | list) else (value,) if count else ()
    if target == STRING:
        if source != STRING:
            items = [number_text(each, source, precision, states) for each in items]
        return b"".join([encode_text(each).ljust(MAX_STRING, b"\0") for each in items]).ljust(count * MAX_STRING, b"\0")
    if source == STRING:
        items = [text_number(each, target, states) for each in items]
    elif source != target:
        items = [_cast(each, target) for each in items]
    pack = ITEM[target].pack
    return _fill(b"".join([pack(each) for each in items]), target, count)


def _cast(value: Any, target: Native) -> Any:
    """Return a numeric scalar as one of another numeric type."""
    if target == DOUBLE:
        return float(value)
    return to_float32(value) if target == FLOAT else wrap(target, value)


def _fill(raw: bytes, target: Native, count: int) -> bytes:
    """Return ``raw`` with zeros for the elements that are missing."""
    return raw.ljust(count * ITEM_SIZE[target], b"\0")


def from_wire(raw: bytes, source: Native, target: Native, count: int, states: Sequence[str] = ()) -> Any:
    """Decode ``count`` elements of type ``source`` into the form of a PV of type ``target``.

    Returns:
        A list of ``str`` where the target is STRING, else an ``ndarray`` in the machine's byte order.

    Raises:
        ConversionError: if the payload is shorter than it says, or a text is no number or state.
    """
    size = ITEM_SIZE[source]
    if source == STRING:
        # The last string may be cut after its zero: clients send no more than they must.
        if len(raw) <= (count - 1) * size:
            raise ConversionError(f"{count} strings do not fit into {len(raw)} bytes")
        words = [decode_text(raw[at : at + size]) for at in range(0, count * size, size)]
        if target == STRING:
            return words
        return np.array([text_number(each, target, states) for each in words], HOST[target])
    if len(raw) < count * size:
        raise ConversionError(f"{count} elements of {source.name} need {count * size} bytes, got {len(raw)}")
    items = np.frombuffer(raw, WIRE[source], count)
    if target == STRING:
        precision = 6 if source in (FLOAT, DOUBLE) else 0
        return [number_text(each, source, precision, ()) for each in items.tolist()]
    return convert_array(items.astype(HOST[source]), target)
