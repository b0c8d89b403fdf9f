"""What may be said of a PV besides its first value, and the metadata that comes of it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TypedDict

from canet.server.core.macros import expand
from canet.server.ioc.kinds import Kind
from canet.server.protocol.alarm import Severity
from canet.server.protocol.metadata import PLAIN, Metadata

Limits = tuple[float | None, float | None]
"""Low and high; ``None``: no limit on this side."""


class Options(TypedDict, total=False):
    """Keywords of :func:`canet.server.ioc.pv`."""

    name: str
    """Behind the group's prefix; by default the attribute's name."""
    description: str
    units: str
    precision: int
    """Digits behind the point, where clients show the value as text; by default 3."""
    limits: Limits
    """What displays show."""
    control: Limits
    """What clients may write; by default the same as ``limits``. Not enforced: a putter may."""
    warning: Limits
    """At and beyond them the alarm is MINOR (LOW, HIGH)."""
    alarm: Limits
    """At and beyond them it is MAJOR (LOLO, HIHI)."""
    hysteresis: float
    """How far a value must come back from a limit before the alarm ends."""
    deadband: float
    """Changes of no more than this are no value events; by default every post is one."""
    archive_deadband: float
    """The same for log events."""
    states: Sequence[str]
    """Names of the states of a PV that is one of them."""
    severities: Mapping[str, Severity]
    """State name → alarm severity, for states that are alarms."""
    type: str
    """double, float, long, short, char, enum or string, to overrule what the first value suggests."""
    max_count: int
    """Elements that an array may have; by default as many as it has first."""
    max_length: int
    """Bytes of text, the terminating zero included; more than 40 are read as ``NAME$``. By default 40."""
    read_only: bool
    """Clients may not write."""
    group: str
    """Access security group; by default DEFAULT."""
    record_type: str
    """What ``NAME.RTYP`` says; by default what fits the type."""


def check(options: Options) -> None:
    """Refuse keywords that do not exist.

    Raises:
        TypeError: Naming the keyword, and the nearest that exists.
    """
    for key in options:
        if key not in Options.__annotations__:
            near = difflib.get_close_matches(key, Options.__annotations__, 1)
            raise TypeError(f"pv() has no keyword {key!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))


def metadata_of(options: Options, kind: Kind, macros: Mapping[str, str]) -> Metadata:
    """Return what clients are told of the value.

    Raises:
        ValueError: A severity is given for a state that does not exist.
    """
    severities = options.get("severities", {})
    for state in severities:
        if state not in kind.states:
            raise ValueError(f"severity of {state!r}, which is no state ({', '.join(kind.states) or 'there is none'})")
    low, high = options.get("limits", (None, None))
    low_control, high_control = options.get("control", (None, None))
    warning, alarm = options.get("warning", (None, None)), options.get("alarm", (None, None))
    found = Metadata(
        units=expand(options.get("units", ""), macros),
        precision=options.get("precision", 3),
        low_display=low or 0.0,
        high_display=high or 0.0,
        low_control=(low or 0.0) if low_control is None else low_control,
        high_control=(high or 0.0) if high_control is None else high_control,
        lolo=alarm[0],
        low=warning[0],
        high=warning[1],
        hihi=alarm[1],
        hysteresis=options.get("hysteresis", 0.0),
        states=kind.states,
        state_severities=tuple(severities.get(s, Severity.NO_ALARM) for s in kind.states) if severities else (),
        monitor_deadband=options.get("deadband", -1.0),
        archive_deadband=options.get("archive_deadband", -1.0),
    )
    # The object is shared where nothing is said: 100,000 plain PVs need one.
    return _SHARED.setdefault(found, found)


_SHARED: dict[Metadata, Metadata] = {PLAIN: PLAIN}
