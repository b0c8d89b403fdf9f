"""Series of PV names in short: ``bulk:{000..199}`` are two hundred names, written as shells do."""

from __future__ import annotations

import re

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
MOST = 100_000
"""Names that one series may stand for."""


def series(name: str) -> tuple[str, ...]:
    """Return the names that a name stands for: itself, or those of all its ranges, the last one counting fastest.

    Raises:
        ValueError: a range counts down, or the series has more than :data:`MOST` names.

    >>> series("a{08..10}b")
    ('a08b', 'a09b', 'a10b')
    >>> series("plain")
    ('plain',)
    """
    match = _RANGE.search(name)
    if match is None:
        return (name,)
    first, last = int(match[1]), int(match[2])
    if last < first:
        raise ValueError(f"the range {match[0]} counts down")
    width = len(match[1])
    tails = series(name[match.end() :])
    if (last - first + 1) * len(tails) > MOST:
        raise ValueError(f"more than {MOST} names")
    return tuple(
        f"{name[: match.start()]}{number:0{width}}{tail}" for number in range(first, last + 1) for tail in tails
    )
