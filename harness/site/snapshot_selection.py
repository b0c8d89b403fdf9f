"""Sets of IPv4 packets as firewall rules select them: one set of values for each thing that is looked at.

A selection is a product (these protocols × these addresses × …), so that intersections are selections, differences
are a few of them, and each can be written as rules of a site file. Values only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, summarize_address_range
from itertools import product
from typing import Any, Final, get_args

from canet.netns.topology import CtState, Proto

Ranges = tuple[tuple[int, int], ...]
"""Disjoint ranges of numbers in order; first and last are inside."""
Values = Ranges | frozenset[str]

PROTOCOLS: Final = get_args(Proto)
STATES: Final = get_args(CtState)
ALL_ADDRESSES: Final[Ranges] = ((0, 2**32 - 1),)
ALL_PORTS: Final[Ranges] = ((1, 2**16 - 1),)
ALL_USERS: Final[Ranges] = ((0, 2**32 - 1),)
DIMENSIONS: Final = ("proto", "iif", "oif", "saddr", "daddr", "sport", "dport", "ct", "uid")
NOWHERE: Final = ""
"""The interface that a packet without one has: sent here (iif), or not yet routed (oif)."""


class CannotSayError(ValueError):
    """A rule of a site file cannot say this; the text says what."""


def ranges(*pairs: tuple[int, int]) -> Ranges:
    """Return ranges in order, joined where they touch.

    >>> ranges((7, 9), (1, 3), (4, 4))
    ((1, 4), (7, 9))
    """
    found: list[tuple[int, int]] = []
    for first, last in sorted(pairs):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        elif first <= last:
            found.append((first, last))
    return tuple(found)


def both(one: Values, other: Values) -> Values:
    """Return what is in both.

    >>> both(((1, 5),), ((4, 9),))
    ((4, 5),)
    """
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return one & other
    assert not isinstance(one, frozenset), "names meet names"
    assert not isinstance(other, frozenset), "numbers meet numbers"
    return tuple((max(a, c), min(b, d)) for a, b in one for c, d in other if max(a, c) <= min(b, d))


def without(one: Values, other: Values) -> Values:
    """Return what is in ``one`` and not in ``other``.

    >>> without(((1, 5),), ((2, 3),))
    ((1, 1), (4, 5))
    """
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return one - other
    assert not isinstance(one, frozenset), "names meet names"
    assert not isinstance(other, frozenset), "numbers meet numbers"
    left = list(one)
    for first, last in other:
        cut = [((a, min(b, first - 1)), (max(a, last + 1), b)) for a, b in left]
        left = [each for pieces in cut for each in pieces if each[0] <= each[1]]
    return tuple(left)


@dataclass(frozen=True, slots=True)
class Selection:
    """The packets that have one of these values everywhere."""

    iif: frozenset[str]
    oif: frozenset[str]
    proto: frozenset[str] = frozenset(PROTOCOLS)
    saddr: Ranges = ALL_ADDRESSES
    daddr: Ranges = ALL_ADDRESSES
    sport: Ranges = ALL_PORTS
    dport: Ranges = ALL_PORTS
    ct: frozenset[str] = frozenset(STATES)
    uid: Ranges = ALL_USERS
    chance: float = 1.0
    """The fraction of these packets that is meant."""

    def only(self, dimension: str, values: Values) -> Selection | None:
        """Return the packets of these with such values; ``None`` where there are none."""
        found = both(getattr(self, dimension), values)
        return replace(self, **{dimension: found}) if found else None  # type: ignore[arg-type]  # by name

    def meet(self, other: Selection) -> Selection | None:
        """Return the packets that are in both; ``None`` where there are none."""
        found: Selection | None = self
        for each in DIMENSIONS:
            found = found.only(each, getattr(other, each)) if found else None
        return replace(found, chance=self.chance * other.chance) if found else None

    def minus(self, other: Selection) -> list[Selection]:
        """Return the packets of these that are not in ``other``, which is meant as a whole."""
        pieces = []
        left = self
        for each in DIMENSIONS:
            theirs = getattr(other, each)
            outside = without(getattr(left, each), theirs)
            if outside:
                pieces.append(replace(left, **{each: outside}))  # type: ignore[arg-type]  # by name
            inside = left.only(each, theirs)
            if inside is None:
                return [self]
            left = inside
        return pieces

    def inside(self, other: Selection) -> bool:
        """Tell whether each of these packets is in ``other``, for sure."""
        return other.chance == 1 and not any(without(getattr(self, each), getattr(other, each)) for each in DIMENSIONS)

    def size(self, everything: Selection) -> int:
        """Return how many rules it takes to select these packets."""
        count = 1
        for each in DIMENSIONS:
            values = getattr(self, each)
            if values != getattr(everything, each) and each != "ct":
                count *= networks(values) if each in ("saddr", "daddr") else len(values)
        return count

    def tables(self, everything: Selection) -> Iterator[dict[str, Any]]:
        """Yield the conditions of the rules that select these packets; ``everything`` needs none.

        Raises:
            CannotSayError: no rules can.
        """
        told = {each for each in DIMENSIONS if getattr(self, each) != getattr(everything, each)}
        if told & {"sport", "dport"}:
            told.add("proto")
        sides: list[list[dict[str, Any]]] = [
            [{each: value} for value in _values(each, getattr(self, each))] for each in DIMENSIONS if each in told
        ]
        for parts in product(*sides):
            table: dict[str, Any] = {}
            for part in parts:
                table |= part
            if self.chance < 1:
                table["chance"] = self.chance
            yield table


def networks(values: Ranges) -> int:
    """Return how many networks it takes to say these addresses."""
    return sum(1 for first, last in values for _ in summarize_address_range(IPv4Address(first), IPv4Address(last)))


def _values(dimension: str, values: Any) -> list[Any]:
    if dimension == "ct":
        return [[each for each in STATES if each in values]]
    if dimension == "proto":
        return [each for each in PROTOCOLS if each in values]
    if dimension in ("iif", "oif"):
        if NOWHERE in values:
            raise CannotSayError(f"packets that have no {dimension}")
        return sorted(values)
    if dimension in ("saddr", "daddr"):
        found = [each for a, b in values for each in summarize_address_range(IPv4Address(a), IPv4Address(b))]
        return [str(each.network_address) if each.prefixlen == 32 else str(each) for each in found]
    if dimension == "uid":
        if any(last - first > 9 for first, last in values):
            raise CannotSayError("so many users")
        return [each for first, last in values for each in range(first, last + 1)]
    return [first if first == last else f"{first}-{last}" for first, last in values]
