"""Clients that stay while servers and network change: their circuits, and whether what a step waits for happens.

libca's rules with their times: a circuit that the peer closes is noticed at once, and its PVs are searched again within
ten seconds (``udpiiu.cpp``, disconnectGovernorTimer); a silent one is asked after EPICS_CA_CONN_TMO and called
unresponsive 5 s later, but kept, and its PVs are not searched meanwhile (``tcpRecvWatchdog.cpp``); a PV that nobody has
is searched after ever longer pauses, each twice the one before (``searchTimer.cpp``). Where a wait ends so near to such
a moment that a busy machine could decide, the model says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from canet.harness.predict.addresses import Searching, quad
from canet.harness.predict.beacon_train import Beacon, echoes, judge
from canet.harness.predict.clients import FIRST_PAUSE, destinations, predict_client
from canet.harness.predict.exchange import connect
from canet.harness.predict.prediction import PvPrediction
from canet.harness.predict.servers import ServerState
from canet.harness.predict.stage import Stage, all_pvs
from canet.scenarios.model import Client, Step

CONNECTION_TIMEOUT = 30.0
"""EPICS_CA_CONN_TMO where it is not set."""
ECHO_PATIENCE = 5.0
"""Seconds that libca waits for an echo (CA_ECHO_TIMEOUT, ``caProto.h``)."""
GOVERNOR = 10.0
"""Seconds within which libca searches again for the PVs of a lost circuit."""
MARGIN = 2.0
"""Seconds by which a wait must miss a moment, so that a busy machine does not decide."""
PATIENCE = 5.0
"""Seconds that a step ``await`` waits where it does not say."""
COSTS = {"forget": 8.0, "client": 3.0, "flood": 5.0, "beacons": 3.0}
"""Seconds that a step may take; others: one."""
SYN_SECONDS = 127.0
"""After so long the kernel gives up an attempt to connect (tcp_syn_retries = 6, ip-sysctl)."""
FIRST_RETRY = 0.2
"""Seconds until TCP repeats what is not acknowledged (TCP_RTO_MIN), then twice as long each time (tcp_retries2)."""


@dataclass(slots=True, eq=False)
class Circuit:
    """A TCP connection of a client, or the attempt to open one."""

    server: ServerState
    address: int
    port: int
    hangs: bool = False
    """Nobody answers the attempt."""
    unresponsive: bool = False


@dataclass(slots=True, eq=False)
class Stay:
    """A client that stays."""

    client: Client
    searching: Searching
    """What its lists and interfaces gave when it started."""
    circuits: dict[str, Circuit | None] = field(default_factory=dict)
    """PV → its circuit; ``None``: it is searched."""
    lost: set[str] = field(default_factory=set)
    """PVs whose circuit has ended."""
    fresh: bool = True
    """Nothing has changed since it started."""
    known: bool = True
    """Luck has not decided so far."""
    asleep: bool = False
    idle: float = 0.0
    """Seconds since it last was seen to be active, at most."""
    searched: float = 0.0
    """Seconds for which it has searched in vain, at most."""
    told: bool = False
    """It has heard a beacon of a server that it did not know."""
    train: tuple[Beacon, ...] = ()
    """Beacons that a step has sent it …"""
    own: bool = False
    """… in the name of its server."""


def begin(scene: Stage, client: Client) -> Stay:
    """Let a client start that stays."""
    pvs = client.pvs or all_pvs(scene.scenario.servers)
    return Stay(client, destinations(scene, client), dict.fromkeys(pvs))


def settle(scene: Stage, stay: Stay, pvs: Iterable[str]) -> None:
    """Note whom a client is connected to by now."""
    host = scene.world.network.hosts[stay.client.host]
    for each in _told(scene, stay, pvs):
        ways = {(way.reached, way.server, way.announced) for way in each.ways}
        if not ways:
            continue
        if each.verdict == "luck" or len(ways) > 1:
            stay.known = False
            continue
        _, name, announced = ways.pop()
        at, _, port = announced.rpartition(":")
        circuit = Circuit(scene.servers[name], quad(at) or 0, int(port))
        if each.verdict == "never":
            tried = connect(scene.world, scene.memory, host, circuit.address, circuit.port, sport=scene.port())
            circuit.hangs = tried.error == "lost"
            if not circuit.hangs:
                stay.known = False
                continue
        stay.circuits[each.pv] = circuit


def _told(scene: Stage, stay: Stay, pvs: Iterable[str]) -> list[PvPrediction]:
    wanted = set(pvs)
    seen = predict_client(scene, stay.client, why=False, searching=stay.searching)
    return [each for each in seen.pvs if each.pv in wanted]


def pass_time(stay: Stay, step: Step) -> None:
    """Note how long a step may have taken."""
    seconds = float(str(step.args.get("seconds", PATIENCE))) if step.do == "await" else COSTS.get(step.do, 1.0)
    stay.idle += seconds
    count = int(str(step.args.get("searches", 0))) if step.do == "await" else 0
    stay.searched += min(seconds, FIRST_PAUSE * 2**count) if count else seconds


def notice_end(scene: Stage, stay: Stay, state: ServerState) -> None:
    """Let a client notice that a server has ended, if the word reaches it."""
    for pv, circuit in stay.circuits.items():
        if circuit is not None and circuit.server is state and not stay.asleep and _path(scene, stay, circuit):
            stay.circuits[pv] = None
            stay.lost.add(pv)


def _path(scene: Stage, stay: Stay, circuit: Circuit) -> bool:
    """Tell whether segments still pass between a client and where it is connected to."""
    host = scene.world.network.hosts[stay.client.host]
    tried = connect(scene.world, scene.memory, host, circuit.address, circuit.port, sport=scene.port())
    return tried.error in (None, "refused")


def _alive(scene: Stage, circuit: Circuit) -> bool:
    return scene.servers.get(circuit.server.name) is circuit.server


def waited(scene: Stage, stay: Stay, step: Step, happened: bool | None) -> None:
    """Note what a client has become while a step waited for it."""
    event = str(step.args.get("event", "connected"))
    if event in ("connected", "value"):
        if happened is None:
            stay.known &= stay.fresh
        elif happened:
            settle(scene, stay, [pv for pv, circuit in stay.circuits.items() if circuit is None])
            for circuit in stay.circuits.values():
                if circuit is not None:
                    circuit.unresponsive = False
    if happened:
        stay.idle = stay.searched = 0.0
    else:
        pass_time(stay, step)


# --- what a step waits for


def happens(scene: Stage, stay: Stay, step: Step, paused: set[str]) -> bool | None:
    """Say whether what a step waits for happens; ``None``: the model does not know, or luck decides.

    Args:
        scene: What there is now.
        stay: The client.
        step: A step ``await``.
        paused: Servers that are stopped.
    """
    event, args = str(step.args.get("event", "connected")), step.args
    seconds = float(str(args.get("seconds", PATIENCE)))
    pvs = (str(args["pv"]),) if "pv" in args else tuple(stay.circuits)
    if event == "search" and stay.fresh:
        return bool(stay.searching.destinations)
    if event == "echo" and stay.train and stay.client.implementation == "libca":
        return _echo(stay, float(str(args.get("skip", 0.0))), seconds)
    if event not in ("connected", "value", "disconnected") or not stay.known or stay.asleep:
        return None
    if event == "disconnected":
        return _all(_disconnected(scene, stay, stay.circuits[pv], seconds, paused) for pv in pvs)
    if stay.fresh:
        verdicts = {each.verdict for each in _told(scene, stay, pvs)}
        return True if verdicts == {"always"} else False if "never" in verdicts else None
    return _all(_connected(scene, stay, pv, seconds, paused) for pv in pvs)


def _all(each: Iterable[bool | None]) -> bool | None:
    found = list(each)
    return False if False in found else None if None in found or not found else True


def _echo(stay: Stay, skip: float, seconds: float) -> bool | None:
    """Say whether an echo is sent between ``skip`` and the end of the wait."""
    end = stay.train[-1].at + seconds
    sent = echoes(judge(stay.train) if stay.own else (), _timeout(stay), end)
    edge = MARGIN / 10
    if any(skip + edge < at < end - edge for at in sent):
        return True
    return None if any(skip - edge < at for at in sent) else False


def _timeout(stay: Stay) -> float:
    return float(stay.client.env.get("EPICS_CA_CONN_TMO") or CONNECTION_TIMEOUT)


def _disconnected(scene: Stage, stay: Stay, circuit: Circuit | None, seconds: float, paused: set[str]) -> bool | None:
    if circuit is None or circuit.hangs or stay.client.implementation != "libca":
        return None
    path = _path(scene, stay, circuit)
    if path and _alive(scene, circuit) and circuit.server.name not in paused:
        return False
    at = _timeout(stay) + (0.0 if path and not _alive(scene, circuit) else ECHO_PATIENCE)
    if seconds + stay.idle < at:
        return False
    if seconds < at + MARGIN:
        return None
    circuit.unresponsive = True
    return True


def _connected(scene: Stage, stay: Stay, pv: str, seconds: float, paused: set[str]) -> bool | None:
    """Say whether a client finds a PV again, or for the first time, within so many seconds."""
    found = _told(scene, stay, (pv,))[0].verdict
    circuit = stay.circuits[pv]
    if circuit is None:
        if found != "always":
            return False if found == "never" else None
        return _found(stay, pv, seconds)
    if stay.client.implementation != "libca":
        return None
    free = _free(scene, stay, circuit)
    if free is None:
        back = circuit.unresponsive and circuit.server.name not in paused and not circuit.hangs
        return True if back and seconds > MARGIN else None
    if seconds + stay.idle < free or found == "never":
        return False
    return True if found == "always" and seconds > free + GOVERNOR + MARGIN / 2 else None


def _free(scene: Stage, stay: Stay, circuit: Circuit) -> float | None:
    """Return the seconds until a client gives a circuit up, and so searches again; ``None``: the circuit lives."""
    path, alive = _path(scene, stay, circuit), _alive(scene, circuit)
    if circuit.hangs:
        return SYN_SECONDS
    if path and alive:
        return None
    if path:
        return _timeout(stay)
    options = dict(scene.scenario.topology.host(stay.client.host).sysctls)
    retries = int(options.get("net.ipv4.tcp_retries2", "15"))
    return _timeout(stay) + FIRST_RETRY * ((2 << min(retries, 12)) - 1)


def _found(stay: Stay, pv: str, seconds: float) -> bool | None:
    """Say whether a PV that is there now is found by a client that searches for it."""
    env = stay.client.env
    if stay.client.implementation == "caproto":
        retired = stay.searched > float(env.get("CAPROTO_CLIENT_SEARCH_RETIREMENT_AGE_SEC", "480"))
        pause = float(env.get("CAPROTO_CLIENT_RETRY_RETIRED_SEARCHES_INTERVAL_SEC", "60"))
        if stay.told:
            return True if seconds > MARGIN else None
        return False if retired and stay.searched + stay.idle + seconds + MARGIN < pause else None
    if stay.client.implementation != "libca":
        return None
    latest = GOVERNOR if pv in stay.lost or stay.told else stay.searched
    return True if seconds > latest + MARGIN else None
