"""Which sockets each server implementation opens, in order, and how it answers.

canet's own plan is the server's (:mod:`canet.server.core.binding`); rsrv follows ``caservertask.c``, pcas
``caServerIO.cc`` and ``casDGIntfIO.cc``, caproto ``server/common.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from canet.harness.participants.recipe import resolve as participant
from canet.harness.participants.recipe import served
from canet.harness.predict.addresses import SERVER_PORT, quad, server_port
from canet.harness.predict.addresses import resolve as resolve_name
from canet.harness.predict.exchange import World
from canet.harness.predict.network import LIMITED, LOOPBACK, Device, HostTables, is_loopback, is_multicast, mask
from canet.harness.predict.sockets import TcpListener, UdpSocket, bind_address
from canet.harness.predict.trace import Trace, address
from canet.scenarios.model import WITNESS, Server
from canet.scenarios.versions import as_it_reads
from canet.server.core.binding import Interface, Plan, Search, plan
from canet.server.core.config import Config, ConfigError, Endpoint

MODELLED = ("canet", "rsrv", "caproto", "pcaspy", "occupant", "gateway", "nameserver", "relay", "repeater", "scripted")
SCRIPTED = frozenset({"pvs", "minor", "reuse", "accept", "answer_from", "fragile", "remembers", "leaks"})
"""What a scripted server may be told so that the model knows what it does; the last two show in its memory alone."""


@dataclass(slots=True, eq=False)
class ServerState:
    """A server as it runs: what it opened, what it serves, how it answers."""

    server: Server
    implementation: str
    host: HostTables
    """Its host as it is."""
    born: HostTables
    """Its host as it was when it started: most servers look at their interfaces then and never again."""
    udp: list[UdpSocket] = field(default_factory=list)
    tcp: list[TcpListener] = field(default_factory=list)
    pvs: frozenset[str] = frozenset()
    ignored: frozenset[int] = frozenset()
    dead: str | None = None
    """Why it does not serve."""
    unknown: str = ""
    """Why the model does not know what it does."""
    answer_from: int = 1
    """It answers the search for a name from this one on."""
    fragile: frozenset[str] = frozenset()
    """What makes it stop reading searches, in the words of :mod:`canet.harness.participants.serve_scripted`."""
    announces: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Name servers: PV → address (0: its own) and port that it tells the asker."""
    asked: set[str] = field(default_factory=set)
    """Gateways: PVs that were searched here by UDP, so that it has looked for them."""
    mute: bool = False
    """It holds ports but speaks no Channel Access."""
    notes: list[Trace] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The server's name in the scenario."""
        return self.server.name

    def knows(self, pv: str) -> bool:
        """Tell whether a client that connects straight away gets a PV; a gateway may have to be searched first."""
        if pv not in self.pvs:
            return False
        waits = self.implementation == "gateway" and self.server.options.get("search_on_create") is False
        return not waits or pv in self.asked

    @property
    def modelled(self) -> bool:
        """The model knows what it does."""
        return not self.unknown

    @property
    def port(self) -> int:
        """The TCP port that it announces."""
        return self.tcp[0].port if self.tcp else 0


def start(world: World, servers: Sequence[Server], subject: str) -> dict[str, ServerState]:
    """Open the sockets of all servers that start by themselves, in the order of the scenario."""
    found: dict[str, ServerState] = {}
    for position, server in enumerate(servers):
        if server.autostart:
            found[server.name] = start_one(world, server, subject, position, len(found))
    return found


def start_one(world: World, server: Server, subject: str, position: int, number: int) -> ServerState:
    """Open the sockets of one server; ``number`` makes its ephemeral port differ from others'."""
    server = as_it_reads(server)
    implementation, _ = participant(server, subject, position)
    host = world.network.hosts[server.host]
    state = ServerState(server, implementation, host, host, pvs=frozenset(served(server)))
    opener = {
        "canet": _canet,
        "rsrv": _rsrv,
        "caproto": _caproto,
        "pcaspy": _pcas,
        "occupant": _occupant,
        "gateway": _canet,
        "nameserver": _nameserver,
        "relay": _relay,
        "scripted": _scripted,
        "mrouter": _multicast_router,
        "repeater": _silent,
    }
    if implementation not in opener:
        state.unknown = f"{server.name} is a program that the model does not know"
        return state
    opener[implementation](world, state, 1 + number)
    if state.dead is not None:
        for udp in state.udp:
            world.bound(host.name).close(udp)
        state.udp.clear()
        listening = world.listening(host.name)
        listening.sockets = [each for each in listening.sockets if each not in state.tcp]
        state.tcp.clear()
        state.notes.append((None, "server-dead", (server.name, state.dead)))
    return state


