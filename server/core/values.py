"""Bring what an author posts into the form that a PV holds: Python scalars, or frozen arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from canet.server.protocol.convert import convert_array, state_index, to_float32, wrap
from canet.server.protocol.dbr import CHAR, DOUBLE, ENUM, FLOAT, LONG, SHORT, STRING, Native


def guess_native(value: object) -> tuple[Native, int]:
    """Return the native type and element count that fit a Python value best.

    >>> guess_native(1.5), guess_native("on"), guess_native([1, 2, 3])
    ((<Native.DOUBLE: 6>, 1), (<Native.STRING: 0>, 1), (<Native.LONG: 5>, 3))
    """
    if isinstance(value, str):
        return STRING, 1
    if isinstance(value, bytes | bytearray):
        return CHAR, max(1, len(value))
    if isinstance(value, bool | int | np.integer):
        return LONG, 1
    if isinstance(value, float | np.floating):
        return DOUBLE, 1
    if isinstance(value, np.ndarray):
        return _of_dtype(value.dtype), max(1, value.size)
    if isinstance(value, Sequence):
        kinds = {guess_native(each)[0] for each in value}
        if not kinds or kinds == {LONG, DOUBLE}:
            kinds = {DOUBLE}
        if len(kinds) == 1:
            return kinds.pop(), max(1, len(value))
    raise TypeError(
        f"no DBR type for a {type(value).__name__}: give a number, text, bytes, or a sequence of one of them"
    )


def _of_dtype(dtype: np.dtype[Any]) -> Native:
    """Return the smallest native type that holds a numpy type."""
    if dtype.kind in "SU":
        return STRING
    if dtype.kind == "f":
        return FLOAT if dtype.itemsize <= 4 else DOUBLE
    if dtype.kind == "b" or dtype == np.uint8:
        return CHAR
    if dtype.kind in "iu":
        return SHORT if dtype.itemsize < 2 or dtype == np.int16 else LONG if dtype.itemsize <= 4 else DOUBLE
    raise TypeError(f"no DBR type for arrays of {dtype}")


def scalar(native: Native, value: Any, states: Sequence[str] = (), max_length: int = 40) -> Any:
    """Return ``value`` as the Python scalar that a PV of type ``native`` holds.

    Raises:
        ValueError: if it cannot be one.
    """
    if native == DOUBLE:
        return float(value)
    if native == STRING:
        return text(value, max_length)
    if native == FLOAT:
        return to_float32(float(value))
    if native == ENUM and isinstance(value, str):
        return state_index(value, states)
    if isinstance(value, bytes) and len(value) == 1:
        return value[0]
    return wrap(native, value if isinstance(value, int | float) else float(value))


def text(value: object, max_length: int = 40) -> str:
    """Return ``value`` as text of fewer than ``max_length`` bytes."""
    string = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
    if len(string) * 4 < max_length:
        return string
    raw = string.encode("utf-8", "surrogateescape")
    if len(raw) < max_length:
        return string
    return raw[: max_length - 1].decode("utf-8", "surrogateescape")


def array(native: Native, value: Any, max_count: int, states: Sequence[str] = (), max_length: int = 40) -> Any:
    """Return ``value`` as the array that a PV of ``native`` holds: a read-only ``ndarray``, or a tuple of ``str``.

    Raises:
        ValueError: if there are more than ``max_count`` elements, or one that does not fit.
    """
    if native == STRING:
        items: Any = (value,) if isinstance(value, str | bytes) else value
        result: Any = tuple(text(each, max_length) for each in items)
    else:
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogateescape") if native == CHAR else [value]
        if isinstance(value, bytes | bytearray | memoryview) and native == CHAR:
            value = np.frombuffer(value, np.uint8)
        elif native == ENUM and not isinstance(value, np.ndarray):
            value = [scalar(native, each, states) for each in value]
        source = np.asarray(value).reshape(-1)
        result = convert_array(source, native)
        if result is value or not result.flags.owndata:
            result = result.copy()
        result.flags.writeable = False
    if len(result) > max_count:
        raise ValueError(f"{len(result)} elements do not fit into {max_count}")
    return result
