"""Where a client searches: the address lists as libca, caproto and CAJ each read them. Their parsers differ.

Sources: EPICS Base ``iocinf.cpp`` (configureChannelAccessAddressList, addAddrToChannelAccessAddressList),
``osdNetIfAddrs.c``; caproto ``_utils.py``; CAJ ``CAJContext.java``; getifaddrs(3), measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from canet.harness.predict.network import LIMITED, LOOPBACK, HostTables
from canet.harness.predict.trace import Trace, address

SERVER_PORT = 5064
_QUAD = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})")


@dataclass(frozen=True, slots=True)
class Destination:
    """One place that a client searches, and why."""

    address: int
    port: int
    why: Trace

    def __str__(self) -> str:
        return f"{address(self.address)}:{self.port}"


@dataclass(frozen=True, slots=True)
class Searching:
    """All that a client's environment makes of its searches."""

    destinations: tuple[Destination, ...]
    name_servers: tuple[Destination, ...]
    remarks: tuple[Trace, ...]
    """What else the reader should know: entries that were skipped, spellings that mean the opposite."""


def quad(text: str) -> int | None:
    """Read a dotted quad; ``None`` if it is none.

    >>> quad("10.1.0.2") == 0x0A010002, quad("10.1.0.256"), quad("ioc1")
    (True, None, None)
    """
    match = _QUAD.fullmatch(text)
    if match is None:
        return None
    parts = [int(each) for each in match.groups()]
    if max(parts) > 255:
        return None
    return parts[0] << 24 | parts[1] << 16 | parts[2] << 8 | parts[3]


def resolve(host: HostTables, name: str) -> int | None:
    """Resolve a name as the host would: dotted quads, ``localhost``, its own ``/etc/hosts``; no DNS in a lab."""
    found = quad(name)
    if found is not None:
        return found
    for line in host.files.get("/etc/hosts", "").splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1 and name in words[1:]:
            number = quad(words[0])
            if number is not None:
                return number
    return LOOPBACK if name in ("localhost", "localhost.localdomain") else None


def interface_broadcasts(host: HostTables, *, down: bool = False) -> list[tuple[int, str, str]]:
    """Return what ``getifaddrs`` gives as broadcast address, device name, and the rule, for each address but lo's.

    A missing attribute is reported as the peer's address, and where there is no peer as the own one.
    """
    found = []
    for device in host.devices:
        if device.loopback or not (device.up or down):
            continue
        for each in device.addresses:
            if each.broadcast is not None:
                found.append((each.broadcast, device.name, "list-automatic"))
            elif each.peer is not None:
                found.append((each.peer, device.name, "list-peer"))
            else:
                found.append((each.ip, device.name, "list-own-address"))
    return found


def libca(name: str, host: HostTables, env: Mapping[str, str]) -> Searching:
    """Read a client's environment as libca does: the automatic list first, then EPICS_CA_ADDR_LIST is added."""
    port, remarks = _port(env, name)
    found: list[Destination] = []
    auto = env.get("EPICS_CA_AUTO_ADDR_LIST") or "YES"
    if not ("no" in auto or "NO" in auto):
        if auto.lower() != "yes":
            remarks.append((None, "list-auto-spelling", (name, auto)))
        _automatic(found, name, host, port, auto)
        if not found:
            found.append(Destination(LOOPBACK, port, (None, "list-loopback", (name, address(LOOPBACK), port))))
    for word in env.get("EPICS_CA_ADDR_LIST", "").split():
        _add(found, remarks, name, host, word, port)
    servers: list[Destination] = []
    for word in env.get("EPICS_CA_NAME_SERVERS", "").split():
        _add(servers, remarks, name, host, word, port, rule="list-name-server")
    if not found and not servers:
        remarks.append((None, "list-none", (name,)))
    return Searching(tuple(found), tuple(servers), tuple(remarks))


