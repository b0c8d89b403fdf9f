"""Keep the reasons of a conclusion as a chain that costs next to nothing until somebody reads it.

A trace is a linked list: ``(earlier, rule id, arguments)``. A packet that is copied to forty hosts shares the
common part of its story. :func:`reasons` turns a trace into sentences by the table in :mod:`.rules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from canet.harness.predict.rules import RULES

Trace = tuple["Trace | None", str, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of a chain of reasons: which rule decided, what it decided here, and where the rule is from."""

    rule: str
    text: str
    source: str

    def __str__(self) -> str:
        return self.text


def steps(trace: Trace | None) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield rule id and arguments of each step, first one first."""
    chain: list[tuple[str, tuple[object, ...]]] = []
    while trace is not None:
        earlier, rule, args = trace
        chain.append((rule, args))
        trace = earlier
    return reversed(chain)


def reasons(trace: Trace | None) -> tuple[Reason, ...]:
    """Return the chain in words."""
    return tuple(reason(rule, *args) for rule, args in steps(trace))


def reason(rule: str, *args: object) -> Reason:
    """Return one reason in words; integers that stand for addresses are written as addresses."""
    entry = RULES[rule]
    return Reason(rule, entry.text.format(*(words(each) for each in args)), entry.source)


def words(value: object) -> str:
    """Write one argument: addresses arrive as :class:`Ip`, everything else as it prints."""
    return address(value) if type(value) is int and value > 0xFFFF else str(value)


def address(number: int) -> str:
    """Write an IPv4 address from its number.

    >>> address(0x0A010002)
    '10.1.0.2'
    """
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
