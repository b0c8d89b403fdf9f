"""Beacons: "I am up", sent ever more seldom until the period of ``EPICS_CAS_BEACON_PERIOD`` (``online_notify.c``).

Each destination has a ramp and a counter of its own, so that a network that appears later hears the same as one that
was there from the start, and nobody else hears anything unusual.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from canet.server.core.config import Endpoint
from canet.server.protocol.commands import MINOR_VERSION, Command
from canet.server.protocol.message import HEADER

FIRST_DELAY = 0.02
"""Seconds from the first beacon to the second; doubled for each that follows."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a beacon goes, and the interface that it leaves by."""

    to: Endpoint
    source: str = "0.0.0.0"
    """Address of the interface; it is also the address that the beacon names, where 0.0.0.0 has the receiver take
    the address that the beacon came from."""


@dataclass(slots=True)
class _Ramp:
    """Progress of one destination."""

    due: float
    delay: float = FIRST_DELAY
    number: int = 0


class Beacons:
    """Says which beacons are due.

    Args:
        port: the TCP port that they name.
        period: seconds between beacons in the long run.
    """

    def __init__(self, port: int, period: float) -> None:
        self.port = port
        self.period = period
        self._ramps: dict[Destination, _Ramp] = {}

    def send_to(self, destinations: Iterable[Destination], now: float) -> None:
        """Set the destinations; new ones begin at once, those that are gone end."""
        wanted = dict.fromkeys(destinations)
        self._ramps = {each: self._ramps.get(each) or _Ramp(now) for each in wanted}

    def take(self, now: float) -> list[tuple[bytes, Destination]]:
        """Return the datagrams that are due, and count them as sent."""
        result = []
        for destination, ramp in self._ramps.items():
            if ramp.due <= now:
                result.append((self._datagram(destination, ramp.number), destination))
                ramp.number = ramp.number + 1 & 0xFFFFFFFF
                ramp.due = now + min(ramp.delay, self.period)
                ramp.delay = min(ramp.delay * 2, self.period)
        return result

    def next(self) -> float | None:
        """Return when the next beacon is due, ``None`` for never."""
        return min((ramp.due for ramp in self._ramps.values()), default=None)

    def _datagram(self, destination: Destination, number: int) -> bytes:
        """Return RSRV_IS_UP."""
        address = int.from_bytes(bytes(int(part) for part in destination.source.split(".")))
        return HEADER.pack(Command.RSRV_IS_UP, 0, MINOR_VERSION, self.port, number, address)
