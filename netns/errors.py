"""What can go wrong with networks of namespaces.

Tree::

    NetworkError            a network could not be built, changed or used
    ├── TopologyError       the description is wrong; carries every Problem
    ├── SpawnError          a process could not be started on a host
    └── Unavailable         this machine or user cannot have namespaces; carries the remedy
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a topology: where it is, what is wrong and what to do."""

    where: str
    """``host NAME``, ``host NAME interface NAME``, ``segment NAME``."""
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.remedy}"


class NetworkError(Exception):
    """A network could not be built, changed or used; the text says where, what and what to do."""


class TopologyError(NetworkError):
    """A topology has mistakes; ``problems`` holds them all."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class SpawnError(NetworkError):
    """A process could not be started on a host."""


class Unavailable(NetworkError):  # noqa: N818 - says what is the case; it reads well where it is caught
    """This machine or user cannot have namespaces: ``reason`` says why, ``remedy`` which setting to change."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}\n{remedy}")
        self.reason = reason
        self.remedy = remedy
