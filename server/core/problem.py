"""What is wrong with a file, as a value that its author can act on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    r"""One mistake in one place.

    >>> print(Problem("motor.db", 12, "expected '\"' before the end of the line"))
    motor.db:12: expected '"' before the end of the line
    """

    file: str
    line: int
    """From 1."""
    message: str
    """What was found, and what was expected."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class ProblemsError(ValueError):
    """A file that cannot be used; ``problems`` lists every mistake that was found, first come first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class DatabaseError(ProblemsError):
    """An EPICS database that cannot be served."""


class AcfError(ProblemsError):
    """An access security file that cannot be used."""
