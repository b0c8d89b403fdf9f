"""Numbers to text and back, as EPICS Base writes and reads them (``cvtFast.c``, ``epicsStdlib.c``)."""

from __future__ import annotations

import math
import re

_INTEGER = re.compile(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_FLOAT = re.compile(
    r"\s*[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN])"
)


def of_float(value: float, precision: int) -> str:
    """Write a float with ``precision`` places, as ``cvtDoubleToString`` does.

    Beyond ten million, at most three places are written; with more than eight places or beyond 1e16, the form is
    exponential and padded on the left to ``precision + 7``.

    >>> of_float(2.5, 3), of_float(123456789.0, 6), of_float(1.5, 9)
    ('2.500', '123456789.000', ' 1.500000000e+00')
    """
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "-inf" if value < 0 else "inf"
    if precision > 8 or abs(value) > 1e16:
        places = min(precision, 17)
        return f"{value:{places + 7}.{places}e}"
    if abs(value) > 1e7:
        return f"{value:.{min(precision, 3)}f}"
    return f"{value:.{max(precision, 0)}f}"


def to_integer(text: str) -> int:
    """Read the integer that ``text`` begins with: decimal, ``0x`` hexadecimal or ``0`` octal; empty is 0.

    Raises:
        ValueError: if it begins with none.

    >>> to_integer("12 mm"), to_integer("0x1F"), to_integer("")
    (12, 31, 0)
    """
    if not text:
        return 0
    match = _INTEGER.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not an integer")
    sign, digits = match.groups()
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" and len(digits) > 1 else 10
    return int(sign + digits, base)


def to_float(text: str) -> float:
    """Read the float that ``text`` begins with; empty is 0.

    Raises:
        ValueError: if it begins with none.

    >>> to_float("1e3 counts"), to_float(".5"), to_float("")
    (1000.0, 0.5, 0.0)
    """
    if not text:
        return 0.0
    match = _FLOAT.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a number")
    word = match.group().strip()
    return float(int(word, 16)) if "x" in word.lower() else float(word)
