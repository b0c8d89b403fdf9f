"""Serve PVs with caproto, on the backend of choice, in this process (runs inside a lab)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def serve(config: Mapping[str, Any]) -> None:
    """Serve ``pvs`` (name → value) until SIGTERM; ``backend`` is ``asyncio``, ``curio`` or ``trio``."""
    backend = str(config.get("backend", "asyncio"))
    if backend == "curio":
        import canet.server.backends.curio  # noqa: F401  # supplies the names that curio misses on Python 3.12 and later
    from caproto import ChannelDouble, ChannelInteger, ChannelString
    from caproto.server import run

    def channel(value: Any) -> Any:
        first = value[0] if isinstance(value, (list, tuple)) and value else value
        kind = ChannelDouble
        if isinstance(first, str):
            kind = ChannelString
        elif isinstance(first, int):
            kind = ChannelInteger
        return kind(value=list(value) if isinstance(value, tuple) else value)

    pvdb = {name: channel(value) for name, value in dict(config.get("pvs", {})).items()}
    interfaces = config.get("interfaces")
    run(
        pvdb,
        module_name=f"caproto.{backend}.server",
        interfaces=str(interfaces).split() if interfaces else None,
        log_pv_names=False,
    )
