"""Find what is wrong in a whole site, group by group, with cause, evidence and the smallest change that heals it.

Every remedy is tried in the model before it is printed: it is a cause that :mod:`canet.harness.diagnosis.diagnose`
found for one client and one IOC of the group, in the part of the site that these two see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from canet.harness.diagnosis.diagnose import Cause, diagnose
from canet.harness.predict.beacons import destinations
from canet.harness.predict.firewall import UDP, Packet, State
from canet.harness.predict.path import Flight
from canet.harness.predict.predict import stage
from canet.harness.predict.stage import Stage
from canet.harness.predict.trace import Trace, reasons
from canet.harness.site.lint_changes import settings_changed
from canet.harness.site.lint_reach import Reach, Reacher
from canet.harness.site.lint_settings import traps
from canet.harness.site.site import Site, part
from canet.scenarios.model import Client, Scenario

MOST_DIAGNOSED = 40
"""Groups of findings whose cause is looked for; the others are reported without."""

MOST_REMEDIES = 8
"""Causes among which the smallest change is looked for."""

Group = tuple[str, str, tuple[str, ...], tuple[str, ...]]
"""Verdict, rule that decided, segments of the clients (empty: any), and the host or the segments of the IOCs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, for a whole group of clients and IOCs."""

    kind: str
    """``unreachable``, ``luck``, ``duplicate-pv``, ``no-beacon``, or the kind of a trap (``netmask`` …)."""
    where: str
    text: str
    evidence: tuple[str, ...] = ()
    cause: str = ""
    remedy: tuple[str, ...] = ()
    """``path = value`` of each setting to change."""
    verified: bool = False
    """The remedy heals it in the model."""
    scenario: Scenario | None = field(default=None, repr=False, compare=False)
    """The part of the site that shows it, for a lab."""
    healed: Scenario | None = field(default=None, repr=False, compare=False)


def lint(site: Site) -> list[Finding]:
    """Return all findings of a site: settings first, then what clients cannot reach, then beacons."""
    scenario = site.scenario
    scene = stage(scenario, "rsrv")
    found = [
        Finding(each.kind, each.where, each.text, (), "", (each.remedy,) if each.remedy else (), False)
        for each in traps(scenario, scene.world.network)
    ]
    found += [_shared(prefix, names) for prefix, names in site.shared]
    found += [_dead(name, state.dead) for name, state in scene.servers.items() if state.dead is not None]
    found += _reaches(scenario, scene)
    found += _beacons(scenario, scene)
    return found


def _shared(prefix: str, names: tuple[str, ...]) -> Finding:
    listed = ", ".join(names)
    text = f"PVs that begin with {prefix} are served by {listed}: whose a client gets is chance"
    return Finding("duplicate-pv", f"iocs.{names[0]}.prefixes", text)


def _dead(name: str, why: str) -> Finding:
    return Finding("dead", f"iocs.{name}", f"{name} does not serve: {why}")


# --- who cannot reach whom


def _reaches(scenario: Scenario, scene: Stage) -> list[Finding]:
    groups: dict[Group, list[tuple[Client, str, Reach]]] = {}
    reacher = Reacher(scene)
    segments = {
        host.name: tuple(sorted(each.segment or each.link or each.parent or "" for each in host.interfaces))
        for host in scenario.topology.hosts
    }
    for client in scenario.clients:
        _, reaches = reacher.client(client)
        for name, reach in reaches.items():
            if reach.verdict == "always":
                continue
            server = scene.servers[name]
            rule = reach.why[1] if reach.why is not None else ""
            near, far = segments[client.host], segments[server.host.name]
            key = (reach.verdict, rule, () if reach.there else near, (server.host.name,) if reach.there else far)
            groups.setdefault(key, []).append((client, name, reach))
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    found = [_group(scenario, key, members) for key, members in ordered[:MOST_DIAGNOSED]]
    rest: dict[tuple[str, str], list[tuple[Client, str, Reach]]] = {}
    for key, members in ordered[MOST_DIAGNOSED:]:
        rest.setdefault(key[:2], []).extend(members)
    found += [_rest(key, members) for key, members in rest.items()]
    return found


def _group(scenario: Scenario, key: Group, members: list[tuple[Client, str, Reach]]) -> Finding:
    place = ", ".join(key[3])
    client, name, reach = members[0]
    where = f"{'hosts' if reach.there else 'segments'}.{place}"
    text = f"{_who(key[0], members)} on {place}"
    kind = "unreachable" if key[0] == "never" else "luck"
    evidence = _evidence(reach)
    small = part(scenario, [client.name], [name])
    causes = _causes(small, client, name)
    if not causes:
        return Finding(kind, where, text, evidence, scenario=small)
    remedies = [(each, tuple(settings_changed(small, each.healed))) for each in causes[:MOST_REMEDIES]]
    chosen, remedy = min(remedies, key=lambda pair: (len(pair[1]) or 99, causes.index(pair[0])))
    return Finding(kind, where, text, evidence, causes[0].sentence, remedy, True, small, chosen.healed)


def _rest(key: tuple[str, str], members: list[tuple[Client, str, Reach]]) -> Finding:
    """Sum up the small groups, whose causes were not looked for."""
    kind = "unreachable" if key[0] == "never" else "luck"
    return Finding(kind, "elsewhere", f"also, {_who(key[0], members)}", _evidence(members[0][2]))


def _who(verdict: str, members: list[tuple[Client, str, Reach]]) -> str:
    clients = list(dict.fromkeys(client.name for client, _, _ in members))
    servers = list(dict.fromkeys(name for _, name, _ in members))
    lucky = "reach only by luck" if len(clients) > 1 else "reaches only by luck"
    return f"{_some(clients)} {'cannot reach' if verdict == 'never' else lucky} {_some(servers)}"


def _evidence(reach: Reach) -> tuple[str, ...]:
    """Return the reasons that decided: the choice of a socket where it is luck, else the last ones."""
    told = reasons(reach.why)
    if reach.verdict == "luck":
        told = tuple(each for each in told if each.rule.startswith("socket-")) or told
    return tuple(str(each) for each in told[-3:])


def _some(names: list[str]) -> str:
    if len(names) <= 3:
        return ", ".join(names)
    return f"{', '.join(names[:2])} and {len(names) - 2} more"


def _causes(small: Scenario, client: Client, server: str) -> tuple[Cause, ...]:
    pvs = next(each.pvs for each in small.servers if each.name == server)
    pv = next((each for each in pvs if not client.pvs or each in client.pvs), None)
    if pv is None:
        return ()
    found = diagnose(small, "rsrv", client=client.name, pv=pv)
    best = found.causes[0].heals - found.causes[0].creates if found.causes else 0
    return tuple(each for each in found.causes if each.heals - each.creates == best)


# --- beacons


def _beacons(scenario: Scenario, scene: Stage) -> Iterator[Finding]:
    """Clients that reach an IOC's network but hear none of its beacons find it late after a restart."""
    segments = {
        host.name: frozenset(each.segment for each in host.interfaces if each.segment)
        for host in scenario.topology.hosts
    }
    hosts = {each.host: each for each in scenario.clients}
    deaf: dict[frozenset[str], dict[str, dict[str, None]]] = {}
    heard_from: dict[tuple[object, ...], frozenset[str]] = {}
    for server in scene.servers.values():
        if server.dead is not None or not server.pvs or not server.modelled:
            continue
        wanted = tuple(destinations(server))
        key = (server.host.name, wanted)
        if key not in heard_from:
            heard_from[key] = frozenset(_hearing(scene, server.host.name, wanted))
        for host, client in hosts.items():
            if host not in heard_from[key] and (not client.pvs or frozenset(client.pvs) & server.pvs):
                group = deaf.setdefault(segments[host], {"clients": {}, "servers": {}, "far": {}})
                group["clients"][client.name] = group["servers"][server.name] = None
                group["far"].update(dict.fromkeys(segments[server.host.name]))
    for near, group in deaf.items():
        clients, servers, far = (list(group[each]) for each in ("clients", "servers", "far"))
        text = (
            f"{_some(clients)} on {', '.join(sorted(near))} hear{'' if len(clients) > 1 else 's'} no beacons of "
            f"{_some(servers)} on {_some(far)}, so a restarted IOC is found late"
        )
        at = hosts_of(scenario, clients[0])
        address = next((a for host in scenario.topology.hosts if host.name == at for a in host.addresses), None)
        remedy = () if address is None else (f"iocs.{servers[0]}.env.EPICS_CAS_BEACON_ADDR_LIST = '{address.ip}'",)
        yield Finding("no-beacon", f"segments.{', '.join(sorted(near))}", text, (), "", remedy)


def hosts_of(scenario: Scenario, client: str) -> str:
    """Return the host of a client."""
    return next(each.host for each in scenario.clients if each.name == client)


def _hearing(scene: Stage, host: str, wanted: Iterable[tuple[int, int, int]]) -> Iterator[str]:
    tables = scene.world.network.hosts[host]
    for source, to, port in wanted:
        trace: Trace = (None, "sends", (host, to, port))
        packet = Packet(UDP, source, 45100, to, port, 44)
        flight = Flight(scene.world.network, State(), scene.world.groups).send(tables, packet, trace)
        for arrival in flight.arrivals:
            yield arrival.host.name
