"""Who reaches whom in a large site: the prediction of every client for every IOC, with nothing computed twice.

Replies of two IOCs on one host go the same way, and so do connections where no firewall looks at ports.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from canet.harness.predict.addresses import READERS, Searching
from canet.harness.predict.exchange import Answer, Delivered, Delivery, answer, connect, deliver
from canet.harness.predict.firewall import State
from canet.harness.predict.network import HostTables
from canet.harness.predict.servers import ServerState
from canet.harness.predict.sockets import UdpSocket
from canet.harness.predict.stage import Stage
from canet.harness.predict.trace import Trace
from canet.scenarios.model import Client


@dataclass(slots=True)
class Reach:
    """What a client gets of one server: ``always``, ``luck``, ``never``, and the trace that says why."""

    verdict: str
    why: Trace | None
    replies: int = 0
    """Search replies that come back to one search."""
    there: bool = True
    """It was decided on the server's own host, not on the way."""


@dataclass(slots=True)
class Reacher:
    """Computes reaches for the clients of a stage; keeps what is the same for many."""

    scene: Stage
    connections: dict[tuple[int, int, int, int], tuple[bool, Trace]] = field(default_factory=dict)
    filtering: bool = field(init=False)
    """Some router has rules, so a connection's port may matter anywhere."""

    def __post_init__(self) -> None:
        hosts = self.scene.world.network.hosts.values()
        self.filtering = any(host.hooked and any(each.forwarding for each in host.devices) for host in hosts)

    def client(self, client: Client) -> tuple[Searching, dict[str, Reach]]:
        """Return how a client searches, and what it gets of each server that serves a PV it wants."""
        scene = self.scene
        host = scene.world.network.hosts[client.host]
        searching = READERS.get(client.implementation, READERS["libca"])(client.name, host, client.env)
        state = State({}, scene.memory.neighbours, scene.memory.waiting)
        port = scene.port()
        wanted = frozenset(client.pvs)
        servers = {n: s for n, s in scene.servers.items() if not s.mute and (not wanted or wanted & s.pvs)}
        found: dict[str, Reach] = {}
        sent = [
            deliver(
                scene.world, state, host, 0, port, each.address, each.port, size=64, uid=client.uid or 0, trace=each.why
            )
            for each in searching.destinations
        ]
        for each in sent:
            self._datagram(each, state, host, port, servers, found)
        for to in searching.name_servers:
            tried = connect(scene.world, state, host, to.address, to.port, sport=49001, trace=to.why)
            if tried.listener is not None:
                found[tried.listener.owner] = Reach("always", tried.trace)
        for name, server in servers.items():
            if name not in found:
                there, why = _where(sent, server)
                found[name] = Reach("never", why, 0, there)
        return searching, {name: reach for name, reach in found.items() if name in servers}

    def _datagram(
        self,
        sent: Delivered,
        state: State,
        host: HostTables,
        port: int,
        servers: dict[str, ServerState],
        found: dict[str, Reach],
    ) -> None:
        answers: dict[tuple[int, int, int, int], Answer] = {}
        for delivery in sent.deliveries:
            lucky = not delivery.everyone and len({each.owner for each in delivery.sockets}) > 1
            lucky |= delivery.arrival.packet.chance
            for socket in delivery.sockets:
                server = servers.get(socket.owner)
                if server is None or delivery.arrival.packet.source in server.ignored:
                    continue
                many = server.udp if server.implementation == "caproto" else [socket.reply_through or socket]
                for through in many:
                    self._reply(delivery, through, lucky, state, host, port, server, answers, found)

    def _reply(
        self,
        delivery: Delivery,
        through: UdpSocket,
        lucky: bool,
        state: State,
        host: HostTables,
        port: int,
        server: ServerState,
        answers: dict[tuple[int, int, int, int], Answer],
        found: dict[str, Reach],
    ) -> None:
        key = (id(delivery), through.source, through.port, through.uid)
        back = answers.get(key)
        if back is None:
            back = answers[key] = answer(self.scene.world, state, delivery, through, host, 0, port, size=48)
        if not back.arrived:
            _note(found, server.name, Reach("never", back.trace))
            return
        reached, why = self._connect(state, host, server, back)
        verdict = "never" if not reached else "luck" if lucky or back.chance else "always"
        _note(found, server.name, Reach(verdict, why, 1))

    def _connect(self, state: State, host: HostTables, server: ServerState, back: Answer) -> tuple[bool, Trace]:
        sensitive = self.filtering or host.hooked or server.host.hooked
        key = (host.index, server.host.index, back.source, server.port if sensitive else 0)
        known = self.connections.get(key)
        if known is None:
            port = server.port
            tried = connect(self.scene.world, state, host, back.source, port, sport=50001, trace=back.trace)
            known = self.connections[key] = tried.error is None, tried.trace
        works, why = known
        if works and not sensitive:
            listener = self.scene.world.listening(server.host.name).find(back.source, server.port)
            works = listener is not None and listener.owner == server.name
        return works, why


RANK = {"never": 0, "luck": 1, "always": 2}


def _note(found: dict[str, Reach], name: str, new: Reach) -> None:
    old = found.get(name)
    if old is None:
        found[name] = new
        return
    best = new if RANK[new.verdict] > RANK[old.verdict] else old
    found[name] = Reach(best.verdict, best.why, old.replies + new.replies)


def _where(sent: list[Delivered], server: ServerState) -> tuple[bool, Trace | None]:
    """Return the trace that ended nearest to a server, and whether that was on its host."""
    anywhere: Trace | None = None
    for each in sent:
        for end in _ends(each):
            if end[0] == server.host.name:
                return True, end[1]
            anywhere = end[1]
    return False, anywhere


def _ends(sent: Delivered) -> Iterator[tuple[str, Trace]]:
    for delivery in (*sent.unheard, *sent.deliveries):
        yield delivery.arrival.host.name, delivery.trace
    for drop in sent.drops:
        yield drop.host.name, drop.trace
