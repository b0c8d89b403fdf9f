"""Show the value inside a CA payload as short text: where it lies for each DBR type, and how to print it.

Source: EPICS Base ``db_access.h`` (``dbr_value_offset``): a DBR type is one of seven base types in five forms.
"""

from __future__ import annotations

import struct
from typing import Final

_BASES: Final = ("STRING", "SHORT", "FLOAT", "ENUM", "CHAR", "LONG", "DOUBLE")
_FORMS: Final = ("", "STS_", "TIME_", "GR_", "CTRL_")
_OFFSETS: Final = (
    (0, 0, 0, 0, 0, 0, 0),
    (4, 4, 4, 4, 5, 4, 8),
    (12, 14, 12, 14, 15, 12, 16),
    (4, 24, 40, 422, 19, 36, 64),
    (4, 28, 48, 422, 21, 44, 80),
)
_FORMATS: Final = ("40s", "h", "f", "H", "B", "i", "d")

DBR_NAMES: Final = {
    7 * form + base: f"DBR_{prefix}{name}" for form, prefix in enumerate(_FORMS) for base, name in enumerate(_BASES)
} | {35: "DBR_PUT_ACKT", 36: "DBR_PUT_ACKS", 37: "DBR_STSACK_STRING", 38: "DBR_CLASS_NAME"}

SHOWN: Final = 3
"""How many elements of an array are shown."""


def value_text(data_type: int, count: int, data: bytes) -> str:
    """Return the first elements of a value as text; empty where the type is unknown or the bytes are too few.

    >>> value_text(6, 1, struct.pack("!d", 1.5))
    '1.5'
    >>> value_text(1, 4, struct.pack("!4h", 1, 2, 3, 4))
    '1 2 3 …'
    """
    form, base = divmod(data_type, 7)
    if form >= len(_FORMS) or count < 1:
        return ""
    offset, code = _OFFSETS[form][base], _FORMATS[base]
    if base == 0 and count == 1:  # A single string may be cut short at its terminator.
        text = data[offset : offset + 40].split(b"\0", 1)[0]
        return repr(text.decode("utf-8", "backslashreplace"))
    shown = min(count, SHOWN)
    pattern = "!" + code * shown
    if len(data) < offset + struct.calcsize(pattern):
        return ""
    values = struct.unpack_from(pattern, data, offset)
    texts = [_text(value) for value in values]
    return " ".join(texts) + (" …" if count > shown else "")


def _text(value: float | bytes) -> str:
    if isinstance(value, bytes):
        return repr(value.split(b"\0", 1)[0].decode("utf-8", "backslashreplace"))
    return format(value, ".6g") if isinstance(value, float) else str(value)
