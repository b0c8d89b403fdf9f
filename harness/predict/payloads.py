"""What servers make of a datagram that is no plain search: which names they read out of it, and who stops at it."""

from __future__ import annotations

from canet.harness.participants.flaws import FLAWS, text
from canet.harness.predict.exchange import Answer, Delivered, World
from canet.harness.predict.servers import ServerState
from canet.server.protocol.commands import Command
from canet.server.protocol.message import read_datagram

LEAVE_OUT_THE_REST = ("rsrv", "pcaspy")
"""They read up to a command that does not exist (``camessage.c`` udp_dispatch, ``casDGClient.cc``; measured)."""
LEAVE_OUT_ALL = ("caproto",)
"""It reads whole datagrams: one command that does not exist spoils all (``_broadcaster.py``; measured)."""


def names_in(data: bytes, implementation: str) -> frozenset[str]:
    """Return the names that an implementation reads out of a datagram as searched for."""
    messages = read_datagram(data)
    bad = next((n for n, each in enumerate(messages) if each.command > Command.SERVER_DISCONN), None)
    if bad is not None and implementation in LEAVE_OUT_ALL:
        messages = []
    elif bad is not None and implementation in LEAVE_OUT_THE_REST:
        messages = messages[:bad]
    found = [text(each.payload) for each in messages if each.command == Command.SEARCH]
    return frozenset(each for each in found if each)


def stop_at(world: World, servers: dict[str, ServerState], sent: Delivered, data: bytes | None) -> None:
    """Let fragile servers stop reading searches at a datagram that they stumble over; ``None``: a plain search."""
    for delivery in sent.deliveries:
        for socket in delivery.sockets:
            server = servers.get(socket.owner)
            flaws = () if server is None or data is None else server.fragile & FLAWS.keys()
            if server is not None and any(FLAWS[each](data or b"") for each in flaws):
                _stop(world, server, "it does not understand the datagram", sure=len(delivery.sockets) == 1)


def stop_where_it_bounces(world: World, server: ServerState, reply: Answer) -> None:
    """Let a server that is fragile so stop reading searches when its reply reaches a host where nobody waits for it."""
    if reply.bounced and "bounced" in server.fragile:
        _stop(world, server, "a reply of its own came back", sure=len(reply.delivery.sockets) == 1)


def _stop(world: World, server: ServerState, why: str, *, sure: bool) -> None:
    if not sure:
        server.unknown = f"by chance {server.name} has stopped reading searches"
        return
    for each in server.udp:
        world.bound(server.host.name).close(each)
    server.udp.clear()
    server.notes.append((None, "server-deaf", (server.name, why)))
