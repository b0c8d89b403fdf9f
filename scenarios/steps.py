"""Which keys each kind of step takes, and what its target may be."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec

from canet.netns.topology import Topology
from canet.scenarios import network
from canet.scenarios.document import StepTable
from canet.scenarios.errors import MistakeError, unknown
from canet.scenarios.model import Step


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of step is about: ``target`` names a table of the file, ``required`` and ``allowed`` its keys."""

    target: str | None
    required: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


ACTORS = "servers or clients"

KINDS: Mapping[str, Kind] = {
    "probe": Kind("probes"),
    "client": Kind("clients"),
    "start": Kind("servers"),
    "stop": Kind("servers"),
    "kill": Kind("servers"),
    "pause": Kind(ACTORS),
    "resume": Kind(ACTORS),
    "restart": Kind("servers"),
    "fault": Kind(
        None,
        ("host", "set"),
        ("interface", "address", "route", "rule", "impairment", "direction", "name", "value", "heal_after"),
    ),
    "beacons": Kind(None, ("host",), ("port", "count", "seconds")),
    "send": Kind(None, ("host", "address", "payload"), ("port", "count")),
    "tcp": Kind(None, ("host", "address", "payload"), ("port", "seconds", "count")),
    "watch": Kind("clients"),
    "await": Kind("clients", ("event",), ("pv", "seconds", "searches", "text", "skip")),
    "leave": Kind("clients"),
    "announce": Kind(None, ("host", "address"), ("port", "server", "numbers", "count", "period", "gaps", "client")),
    "flood": Kind(None, ("host", "address"), ("port", "count", "burst")),
    "measure": Kind("servers", (), ("since",)),
    "ports": Kind(None, ("host", "port")),
    "forget": Kind(None, ("host", "port"), ("seconds",)),
    "register": Kind(None, ("host", "count"), ("port", "seconds")),
}
"""``send`` puts raw bytes into a datagram, ``tcp`` into a connection; ``beacons`` listens, ``announce`` sends them;
``watch`` starts a client that stays, ``await`` asks it, ``leave`` kills it; ``flood`` searches for names that nobody
serves; ``measure`` asks the kernel what a server costs, ``ports`` who holds a UDP port of a host;
``register`` makes clients known to a repeater; ``forget`` waits until a host has given up its closed connections."""

FAULTS: Mapping[str, tuple[str, ...]] = {
    "up": ("interface",),
    "down": ("interface",),
    "cut": ("interface",),
    "heal": ("interface",),
    "add-address": ("interface", "address"),
    "remove-address": ("interface", "address"),
    "add-route": ("route",),
    "remove-route": ("route",),
    "add-rule": ("rule",),
    "remove-rules": (),
    "impair": ("interface", "impairment"),
    "sysctl": ("name", "value"),
    "write-file": ("name", "value"),
}
"""What each change of the network must say besides its host."""


def read(index: int, table: StepTable, names: Mapping[str, Collection[str]], net: Topology) -> Step:
    """Return the step.

    Args:
        index: its place in the file, for the error.
        table: what the file says.
        names: the names in the tables ``servers``, ``clients`` and ``probes``.
        net: the network, for hosts and interfaces.

    Raises:
        MistakeError: a key that this kind of step does not take or needs, or a name that does not exist.
    """
    key, kind = f"steps[{index}]", KINDS[table.do]
    names = {**names, ACTORS: [*names["servers"], *names["clients"]]}
    given = {name: value for name, value in msgspec.structs.asdict(table).items() if value is not None}
    known = ("do", "label", *(("target",) if kind.target else ()), *kind.required, *kind.allowed)
    for name in given:
        if name not in known:
            raise unknown(f"{key}.{name}", name, known, f"a key of {table.do}")
    needed = (*kind.required, *(FAULTS[table.set] if table.do == "fault" and table.set else ()))
    for name in needed:
        if name not in given:
            raise MistakeError(f"{key}.{name}", "missing", f"a value, as {table.do} needs it")
    if kind.target:
        if table.target is None:
            raise MistakeError(f"{key}.target", "missing", f"a name in {kind.target}")
        if table.target not in names[kind.target]:
            raise unknown(f"{key}.target", table.target, names[kind.target], f"a name in {kind.target}")
    _check_place(key, table, net)
    return Step(do=table.do, target=table.target, args=_arguments(key, table, given))


def _check_place(key: str, table: StepTable, net: Topology) -> None:
    if table.host is None:
        return
    hosts = {each.name: each for each in net.hosts}
    if table.host not in hosts:
        raise unknown(f"{key}.host", table.host, hosts, "a host of this file")
    devices = [each.name for each in hosts[table.host].interfaces]
    if table.interface is not None and table.interface not in devices:
        raise unknown(f"{key}.interface", table.interface, devices, f"an interface of {table.host}")


def _arguments(key: str, table: StepTable, given: Mapping[str, object]) -> dict[str, object]:
    """Turn nested tables into the values that :mod:`canet.netns.topology` knows."""
    args = {name: value for name, value in given.items() if name not in ("do", "target")}
    if table.route is not None:
        args["route"] = network.route(f"{key}.route", table.route)
    if table.rule is not None:
        args["rule"] = network.rule(f"{key}.rule", table.rule)
    if table.impairment is not None:
        args["impairment"] = network.impairment(table.impairment)
    if table.address is not None:
        read = network.address if table.do == "fault" else network.ip
        args["address"] = read(f"{key}.address", table.address)
    if table.payload is not None:
        args["payload"] = octets(f"{key}.payload", table.payload)
    return args


def octets(key: str, text: str) -> bytes:
    """Read bytes in hexadecimal; blanks are allowed between them."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise MistakeError(key, repr(text[:40]), "bytes in hexadecimal such as '0006 0008'") from None
