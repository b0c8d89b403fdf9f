"""Who hears whose beacons, and so how soon a restarted server is found again.

rsrv sends to the broadcast address of each interface it serves (``online_notify.c``, ``caservertask.c``), canet the
same, caproto to 255.255.255.255 whatever its interfaces are, and only if that has a route when it starts.
"""

from __future__ import annotations

from collections.abc import Mapping

from canet.harness.predict.addresses import quad
from canet.harness.predict.exchange import World
from canet.harness.predict.firewall import UDP, Packet, State
from canet.harness.predict.network import LIMITED
from canet.harness.predict.path import Flight
from canet.harness.predict.prediction import BeaconPrediction
from canet.harness.predict.servers import ServerState, address_list, canet_plan
from canet.harness.predict.trace import Trace, address, reasons

BEACON_PORT = 5065


def predict_beacons(
    world: World, state: State, servers: dict[str, ServerState], *, why: bool = True
) -> tuple[BeaconPrediction, ...]:
    """Compute where the beacons of each server arrive."""
    return tuple(
        _one(world, state, each, why) for each in servers.values() if each.dead is None and each.modelled and each.pvs
    )


def _one(world: World, state: State, server: ServerState, why: bool) -> BeaconPrediction:
    heard: dict[str, None] = {}
    sources: dict[tuple[str, str], None] = {}
    traces: list[Trace] = []
    wanted = destinations(server)
    for source, to, port in wanted:
        begin: Trace = (None, "beacon", (server.name, address(to), port))
        ttl = 1 if to >> 28 == 14 else 64
        packet = Packet(UDP, source, 45100, to, port, 44, ttl, server.server.uid or 0)
        flight = Flight(world.network, state, world.groups).send(server.host, packet, begin)
        for arrival in flight.arrivals:
            place = f"{arrival.host.name}:{arrival.packet.dport}"
            heard[place] = None
            sources[place, address(arrival.packet.source)] = None
            traces.append(arrival.trace)
        traces += [each.trace for each in flight.drops]
    words = {reason: None for trace in traces for reason in reasons(trace)} if why else {}
    return BeaconPrediction(
        server=server.name,
        destinations=tuple(f"{address(to)}:{port}" for _, to, port in wanted),
        heard_on=tuple(heard),
        heard=tuple(sources),
        reasons=tuple(words),
    )


def destinations(server: ServerState) -> list[tuple[int, int, int]]:
    """Return source (0: by route), destination and port of each beacon that a server sends."""
    env, host = server.server.env, server.born
    if server.implementation == "canet":
        planned = canet_plan(server)
        found = () if isinstance(planned, str) else planned[1].beacons
        return [(quad(each.source) or 0, quad(each.to.host) or 0, each.to.port) for each in found]
    if server.implementation == "caproto":
        port = _port(env, "EPICS_CAS_BEACON_PORT")
        listed = address_list(host, env.get("EPICS_CAS_BEACON_ADDR_LIST", ""), port)
        if not listed or env.get("EPICS_CAS_AUTO_BEACON_ADDR_LIST", "YES").lower() == "yes":
            listed.append((LIMITED, port))
        return [(0, to, number) for to, number in listed]
    port = _port(env, "EPICS_CAS_BEACON_PORT", "EPICS_CA_REPEATER_PORT")
    text, auto = env.get("EPICS_CAS_BEACON_ADDR_LIST", ""), env.get("EPICS_CAS_AUTO_BEACON_ADDR_LIST", "")
    if server.implementation == "pcaspy":
        text = text or env.get("EPICS_CA_ADDR_LIST", "")
        auto = auto or env.get("EPICS_CA_AUTO_ADDR_LIST", "")
    listed = address_list(host, text, port)
    if not auto or auto.lower() == "yes":
        bound = {each.address for each in server.udp}
        for device in host.devices:
            if device.loopback or not device.up:
                continue
            for each in device.addresses:
                if 0 in bound or each.ip in bound:
                    to = each.broadcast if each.broadcast is not None else (each.peer or each.ip)
                    listed.append((to, port))
    return [(0, to, number) for to, number in dict.fromkeys(listed)]


def _port(env: Mapping[str, str], *names: str) -> int:
    for each in names:
        text = env.get(each, "")
        if text.isdigit():
            return int(text)
    return BEACON_PORT
