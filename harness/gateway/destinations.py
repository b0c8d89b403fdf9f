"""Where searches go: the address list of a client, as libca computes it from the environment (``iocinf.cpp``)."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

from canet.server.core.binding import Interface
from canet.server.io.interfaces import interfaces

PORT = 5064


def destinations(environment: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    """Return the addresses and ports that are searched: the list, and the broadcast addresses unless AUTO says no.

    Names in the list that do not exist are left out.
    """
    port = int(environment.get("EPICS_CA_SERVER_PORT") or PORT)
    found = list(_listed(environment.get("EPICS_CA_ADDR_LIST", "").split(), port))
    auto = environment.get("EPICS_CA_AUTO_ADDR_LIST", "")
    if "no" not in auto and "NO" not in auto:  # iocinf.cpp: strstr, nothing else counts
        found += [(address, port) for address in automatic(interfaces())]
    return tuple(dict.fromkeys(found))


def automatic(present: Iterable[Interface]) -> tuple[str, ...]:
    """Return the broadcast (or peer) addresses of interfaces; the loopback's own address where there is no other."""
    present = tuple(present)
    outside = [each for each in present if not each.address.startswith("127.")]
    found = [each.broadcast or each.peer for each in outside]
    return tuple(dict.fromkeys(each for each in found if each)) or ("127.0.0.1",)


def _listed(entries: Iterable[str], port: int) -> Iterable[tuple[str, int]]:
    for entry in entries:
        host, colon, number = entry.partition(":")
        try:
            yield socket.gethostbyname(host), int(number) if colon else port
        except (OSError, UnicodeError, ValueError):
            continue
