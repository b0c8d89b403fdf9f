"""What libca makes of a train of beacons: which it leaves out, which it takes for an anomaly, when it sends an echo.

A pure model of ``bhe::updatePeriod`` and of the receive watchdog in EPICS Base. As long as regular beacons of its
server come, a silent circuit need not be asked; an irregular one makes them count for nothing until the server has
spoken, and EPICS_CA_CONN_TMO after the last sign of life the client sends an echo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from canet.scenarios.model import Step

SOURCE = "EPICS Base modules/ca/src/client/bhe.cpp updatePeriod, tcpRecvWatchdog.cpp"
LATE = 1.25
"""Times the average period after which a beacon is late: the circuits of that server are looked after."""
PAUSE = 3.25
"""Times the average period that count as a server that is back: also searches start anew."""
EARLY = 0.8
"""Times the average period before which a beacon is early: a server that has just started."""
OLDER = 256
"""How far behind the last number a beacon is taken for a copy on a slower way."""
NEW_WEIGHT = 0.125
"""The share of the newest period in the average."""
MOST = 1 << 32
PERIOD = 0.1
"""Seconds between two beacons where a step does not say."""


@dataclass(frozen=True, slots=True)
class Beacon:
    """One beacon as it arrives: seconds since the circuit was last heard, and its number."""

    at: float
    number: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A beacon, and what libca takes it for."""

    beacon: Beacon
    verdict: str
    """``first``, ``copy``, ``jump``, ``late``, ``pause``, ``early`` or ``good``."""

    @property
    def anomaly(self) -> bool:
        """It makes libca look after the circuit."""
        return self.verdict in ("first", "late", "pause", "early")


def arrivals(step: Step) -> list[Beacon]:
    """Return the beacons that a step ``announce`` sends, in seconds from the first one."""
    args: dict[str, Any] = dict(step.args)
    numbers = [int(each) for each in args.get("numbers") or range(int(args.get("count", 1)))]
    gaps = [*map(float, args.get("gaps") or ()), *[float(args.get("period", PERIOD))] * len(numbers)]
    at, found = -gaps[0], []
    for number, gap in zip(numbers, gaps, strict=False):
        at += gap
        found.append(Beacon(at, number))
    return found


def judge(train: Sequence[Beacon]) -> tuple[Judged, ...]:
    """Say of each beacon of one server what libca takes it for.

    Args:
        train: Beacons in the order of their arrival.
    """
    found: list[Judged] = []
    last = average = -1.0
    number = 0
    for each in train:
        if last < 0.0:
            found.append(Judged(each, "first"))
            last, number = each.at, each.number
            continue
        advance = (each.number - number) % MOST
        number = each.number
        if advance == 0 or advance > MOST - OLDER:
            found.append(Judged(each, "copy"))
            continue
        if 1 < advance < 4:
            found.append(Judged(each, "jump"))
            continue
        period, last = each.at - last, each.at
        if average < 0.0:
            found.append(Judged(each, "first"))
            average = period
            continue
        found.append(Judged(each, _verdict(period, average)))
        average = period * NEW_WEIGHT + average * (1.0 - NEW_WEIGHT)
    return tuple(found)


def _verdict(period: float, average: float) -> str:
    if period >= average * PAUSE:
        return "pause"
    if period >= average * LATE:
        return "late"
    return "early" if period <= average * EARLY else "good"


def echoes(judged: Sequence[Judged], timeout: float, until: float) -> tuple[float, ...]:
    """Return when a client with a silent circuit sends echoes, each of which is answered at once.

    Args:
        judged: The beacons of its server.
        timeout: EPICS_CA_CONN_TMO in seconds.
        until: Where to end, in seconds.
    """
    found: list[float] = []
    due, anomaly = timeout, False
    for each in judged:
        while due < min(each.beacon.at, until):
            found.append(due)
            due, anomaly = due + timeout, False
        if each.anomaly:
            anomaly = True
        elif each.verdict == "good" and not anomaly:
            due = each.beacon.at + timeout
    while due < until:
        found.append(due)
        due += timeout
    return tuple(found)
