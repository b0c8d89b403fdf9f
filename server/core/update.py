"""One change of a PV on its way to subscribers: what filters see, and what is encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VALUE = 1
LOG = 2
ALARM = 4
PROPERTY = 8
"""Event masks (``DBE_VALUE`` … ``DBE_PROPERTY``, ``caeventmask.h``)."""

Value = Any
"""A scalar (``float``, ``int``, ``str``), or an array: ``numpy.ndarray``, or a tuple of ``str``."""


@dataclass(frozen=True, slots=True)
class Update:
    """A value with its alarm and time, and why it is sent."""

    value: Value
    status: int
    severity: int
    stamp: int
    """Nanoseconds since 1970 (UTC)."""
    mask: int
    """Which of VALUE, LOG, ALARM and PROPERTY happened."""