# --- each implementation


def interfaces_of(host: HostTables) -> list[Interface]:
    """Return a host's addresses as ``getifaddrs`` lists them, loopback first."""
    found = []
    for device in host.devices:
        for each in device.addresses:
            netmask = str(IPv4Address(mask(each.prefix)))
            broadcast = each.broadcast if each.broadcast is not None else (each.peer or each.ip)
            peer = None if each.peer is None else address(each.peer)
            found.append(Interface(device.name, address(each.ip), netmask, address(broadcast), peer))
    return found


def canet_plan(state: ServerState) -> tuple[Config, Plan] | str:
    """Return the settings and the sockets of one of our servers, or why it does not start; remembered by host."""
    server, host = state.server, state.host
    key = ("plan", server.layout, server.reuse, tuple(sorted(server.env.items())))
    known = host.remembered.get(key)
    if known is None:
        try:
            config = Config.from_environment(server.env, layout=server.layout, reuse=server.reuse)
            config = _resolved(config, host)
            known = config, plan(config, interfaces_of(host))
        except ConfigError as error:
            known = str(error)
        host.remembered[key] = known
    return known  # type: ignore[return-value]  # only this function stores under this key


def _canet(world: World, state: ServerState, number: int) -> None:
    planned = canet_plan(state)
    if isinstance(planned, str):
        state.dead = planned
        return
    config, sockets = planned
    if config.ignored:
        state.ignored = frozenset(found for each in config.ignored if (found := quad(each)) is not None)
    for search in sockets.searches:
        open_search(world, state, search)
    if not state.udp:
        state.dead = "none of its search sockets can be bound"
        return
    _listen(world, state, [quad(each) or 0 for each in sockets.tcp], config.server_port, number)


def open_search(world: World, state: ServerState, search: Search) -> None:
    """Open one search socket of one of our servers, if it can be bound, and join its groups."""
    server, at = state.server, quad(search.bind.host)
    if at is None:
        return
    udp = UdpSocket(
        server.name,
        at,
        search.bind.port,
        server.reuse in ("both", "addr"),
        server.reuse in ("both", "port"),
        server.uid or 0,
        all_groups=False,
    )
    if not _bind(world, state, udp):
        return
    for group, source in search.groups:
        _join(world, state.host, udp, quad(group) or 0, quad(source) or 0)


