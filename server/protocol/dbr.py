"""DBR types 0–38: which of the seven native types they carry, in which layout, and their names.

Type numbers are ``native + 7 * layout`` for the five layouts PLAIN, STS, TIME, GR and CTRL (``db_access.h``); the
four types after 34 stand alone.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Native(IntEnum):
    """The seven types that a value can have (``DBR_STRING`` … ``DBR_DOUBLE``)."""

    STRING = 0
    SHORT = 1
    FLOAT = 2
    ENUM = 3
    CHAR = 4
    LONG = 5
    DOUBLE = 6


class Layout(IntEnum):
    """What stands before the value: nothing, alarm, alarm and time, or limits of two extents."""

    PLAIN = 0
    STS = 1
    TIME = 2
    GR = 3
    CTRL = 4


STRING, SHORT, FLOAT, ENUM, CHAR, LONG, DOUBLE = Native
PUT_ACKT = 35
PUT_ACKS = 36
STSACK_STRING = 37
CLASS_NAME = 38
LAST_TYPE = 38

MAX_STRING = 40
"""Bytes of a string value, its terminating zero included (``MAX_STRING_SIZE``)."""
MAX_UNITS = 8
MAX_STATES = 16
MAX_STATE = 26
"""Bytes of an enum state's name (``MAX_ENUM_STRING_SIZE``)."""

ITEM_SIZE = (MAX_STRING, 2, 4, 2, 1, 4, 8)
"""Bytes of one element on the wire, by native type."""

WIRE: tuple[np.dtype[np.generic], ...] = tuple(
    np.dtype(code) for code in ("S40", ">i2", ">f4", ">u2", "u1", ">i4", ">f8")
)
"""Big-endian numpy types, by native type."""

HOST: tuple[np.dtype[np.generic], ...] = tuple(np.dtype(code) for code in ("S40", "i2", "f4", "u2", "u1", "i4", "f8"))
"""The same in the machine's byte order: what array values are held in."""

NAMES = (
    *(f"DBR_{layout}{native.name}" for layout in ("", "STS_", "TIME_", "GR_", "CTRL_") for native in Native),
    "DBR_PUT_ACKT",
    "DBR_PUT_ACKS",
    "DBR_STSACK_STRING",
    "DBR_CLASS_NAME",
)
"""Names by type number."""


def native_of(dbr_type: int) -> Native:
    """Return the native type that a DBR type carries; PUT_ACKT and PUT_ACKS carry an unsigned short.

    >>> native_of(20)
    <Native.DOUBLE: 6>
    """
    if dbr_type < PUT_ACKT:
        return Native(dbr_type % 7)
    return ENUM if dbr_type < STSACK_STRING else STRING


def layout_of(dbr_type: int) -> Layout:
    """Return the layout of a DBR type below 35.

    >>> layout_of(20)
    <Layout.TIME: 2>
    """
    return Layout(dbr_type // 7)