def caproto(name: str, host: HostTables, env: Mapping[str, str]) -> Searching:
    """Read a client's environment as caproto does: split at spaces, off only with a list, no name servers."""
    port, remarks = _port(env, name)
    found: list[Destination] = []
    words = [each for each in env.get("EPICS_CA_ADDR_LIST", "").split(" ") if each.strip()]
    auto = env.get("EPICS_CA_AUTO_ADDR_LIST", "YES")
    for word in words:
        if any(each.isspace() for each in word):
            remarks.append((None, "list-one-word", (name, repr(word))))
        else:
            _add(found, remarks, name, host, word, port)
    if not words or auto.lower() == "yes":
        if auto.lower() != "yes":
            remarks.append((None, "list-auto-ignored", (name,)))
        if host.lo.up:
            _append(
                found, Destination(LOOPBACK, port, (None, "list-interfaces", (name, address(LOOPBACK), port, "lo")))
            )
        _automatic(found, name, host, port, auto, down=True)
    return Searching(tuple(found), (), tuple(remarks))


def caj(name: str, host: HostTables, env: Mapping[str, str]) -> Searching:
    """Read a client's environment as CAJ does with ``jca.use_env=true``; only "no" (any case) switches off."""
    port, remarks = _port(env, name)
    found: list[Destination] = []
    auto = env.get("EPICS_CA_AUTO_ADDR_LIST", "true")
    if auto.lower() != "no":
        for broadcast, device, _ in interface_broadcasts(host):
            if any(each.broadcast == broadcast for each in host.by_name[device].addresses):
                why: Trace = (None, "list-automatic", (name, address(broadcast), port, device, auto))
                _append(found, Destination(broadcast, port, why))
        if not found:
            found.append(Destination(LIMITED, port, (None, "list-limited", (name, port))))
    for word in env.get("EPICS_CA_ADDR_LIST", "").split():
        _add(found, remarks, name, host, word, port)
    servers: list[Destination] = []
    for word in env.get("EPICS_CA_NAME_SERVERS", "").split():
        _add(servers, remarks, name, host, word, port, rule="list-name-server")
    return Searching(tuple(found), tuple(servers), tuple(remarks))


READERS: dict[str, Callable[[str, HostTables, Mapping[str, str]], Searching]] = {
    "libca": libca,
    "canet": libca,
    "caproto": caproto,
    "caj": caj,
    "command": libca,
}
"""Client implementation → how it reads its environment. What a command runs is taken for libca."""


def server_port(env: Mapping[str, str], *names: str) -> int:
    """Return the port that the first variable with a usable value gives: 5001–65535, else the default."""
    for each in (*names, "EPICS_CA_SERVER_PORT"):
        text = env.get(each, "").strip()
        if text:
            return int(text) if text.isdigit() and 5000 < int(text) <= 65535 else SERVER_PORT
    return SERVER_PORT


def _port(env: Mapping[str, str], name: str) -> tuple[int, list[Trace]]:
    port = server_port(env)
    remarks: list[Trace] = []
    if port != SERVER_PORT:
        remarks.append((None, "list-port", (name, port)))
    return port, remarks


def _automatic(
    found: list[Destination], name: str, host: HostTables, port: int, auto: str, *, down: bool = False
) -> None:
    for number, device, rule in interface_broadcasts(host, down=down):
        args: tuple[object, ...] = (name, address(number), port, device)
        if rule == "list-automatic":
            args = (*args, auto)
        _append(found, Destination(number, port, (None, rule, args)))


def _append(found: list[Destination], new: Destination) -> None:
    if not any(each.address == new.address and each.port == new.port for each in found):
        found.append(new)


def _add(
    found: list[Destination],
    remarks: list[Trace],
    name: str,
    host: HostTables,
    word: str,
    port: int,
    rule: str = "list-explicit",
) -> None:
    """Add one entry ``host[:port]``; entries that do not resolve are skipped, the others stay."""
    text, colon, number = word.partition(":")
    at = resolve(host, text)
    if at is None or (colon and not (number.isdigit() and int(number) < 65536)):
        remarks.append((None, "list-bad-name", (name, repr(word))))
        return
    to = int(number) if colon else port
    _append(found, Destination(at, to, (None, rule, (name, address(at), to))))
