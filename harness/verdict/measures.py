"""Judge measures that only some scenarios have: a table from a measure's name to its judge.

A step of a scenario (``beacons``, ``fault`` …) or the lab itself writes what it saw into
:attr:`Observation.measures`; an expectation names the measure and what is wanted; the judge says whether it holds.
A new measure is one function and one line in :data:`JUDGES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from canet.harness.observation import Check, Observation

Judge = Callable[[Any, Any, Observation], tuple[bool, str]]
"""(wanted, seen, observation) → whether it holds, and what is wrong."""


def _same(wanted: Any, seen: Any, _observation: Observation) -> tuple[bool, str]:
    """Accept what equals the wanted value; a list is compared as a set."""
    if isinstance(wanted, (list, tuple)) and isinstance(seen, (list, tuple)):
        missing, surplus = [x for x in wanted if x not in seen], [x for x in seen if x not in wanted]
        words = [f"{_text(missing)} missing"] if missing else []
        words += [f"{_text(surplus)} not expected"] if surplus else []
        return not words, "; ".join(words)
    return wanted == seen, ""


def _addresses(wanted: Any, seen: Any, observation: Observation) -> tuple[bool, str]:
    """Compare addresses as sets; where the wanted ones have no port, ports are left out."""
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    seen = list(seen)
    if all(":" not in each for each in wanted):
        seen = list(dict.fromkeys(each.partition(":")[0] for each in seen))
    return _same(wanted, seen, observation)


def _within(wanted: Any, seen: Any, _observation: Observation) -> tuple[bool, str]:
    """Accept a number that is not above the limit; ``None`` means that it never came."""
    if seen is None:
        return False, "it never happened"
    return float(seen) <= float(wanted), ""


def _after(wanted: Any, seen: Any, _observation: Observation) -> tuple[bool, str]:
    """Accept a number that is not below the limit, or what never came."""
    return seen is None or float(seen) >= float(wanted), ""


JUDGES: dict[str, Judge] = {
    "beacons_from": _addresses,
    "beacons_to": _addresses,
    "beacon_ports": _same,
    "beacon_count_at_least": _after,
    "announces": _addresses,
    "sockets": _addresses,
    "listens": _addresses,
    "starts": _same,
    "reconnects_within": _within,
    "reconnects_after": _after,
    "finds_within": _within,
    "within": _within,
    "after": _after,
    "memory_grows_at_most": _within,
    "memory_grows_at_least": _after,
    "descriptors_at_most": _within,
    "descriptors_grow_at_most": _within,
    "descriptors_grow_at_least": _after,
    "longest_reply_at_most": _within,
    "dropped_at_most": _within,
    "dropped_at_least": _after,
    "searches_at_most": _within,
    "searches_at_least": _after,
    "alive": _same,
    "distinct_ports": _same,
    "tcp_ports_differ": _same,
}
"""Measure → judge; a measure without a line here is compared for equality."""


def judge(
    subject: str, measure: str, wanted: object, seen: Mapping[str, object], observation: Observation, because: str = ""
) -> Check:
    """Judge one measure of one step; a measure that nobody took cannot be judged."""
    if measure not in seen:
        return Check(
            subject=subject,
            measure=measure,
            expected=_text(wanted),
            seen="not measured",
            holds=None,
            why=f"nothing measured {measure!r} of {subject!r}; measured were: {', '.join(sorted(seen)) or 'none'}",
        )
    holds, wrong = JUDGES.get(measure, _same)(wanted, seen[measure], observation)
    return Check(
        subject=subject,
        measure=measure,
        expected=_text(wanted),
        seen=_text(seen[measure]),
        holds=holds,
        why=because if holds else wrong or because,
    )


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "never" if value is None else str(value)