def _resolved(config: Config, host: HostTables) -> Config:
    def all_of(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        found = ((resolve_name(host, each.host), each.port) for each in endpoints)
        return tuple(Endpoint(address(at), port) for at, port in found if at is not None)

    ignored = (resolve_name(host, each) for each in config.ignored)
    return replace(
        config,
        interfaces=all_of(config.interfaces),
        ignored=frozenset(address(at) for at in ignored if at is not None),
        beacon_to=all_of(config.beacon_to),
    )


def _rsrv(world: World, state: ServerState, number: int) -> None:
    env, host = state.server.env, state.host
    port = server_port(env, "EPICS_CAS_SERVER_PORT")
    state.ignored = frozenset(at for at, _ in address_list(host, env.get("EPICS_CAS_IGNORE_ADDR_LIST", ""), 0))
    listed = address_list(host, env.get("EPICS_CAS_INTF_ADDR_LIST", ""), port)
    groups = [at for at, _ in listed if is_multicast(at)]
    wanted = [pair for pair in listed if not is_multicast(pair[0])] or [(0, port)]
    if len(wanted) > 1 and any(at == 0 for at, _ in wanted):
        state.dead = "EPICS_CAS_INTF_ADDR_LIST names 0.0.0.0 together with other addresses"
        return
    usable = [pair for pair in wanted if bind_address(host, pair[0])[0] is None]
    if not usable:
        state.dead = "EPICS_CAS_INTF_ADDR_LIST names no address of this host ('empty interface list')"
        return
    for at, to in usable:
        first = _socket(state, at, to)
        if not _bind(world, state, first):
            state.dead = f"its UDP socket {address(at)}:{to} cannot be bound"
            return
        for group in groups:
            _join(world, host, first, group, at)
        if at:
            _pair(world, state, first, _match_broadcast(host, at), to)
    _listen(world, state, [at for at, _ in usable], port, number)


def _pcas(world: World, state: ServerState, number: int) -> None:
    env, host = state.server.env, state.host
    port = server_port(env, "EPICS_CAS_SERVER_PORT")
    state.ignored = frozenset(at for at, _ in address_list(host, env.get("EPICS_CAS_IGNORE_ADDR_LIST", ""), 0))
    wanted = address_list(host, env.get("EPICS_CAS_INTF_ADDR_LIST", ""), port) or [(0, port)]
    if not any(not device.loopback and device.up and device.addresses for device in host.devices):
        state.dead = "server isn't attached to a network - unable to continue"
        return
    for at, to in wanted:
        first = _socket(state, at, to)
        if not _bind(world, state, first):
            state.dead = f"its UDP socket {address(at)}:{to} cannot be bound"
            return
        if at:
            _pair(world, state, first, _match_broadcast(host, at), to)
    _listen(world, state, [at for at, _ in wanted], port, number)


def _caproto(world: World, state: ServerState, number: int) -> None:
    env, host = state.server.env, state.host
    port = server_port(env)
    words = [each for each in env.get("EPICS_CAS_INTF_ADDR_LIST", "").split(" ") if each.strip()]
    found = [resolve_name(host, each.partition(":")[0]) for each in dict.fromkeys(words)] or [0]
    if None in found:
        state.dead = "EPICS_CAS_INTF_ADDR_LIST has an entry that does not resolve"
        return
    wanted = [at for at in found if at is not None]
    for at in wanted:
        if bind_address(host, at)[0] is not None:
            state.dead = f"{address(at)} is not an address of this host"
            return
    _listen(world, state, wanted, port, number)
    for at in wanted:
        if not _bind(world, state, _socket(state, at, port)):
            state.dead = f"its UDP socket {address(at)}:{port} cannot be bound"
            return


def _occupant(world: World, state: ServerState, _number: int) -> None:
    options = state.server.options
    state.mute, state.pvs = True, frozenset()
    if options.get("udp"):
        _bind(world, state, UdpSocket(state.name, 0, int(options["udp"]), False, False, state.server.uid or 0))
    if options.get("tcp") and options.get("listen", True):
        listener = TcpListener(state.name, 0, int(options["tcp"]))
        state.tcp.append(listener)
        world.listening(state.host.name).sockets.append(listener)


def _nameserver(world: World, state: ServerState, number: int) -> None:
    _canet(world, state, number)
    state.pvs = frozenset((*state.server.pvs, WITNESS))
    for line in str(state.server.options.get("table", "")).splitlines():
        words = line.split()
        at, _, port = words[1].partition(":") if len(words) > 1 else ("", "", "")
        found = resolve_name(state.host, at) if at else None
        if found is not None:
            state.announces[words[0]] = found, int(port) if port.isdigit() else SERVER_PORT
    state.pvs |= frozenset(state.announces)


def _scripted(world: World, state: ServerState, number: int) -> None:
    """Serve as a well-behaved one does, but for what it is told to do wrong."""
    port, options = server_port(state.server.env), state.server.options
    reuse = bool(options.get("reuse", True))
    state.answer_from = int(options.get("answer_from", 1))
    state.fragile = frozenset(str(options.get("fragile", "")).split())
    if odd := sorted(set(options) - SCRIPTED):
        state.unknown = f"{state.name} is told to misbehave in a way that the model does not know ({', '.join(odd)})"
    udp = UdpSocket(state.name, 0, port, reuse, reuse, state.server.uid or 0)
    if not _bind(world, state, udp):
        state.dead = f"UDP port {port} is held by somebody who does not share it"
        return
    _listen(world, state, [0], port, number)
    for each in state.tcp:
        each.full = not options.get("accept", True)


def _relay(world: World, state: ServerState, _number: int) -> None:
    world.relays[state.host.name] = bool(state.server.options.get("keep_source", True))
    _silent(world, state, _number)


def _multicast_router(world: World, state: ServerState, number: int) -> None:
    world.routers.add(state.host.name)
    _silent(world, state, number)


def _silent(_world: World, state: ServerState, _number: int) -> None:
    state.mute, state.pvs = True, frozenset()


# --- what they have in common


def address_list(host: HostTables, text: str, port: int) -> list[tuple[int, int]]:
    """Read a list as Base's libraries do: white space, ``host[:port]``; what does not resolve is skipped."""
    found: dict[tuple[int, int], None] = {}
    for word in text.split():
        name, _, number = word.partition(":")
        at = resolve_name(host, name)
        if at is not None:
            found[at, int(number) if number.isdigit() else port] = None
    return list(found)


def _socket(state: ServerState, at: int, port: int) -> UdpSocket:
    joins = state.implementation in ("rsrv", "canet")
    fanout = state.implementation != "pcaspy"  # measured: its sockets share by SO_REUSEADDR alone
    return UdpSocket(state.name, at, port, True, fanout, state.server.uid or 0, all_groups=not joins)


def _bind(world: World, state: ServerState, udp: UdpSocket) -> bool:
    error = world.bound(state.host.name).bind(state.host, udp)
    if error is None:
        state.udp.append(udp)
        return True
    state.notes.append((None, "bind-failed", (state.name, address(udp.address), udp.port, state.host.name, error)))
    return False


def _match_broadcast(host: HostTables, at: int) -> int | None:
    """Return the broadcast address that libCom finds for an interface's address (osiSockDiscoverBroadcastAddresses)."""
    if at == LOOPBACK:
        return LOOPBACK
    for device in host.devices:
        for each in device.addresses:
            if each.ip == at and not device.loopback:
                return each.broadcast if each.broadcast is not None else (each.peer or each.ip)
    return None


def _pair(world: World, state: ServerState, first: UdpSocket, broadcast: int | None, port: int) -> None:
    """Open the second socket for broadcasts; replies leave through the first (cast_server's reply socket)."""
    if broadcast is None or broadcast == LIMITED:
        return
    second = _socket(state, broadcast, port)
    second.reply_through = first
    _bind(world, state, second)


def _join(world: World, host: HostTables, udp: UdpSocket, group: int, source: int) -> None:
    """Join a group on the interface that has ``source``, or (0) on the one that the route names."""
    device: Device | None = None
    if source:
        device = next((each for each in host.devices if any(a.ip == source for a in each.addresses)), None)
    else:
        entry = host.lookup(group)
        device = None if entry is None else entry.device
    if device is not None:
        world.groups.setdefault(group, set()).add(device)
        udp.joined = udp.joined | {(group, device)}


def _listen(world: World, state: ServerState, addresses: list[int], port: int, number: int) -> None:
    """Listen on one port at all addresses: the wanted one if it is free, else an ephemeral one."""
    listening = world.listening(state.host.name)
    usable = [at for at in dict.fromkeys(addresses) if bind_address(state.host, at)[0] is None]
    ephemeral = any(listening.taken(at, port) for at in usable)
    if ephemeral:
        state.notes.append((None, "server-tcp-other", (state.name, port, state.host.name)))
        low, high = state.host.ephemeral
        port = low + 1 + (number * 1009) % (high - low)
    for at in usable:
        listener = TcpListener(state.name, at, port, ephemeral, state.server.uid or 0)
        state.tcp.append(listener)
        listening.sockets.append(listener)


__all__ = ["MODELLED", "SERVER_PORT", "ServerState", "interfaces_of", "is_loopback", "start", "start_one"]
