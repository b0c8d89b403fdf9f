"""Who answers a search, by which sockets, whether the reply comes back, and whether the connection then works."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from canet.harness.predict.exchange import Answer, Connecting, Delivered, Delivery, World, answer, connect
from canet.harness.predict.firewall import State
from canet.harness.predict.network import HostTables
from canet.harness.predict.payloads import names_in
from canet.harness.predict.servers import ServerState
from canet.harness.predict.sockets import UdpSocket
from canet.harness.predict.trace import Trace, address
from canet.scenarios.model import WITNESS

REPLY_HEAD = 24
"""Octets of one search answer with its payload (CA protocol specification, CA_PROTO_SEARCH)."""


@dataclass(slots=True, eq=False)
class Asker:
    """The socket that searched."""

    host: HostTables
    source: int
    """What it is bound to; 0: wildcard."""
    port: int
    uid: int = 0


@dataclass(slots=True, eq=False)
class Response:
    """One reply of one server, and what a connection to what it announces gives."""

    server: ServerState
    delivery: Delivery
    reply: Answer
    lucky: bool
    """Whether this server's socket gets the datagram is chance."""
    connecting: Connecting | None = None

    told: tuple[int, int] = (0, 0)
    """Address (0: the reply's source) and port that the reply names."""

    @property
    def announced(self) -> str:
        """Where the asker is told to connect: usually the reply's source address and the server's TCP port."""
        return f"{address(self.told[0] or self.reply.source)}:{self.told[1]}"

    @property
    def reached(self) -> str | None:
        """Whom the connection reaches."""
        tried = self.connecting
        return None if tried is None or tried.listener is None else tried.listener.owner


def responses(
    world: World,
    state: State,
    servers: dict[str, ServerState],
    sent: Delivered,
    asker: Asker,
    names: Iterable[str],
    *,
    once: bool = False,
    payload: bytes | None = None,
) -> list[Response]:
    """Return each reply to a search for ``names`` that a socket may give, whether it comes back or not.

    ``once``: the search is not repeated, so that a gateway, which has to look first, may not answer it. ``payload``:
    the datagram itself, where servers read different names out of it.
    """
    wanted = frozenset(names)
    found: list[Response] = []
    for delivery in sent.deliveries:
        owners = {each.owner for each in delivery.sockets}
        lucky = not delivery.everyone and len(owners) > 1
        for socket in delivery.sockets:
            server = servers.get(socket.owner)
            if server is None or server.mute or delivery.arrival.packet.source in server.ignored:
                continue
            if server.fragile and not server.udp:
                continue
            if payload is not None:
                wanted = names_in(payload, server.implementation)
            count = len(wanted & server.pvs)
            new = once and server.implementation == "gateway" and not wanted & server.pvs - {WITNESS} <= server.asked
            server.asked |= wanted & server.pvs
            if not count:
                continue
            told = {server.announces.get(each, (0, server.port)) for each in wanted & server.pvs}
            for through in _sockets(server, socket):
                size = 16 + REPLY_HEAD * count
                back = answer(world, state, delivery, through, asker.host, asker.source, asker.port, size=size)
                back.chance |= new
                found.extend(Response(server, delivery, back, lucky, None, each) for each in sorted(told))
    return found


def _sockets(server: ServerState, socket: UdpSocket) -> list[UdpSocket]:
    """Return the sockets that a reply leaves through."""
    if server.implementation == "caproto":
        return server.udp
    return [socket.reply_through or socket]


Cache = dict[tuple[int, int, int], Connecting]


def follow(world: World, state: State, response: Response, asker: Asker, cache: Cache) -> None:
    """Try the connection that a reply leads to; the same address is tried once."""
    if not response.reply.arrived or not response.told[1]:
        return
    to, port = response.told[0] or response.reply.source, response.told[1]
    key = (asker.host.index, to, port)
    tried = cache.get(key)
    if tried is None:
        why: Trace = response.reply.trace
        tried = connect(
            world,
            state,
            asker.host,
            to,
            port,
            source=asker.source,
            sport=50001 + len(cache) % 10000,
            uid=asker.uid,
            trace=why,
        )
        cache[key] = tried
    response.connecting = tried
