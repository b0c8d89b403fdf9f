"""Which names are searched for, when the next search of each is due, and who answered. No socket, no clock.

A name is searched again and again, each pause twice the one before, as libca does (``searchTimer.cpp``), until it is
found or nobody has wanted it for a while.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from canet.harness.client import search

FIRST_PAUSE = 0.032
"""Seconds; ``minRoundTripEstimate`` of ``udpiiu.h``."""
LONGEST_PAUSE = 30.0
PATIENCE = 60.0
"""Seconds for which a name is searched after somebody wanted it last."""


@dataclass(slots=True)
class Sought:
    """One name under search."""

    name: str
    cid: int
    wanted: float
    pause: float = FIRST_PAUSE


class Seeker:
    """The names that are under search.

    Call :meth:`want`, send what :meth:`due` yields, feed what arrives to :meth:`answered`, and call :meth:`due`
    again at :attr:`next`. Times are seconds of any steady clock.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._by_name: dict[str, Sought] = {}
        self._by_cid: dict[int, Sought] = {}
        self._queue: list[tuple[float, int]] = []
        self._last = 0

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def next(self) -> float | None:
        """When something is due; ``None`` while nothing is searched."""
        return self._queue[0][0] if self._queue else None

    def want(self, name: str, now: float) -> bool:
        """Search a name from now on; returns whether that is new."""
        known = self._by_name.get(name)
        if known is not None:
            known.wanted = now
            return False
        self._last += 1
        sought = Sought(name, self._last, now)
        self._by_name[name] = self._by_cid[sought.cid] = sought
        heapq.heappush(self._queue, (now, sought.cid))
        return True

    def drop(self, name: str) -> None:
        """Search a name no longer."""
        sought = self._by_name.pop(name, None)
        if sought is not None:
            del self._by_cid[sought.cid]

    def due(self, now: float) -> Iterator[bytes]:
        """Yield the datagrams that are to be sent now."""
        names: list[tuple[int, str]] = []
        while self._queue and self._queue[0][0] <= now:
            _when, cid = heapq.heappop(self._queue)
            sought = self._by_cid.get(cid)
            if sought is None:
                continue
            if now - sought.wanted > self._patience:
                self.drop(sought.name)
                continue
            names.append((cid, sought.name))
            heapq.heappush(self._queue, (now + sought.pause, cid))
            sought.pause = min(2 * sought.pause, LONGEST_PAUSE)
        if names:
            yield from search.datagrams(names)

    def answered(self, data: bytes, source: str) -> Iterator[tuple[str, str]]:
        """Yield (name, ``A:PORT``) for each answer in a datagram; a name that is found is no longer searched.

        Answers to what is not searched (any more) are duplicates, or none of ours, and left out.
        """
        for found in search.answers(data, source):
            sought = self._by_cid.get(found.cid)
            if sought is not None:
                self.drop(sought.name)
                yield sought.name, found.announced
