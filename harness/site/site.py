"""A whole site in one file: hosts, switches, IOCs with the prefixes of their PVs, and clients.

The file is a scenario file without story and expectations, and with a table ``iocs`` in place of servers::

    [segments.office]
    [hosts.opi1.interfaces]
    eth0 = { segment = "office", addresses = ["10.1.0.1/24"] }
    [iocs.vac01]
    host = "vac"
    prefixes = ["SR01:VAC:"]
    [clients.opi1]
    host = "opi1"
    pvs = ["SR01:VAC:P1"]

A PV belongs to the IOC with the longest prefix of it. A client without ``pvs`` wants everything.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from canet.netns.topology import Topology
from canet.scenarios.errors import MistakeError, ScenarioError
from canet.scenarios.load import load_document
from canet.scenarios.model import Scenario

IOC_KEYS = ("host", "prefixes", "env", "implementation", "layout", "reuse", "uid", "backend", "options")


@dataclass(frozen=True, slots=True)
class Site:
    """A site: its scenario, in which each prefix stands for the PVs that begin with it."""

    scenario: Scenario
    shared: tuple[tuple[str, tuple[str, ...]], ...]
    """Prefixes that several IOCs claim, and these; also one inside another's."""

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.scenario.source).name


def load_site(path: str | Path) -> Site:
    """Read a site file, or a scenario file (its base).

    Raises:
        ScenarioError: with file, key, what was found and what is allowed.
    """
    file = str(path)
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(file, "", f"cannot be read ({error.strerror})", "a site file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(file, "", f"not TOML ({error})", "TOML text, see https://toml.io") from None
    return read_site(document, file)


def read_site(document: Mapping[str, Any], file: str) -> Site:
    """Read a site from nested tables. Errors as :func:`load_site`."""
    plain = dict(document)
    iocs = plain.pop("iocs", {})
    plain.setdefault("title", Path(file).name)
    plain.setdefault("story", "A site.")
    try:
        if not isinstance(iocs, Mapping):
            raise MistakeError("iocs", type(iocs).__name__, "a table for each IOC")
        servers = {name: _server(name, table) for name, table in iocs.items()}
    except MistakeError as error:
        raise error.within(file) from None
    wanted = {name: table.get("pvs") for name, table in plain.get("clients", {}).items() if isinstance(table, dict)}
    if iocs:
        plain["servers"] = {**plain.get("servers", {}), **servers}
        plain["clients"] = {
            name: {key: value for key, value in table.items() if key != "pvs"} if isinstance(table, dict) else table
            for name, table in plain.get("clients", {}).items()
        }
    scenario = load_document(plain, file)[0]
    if iocs:
        scenario = _with_wishes(scenario, wanted)
    return Site(scenario, _shared(scenario))


def _server(name: str, table: object) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise MistakeError(f"iocs.{name}", type(table).__name__, "a table with host and prefixes")
    for key in table:
        if key not in IOC_KEYS:
            raise MistakeError(f"iocs.{name}.{key}", f"{key!r}", f"one of {', '.join(IOC_KEYS)}")
    prefixes = table.get("prefixes", [f"{name}:"])
    if not isinstance(prefixes, list) or not all(isinstance(each, str) and each for each in prefixes):
        raise MistakeError(f"iocs.{name}.prefixes", repr(prefixes), "a list of texts")
    rest = {key: value for key, value in table.items() if key != "prefixes"}
    return {"implementation": "rsrv", **rest, "pvs": dict.fromkeys(prefixes, 0.0)}


def _with_wishes(scenario: Scenario, wanted: Mapping[str, object]) -> Scenario:
    """Turn the PVs that clients want into the prefixes that serve them."""
    prefixes = sorted({each for server in scenario.servers for each in server.pvs}, key=len, reverse=True)
    clients = []
    for client in scenario.clients:
        names = wanted.get(client.name)
        if isinstance(names, list):
            found = dict.fromkeys(prefix_of(str(each), prefixes) or str(each) for each in names)
            client = replace(client, pvs=tuple(found))
        clients.append(client)
    return replace(scenario, clients=tuple(clients))


def prefix_of(pv: str, prefixes: Iterable[str]) -> str | None:
    """Return the first prefix that a PV begins with; give them the longest first.

    >>> prefix_of("SR01:VAC:P1", ["SR01:VAC:", "SR01:"])
    'SR01:VAC:'
    """
    return next((each for each in prefixes if pv.startswith(each)), None)


def _shared(scenario: Scenario) -> tuple[tuple[str, tuple[str, ...]], ...]:
    owners: dict[str, list[str]] = {}
    for server in scenario.servers:
        for each in server.pvs:
            owners.setdefault(each, []).append(server.name)
    found = {prefix: list(names) for prefix, names in owners.items()}
    ordered = sorted(owners)
    for first, second in pairwise(ordered):
        if second.startswith(first) and set(owners[first]) != set(owners[second]):
            found[second] = [*owners[second], *owners[first]]
    return tuple((prefix, tuple(dict.fromkeys(names))) for prefix, names in found.items() if len(set(names)) > 1)


def part(scenario: Scenario, clients: Iterable[str], servers: Iterable[str]) -> Scenario:
    """Return the part of a site that some clients and servers see: their hosts, their neighbours' IOCs, all routers.

    The part predicts the same for them, in a fraction of the time.
    """
    kept_clients = tuple(each for each in scenario.clients if each.name in set(clients))
    hosts = {each.host for each in scenario.servers if each.name in set(servers)}
    near = tuple(each for each in scenario.servers if each.host in hosts)
    hosts |= {each.host for each in kept_clients}
    hosts |= {each.name for each in scenario.topology.hosts if _forwards(each.sysctls)}
    cables = {
        each.link.partition(".")[0] if each.link else (each.parent or "").partition(".")[0]
        for host in scenario.topology.hosts
        if host.name in hosts
        for each in host.interfaces
        if each.segment is None
    }
    topology = Topology(
        hosts=tuple(each for each in scenario.topology.hosts if each.name in hosts | cables),
        segments=scenario.topology.segments,
    )
    return replace(
        scenario, topology=topology, clients=kept_clients, servers=near, probes=(), steps=(), expectations=()
    )


def _forwards(sysctls: Iterable[tuple[str, str]]) -> bool:
    return any(key.endswith(("ip_forward", ".forwarding")) and value.strip() != "0" for key, value in sysctls)
