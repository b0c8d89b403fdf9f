"""What is known of a value besides the value: units, limits, precision, states. Frozen, so that PVs share it."""

from __future__ import annotations

from dataclasses import dataclass

from canet.server.protocol.alarm import Severity

Limit = float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Properties of a PV. ``None`` as an alarm limit means that there is none."""

    units: str = ""
    """At most 8 bytes reach a client (``MAX_UNITS_SIZE``)."""
    precision: int = 0
    low_display: float = 0.0
    high_display: float = 0.0
    low_control: float = 0.0
    high_control: float = 0.0
    lolo: Limit = None
    low: Limit = None
    high: Limit = None
    hihi: Limit = None
    lolo_severity: Severity = Severity.MAJOR
    low_severity: Severity = Severity.MINOR
    high_severity: Severity = Severity.MINOR
    hihi_severity: Severity = Severity.MAJOR
    hysteresis: float = 0.0
    """How far a value must come back from a limit before the alarm ends (``HYST``)."""
    states: tuple[str, ...] = ()
    """Names of enum states: at most 16 of at most 26 bytes each reach a client."""
    state_severities: tuple[Severity, ...] = ()
    """Severity of each state, where states are alarms (``ZSV``, ``OSV``, ``ZRSV`` …)."""
    monitor_deadband: float = -1.0
    """``MDEL``: a change of more than this is a value event. Negative: each post is one."""
    archive_deadband: float = -1.0
    """``ADEL``: the same for log events."""

    @property
    def watches_limits(self) -> bool:
        """Whether any alarm limit is set."""
        return not (self.lolo is None and self.low is None and self.high is None and self.hihi is None)


PLAIN = Metadata()
"""Shared by all PVs that have none of their own."""
