"""Servers in the model while a scenario goes on: they end, and their network changes under them.

canet follows its interfaces, as its driver does (:mod:`canet.server.io.driver`). All others keep the sockets that they
opened when they started, whatever becomes of the addresses.
"""

from __future__ import annotations

from collections.abc import Iterable

from canet.harness.predict.addresses import quad
from canet.harness.predict.exchange import World
from canet.harness.predict.network import Device, Network
from canet.harness.predict.servers import ServerState, canet_plan, open_search
from canet.harness.predict.sockets import TcpListener

FOLLOWS = ("canet", "gateway", "nameserver")
"""Implementations that look at the interfaces again when one changes."""


def end(world: World, state: ServerState) -> None:
    """Close all that a server has opened: what it was bound to is free."""
    for udp in state.udp:
        world.bound(state.host.name).close(udp)
    listening = world.listening(state.host.name)
    listening.sockets = [each for each in listening.sockets if each not in state.tcp]
    if state.implementation == "relay":
        world.relays.pop(state.host.name, None)
    if state.implementation == "mrouter":
        world.routers.discard(state.host.name)
    state.udp.clear()
    state.tcp.clear()


def move(world: World, network: Network, servers: Iterable[ServerState]) -> None:
    """Put the sockets of all servers into another network: the same hosts after a change."""
    world.network = network
    world.groups.clear()
    for state in servers:
        state.host = network.hosts[state.host.name]
        for udp in state.udp:
            udp.joined = frozenset((group, now) for group, device in udp.joined for now in _same(network, device))
        if state.implementation in FOLLOWS and state.dead is None:
            _follow(world, state)
        for udp in state.udp:
            for group, device in udp.joined:
                world.groups.setdefault(group, set()).add(device)


def _same(network: Network, device: Device) -> list[Device]:
    """Return what a device of before is now; nothing, if its host has it no more."""
    found = network.hosts[device.host.name].by_name.get(device.name)
    return [] if found is None else [found]


def _follow(world: World, state: ServerState) -> None:
    """Let one of our servers close what it has no address for any more, and open what it has one for now."""
    planned = canet_plan(state)
    if isinstance(planned, str):
        return
    wanted = {(quad(each.bind.host), each.bind.port): each for each in planned[1].searches}
    bound = world.bound(state.host.name)
    for udp in [each for each in state.udp if (each.address, each.port) not in wanted]:
        bound.close(udp)
        state.udp.remove(udp)
    held = {(each.address, each.port) for each in state.udp}
    for place, search in wanted.items():
        if place not in held:
            open_search(world, state, search)
    listening = world.listening(state.host.name)
    addresses = [quad(each) or 0 for each in planned[1].tcp]
    port = state.port
    gone = [each for each in state.tcp if each.address not in addresses]
    listening.sockets = [each for each in listening.sockets if each not in gone]
    state.tcp = [each for each in state.tcp if each not in gone]
    for at in addresses:
        if port and all(each.address != at for each in state.tcp) and not listening.taken(at, port):
            fresh = TcpListener(state.name, at, port, uid=state.server.uid or 0)
            state.tcp.append(fresh)
            listening.sockets.append(fresh)
