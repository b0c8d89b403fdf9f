"""Severity of a value from its alarm limits, with hysteresis, as the ``checkAlarms`` of EPICS records do."""

from __future__ import annotations

import math
from typing import Any

from canet.server.protocol.alarm import Condition
from canet.server.protocol.dbr import ENUM, STRING, Native
from canet.server.protocol.metadata import Metadata


def severity_of(value: Any, native: Native, metadata: Metadata, was: int) -> tuple[int, int]:
    """Return (status, severity) of a value.

    Args:
        value: a scalar; arrays and strings have no limits.
        native: its type.
        metadata: the limits.
        was: the status so far; an alarm ends only when the value is back by the hysteresis.

    >>> severity_of(11.0, Native.DOUBLE, Metadata(hihi=10.0), 0)
    (3, 2)
    """
    if native == ENUM:
        severities = metadata.state_severities
        if isinstance(value, int) and value < len(severities) and severities[value]:
            return int(Condition.STATE), int(severities[value])
        return 0, 0
    if native == STRING or not metadata.watches_limits or not isinstance(value, int | float):
        return 0, 0
    if math.isnan(value):
        return int(Condition.UDF), 3
    back = metadata.hysteresis
    # Each row is checked in the order of aiRecord.c checkAlarms: the worst first.
    for limit, above, condition, severity in (
        (metadata.hihi, True, Condition.HIHI, metadata.hihi_severity),
        (metadata.lolo, False, Condition.LOLO, metadata.lolo_severity),
        (metadata.high, True, Condition.HIGH, metadata.high_severity),
        (metadata.low, False, Condition.LOW, metadata.low_severity),
    ):
        if limit is None or not severity:
            continue
        slack = back if was == condition else 0.0
        if (value >= limit - slack) if above else (value <= limit + slack):
            return int(condition), int(severity)
    return 0, 0
