"""The three concurrency libraries; they only wait."""

from __future__ import annotations

from importlib import import_module

from canet.server.io.seam import Backend

NAMES = ("asyncio", "curio", "trio")


def backend(name: str) -> Backend:
    """Return the backend of that name; only its library is imported.

    Raises:
        ValueError: naming the three that there are.
    """
    if name not in NAMES:
        raise ValueError(f"{name!r} is no backend: choose one of {', '.join(NAMES)}")
    module = import_module(f"canet.server.backends.{name}")
    made: Backend = getattr(module, name.capitalize())()
    return made
