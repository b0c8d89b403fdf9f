"""Serve PVs with caproto, on the backend of choice, in this process (runs inside a lab)."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any


def prepare(config: Mapping[str, Any]) -> None:
    """Import what takes time."""
    import importlib

    backend = str(config.get("backend", "asyncio"))
    if backend == "curio":
        import canet.server.backends.curio  # noqa: F401  # supplies the names that curio misses on Python 3.12 and later
    importlib.import_module(f"caproto.{backend}.server")


def serve(config: Mapping[str, Any]) -> None:
    """Serve ``pvs`` (name → value) until SIGTERM; ``backend`` is ``asyncio``, ``curio`` or ``trio``."""
    backend = str(config.get("backend", "asyncio"))
    _do_without_limited_broadcast()
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


def _do_without_limited_broadcast() -> None:
    """Send automatic beacons to the loopback network where nothing leads to 255.255.255.255.

    caproto sends its beacons there whatever the interfaces are, also with the automatic list off and an empty list.
    Without a default route two of its three backends end at once (``connect``: Network is unreachable), and a host
    of a lab often has none. A scenario that sets a list of its own gets what it asks for.
    """
    if "EPICS_CAS_BEACON_ADDR_LIST" in os.environ or "EPICS_CAS_AUTO_BEACON_ADDR_LIST" in os.environ:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        try:
            probe.connect(("255.255.255.255", 5065))
        except OSError as error:
            print(f"beacons go to 127.255.255.255, since 255.255.255.255: {error.strerror}", flush=True)
            os.environ["EPICS_CAS_AUTO_BEACON_ADDR_LIST"] = "no"
            os.environ["EPICS_CAS_BEACON_ADDR_LIST"] = "127.255.255.255"
