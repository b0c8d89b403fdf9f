"""What a run says that a busy machine has spoilt."""

from __future__ import annotations


class DisturbedError(RuntimeError):
    """The machine was too busy to do a step as the scenario says, so the run tells nothing; another one may."""
