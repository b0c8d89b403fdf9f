"""Serve PVs with pcaspy, the portable Channel Access server in C++, in this process (runs inside a lab)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def prepare(_config: Mapping[str, Any]) -> None:
    """Import what takes time."""
    import pcaspy  # noqa: F401


def serve(config: Mapping[str, Any]) -> None:
    """Serve ``pvs`` (name → value) until the process is ended."""
    from pcaspy import Driver, SimpleServer

    class Values(Driver):  # type: ignore[misc]  # pcaspy registers the drivers of subclasses only
        """Keeps what is written."""

    pvs = dict(config.get("pvs", {}))
    server = SimpleServer()
    server.createPV("", {name: _description(value) for name, value in pvs.items()})
    driver = Values()
    driver.updatePVs()
    while True:
        server.process(0.1)


def _description(value: Any) -> dict[str, Any]:
    first = value[0] if isinstance(value, (list, tuple)) and value else value
    kind = "string" if isinstance(first, str) else "int" if isinstance(first, int) else "float"
    description: dict[str, Any] = {"type": kind, "value": value}
    if isinstance(value, (list, tuple)):
        description["count"] = max(len(value), 1)
    return description
