"""Make cables hurt packets: by nftables where only loss is asked for, by netem where that does, else by a relay.

Drops sit at the bridge port, in the netdev family: ``ingress`` for what the host sends, ``egress`` for what it
would receive. They cost nothing, but their chance has no seed. The relay takes the port off the bridge and puts
itself between::

    host eth0 ─── port p10001 ══ Relay ══ s10001 ─── r10001 ─── bridge

The port keeps its index, so captures still see there what the host sends and what is delivered to it. netem sits at
that port, too, and hurts what the host would receive. What the host sends would have to be hurt on the host, before
captures see it; so the relay does that on every kernel.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from canet.netns import netem, rtnetlink
from canet.netns.apply import Realm, checksum_when_sent
from canet.netns.errors import NetworkError
from canet.netns.netlink import NETLINK_NETFILTER, Message, Netlink
from canet.netns.plan import WIRE, Place, SetPort
from canet.netns.relay import Relay
from canet.netns.topology import Impairment, Interface

_SOL_PACKET: Final = 263
_PACKET_ADD_MEMBERSHIP: Final = 1
_PACKET_MR_PROMISC: Final = 1
_PACKET_IGNORE_OUTGOING: Final = 23
_ETH_P_ALL: Final = 3
_RELAY_PORT: Final = 1_000_000
_RELAY_SIDE: Final = 2_000_000
_READY_SECONDS: Final = 15.0
_SOUND: Final = Impairment()


@dataclass(slots=True)
class _Cable:
    """What is being done to one interface's cable."""

    host_side: socket.socket | None = None
    bridge_side: socket.socket | None = None
    tables: set[tuple[str, str]] = field(default_factory=set)
    """(namespace, device) with a table of drops."""
    netem: bool = False
    """The kernel hurts what the host would receive."""


class Impairments:
    """All impaired cables of a network. All methods run in the thread that owns the realm."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm
        self._cables: dict[tuple[str, str], _Cable] = {}
        self._relay: Relay | None = None
        self._has_netem = True
        """Until the kernel says that it has none."""

    def close(self) -> None:
        """Stop relaying; the interfaces go with their namespaces."""
        if self._relay is not None:
            self._relay.close()
        for cable in self._cables.values():
            for each in (cable.host_side, cable.bridge_side):
                if each is not None:
                    each.close()
        self._cables.clear()

    def apply(self, host: str, interface: Interface, place: Place, far: tuple[str, str] | None) -> None:
        """Make a cable do exactly what ``interface.impairments`` says.

        Args:
            host: the host's name.
            interface: what it should be like.
            place: its indexes.
            far: host and interface at the far end of a direct cable.

        Raises:
            NetworkError: if this kind of cable cannot be hurt in this way.
        """
        wanted = {each.direction: each for each in interface.impairments}
        cable = self._cables.setdefault((host, interface.name), _Cable())
        self._stop_drops(cable)
        if self._by_netem(cable, place, wanted.get("in", _SOUND)):
            del wanted["in"]
        relayed = cable.host_side is not None or any(_needs_relay(each) for each in wanted.values())
        if relayed and place.port is None:
            raise NetworkError(
                f"host {host} interface {interface.name}: only loss and cuts work without a segment; "
                "put the interface on a segment for delay, jitter, rate, duplicates, reordering, corruption and seeds"
            )
        if not wanted and cable.host_side is not None:
            self._stop_relay(cable, place, interface)
        elif relayed:
            self._carry(cable, place, interface, wanted)
        else:
            try:
                for direction, each in wanted.items():
                    self._start_drops(cable, host, interface, place, far, direction, 1.0 if each.cut else each.loss)
            except NetworkError:
                if place.port is None:
                    raise
                # Kernels before 5.16 have no egress hook: the relay does the same.
                self._stop_drops(cable)
                self._carry(cable, place, interface, wanted)

    def _by_netem(self, cable: _Cable, place: Place, wanted: Impairment) -> bool:
        """Let the kernel hurt what the host would receive, if that is for it, and say whether it does."""
        if place.port is None:
            return False
        before, cable.netem = cable.netem, False
        if self._has_netem and netem.does(wanted):
            # Whatever it is refused for, a kernel without the module or another: the relay does the same.
            cable.netem = self._has_netem = not self._realm.route(WIRE).request([netem.hurt(place.port, wanted)])
        if before and not cable.netem:
            self._realm.request(WIRE, [netem.heal(place.port)])
        return cable.netem

    def _carry(
        self, cable: _Cable, place: Place, interface: Interface, wanted: Mapping[Literal["in", "out"], Impairment]
    ) -> None:
        self._start_relay(cable, place, interface)
        assert self._relay is not None
        assert cable.host_side is not None
        assert cable.bridge_side is not None
        self._relay.carry(cable.host_side, cable.bridge_side, wanted.get("out", _SOUND))
        self._relay.carry(cable.bridge_side, cable.host_side, wanted.get("in", _SOUND))

    def _start_drops(
        self,
        cable: _Cable,
        host: str,
        interface: Interface,
        place: Place,
        far: tuple[str, str] | None,
        direction: str,
        loss: float,
    ) -> None:
        if place.port is not None:
            hook = "ingress" if direction == "out" else "egress"
            self._drops(cable, WIRE, f"p{place.port}", hook, loss)
        elif direction == "in":
            self._drops(cable, host, interface.name, "ingress", loss)
        elif far is not None:
            self._drops(cable, far[0], far[1], "ingress", loss)
        else:
            raise NetworkError(
                f"host {host} interface {interface.name}: what a macvlan sends cannot be lost; impair its parent"
            )

    def _drops(self, cable: _Cable, namespace: str, device: str, hook: str, loss: float) -> None:
        from canet.netns import nft

        self._transact(namespace, nft.drop_at(device, hook, loss))
        cable.tables.add((namespace, device))

    def _stop_drops(self, cable: _Cable) -> None:
        from canet.netns import nft

        for namespace, device in cable.tables:
            for hook in ("ingress", "egress"):
                self._transact(namespace, nft.drop_at(device, hook, None))
        cable.tables.clear()

    def _transact(self, namespace: str, messages: Sequence[Message]) -> None:
        self._realm.enter(namespace)
        with Netlink(NETLINK_NETFILTER) as channel:
            refused = channel.transaction(messages)
        if refused:
            raise NetworkError("; ".join(map(str, refused)))

    def _start_relay(self, cable: _Cable, place: Place, interface: Interface) -> None:
        if cable.host_side is not None:
            return
        assert place.port is not None
        assert place.bridge is not None
        bridge_port, side = _RELAY_PORT + place.port, _RELAY_SIDE + place.port
        self._realm.request(
            WIRE,
            [
                rtnetlink.make_pair(bridge_port, f"r{place.port}", side, f"s{place.port}"),
                rtnetlink.join_bridge(place.port, 0, up=interface.plugged),
                rtnetlink.join_bridge(bridge_port, place.bridge),
                rtnetlink.join_bridge(side, 0),  # the last: it may send at once, and the other is waited for
                rtnetlink.set_port(SetPort(namespace=WIRE, index=bridge_port, port=interface.port)),
            ],
        )
        for name in (f"p{place.port}", f"s{place.port}"):
            self._quiet(name)
        if self._relay is None:
            self._relay = Relay()
        cable.host_side = self._open(f"p{place.port}", place.port)
        cable.bridge_side = self._open(f"s{place.port}", side)
        self._realm.await_ports({bridge_port: f"the relay of {interface.name}"}, time.monotonic() + _READY_SECONDS)

    def _quiet(self, name: str) -> None:
        """Keep partial checksums off the relayed frames."""
        self._realm.enter(WIRE)
        checksum_when_sent(name)

    def _open(self, name: str, index: int) -> socket.socket:
        found = self._realm.open_socket(WIRE, socket.AF_PACKET, socket.SOCK_RAW, 0)
        found.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        membership = struct.pack("=iHH8s", index, _PACKET_MR_PROMISC, 0, b"")
        found.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
        found.setblocking(False)
        found.bind((name, _ETH_P_ALL))
        return found

    def _stop_relay(self, cable: _Cable, place: Place, interface: Interface) -> None:
        assert self._relay is not None
        assert place.port is not None
        assert place.bridge is not None
        for each in (cable.host_side, cable.bridge_side):
            if each is not None:
                self._relay.drop(each)
                each.close()
        cable.host_side = cable.bridge_side = None
        self._realm.request(
            WIRE,
            [
                rtnetlink.delete_link(_RELAY_PORT + place.port),
                rtnetlink.join_bridge(place.port, place.bridge, up=interface.plugged),
                rtnetlink.set_port(SetPort(namespace=WIRE, index=place.port, port=interface.port)),
            ],
        )
        if interface.up and interface.plugged:
            self._realm.await_ports({place.port: f"the port of {interface.name}"}, time.monotonic() + _READY_SECONDS)

    def relayed_port(self, host: str, interface: str, place: Place) -> int | None:
        """Return the index of the bridge port that stands for an interface: its own, or its relay's."""
        cable = self._cables.get((host, interface))
        if place.port is not None and cable is not None and cable.host_side is not None:
            return _RELAY_PORT + place.port
        return place.port


def _needs_relay(impairment: Impairment) -> bool:
    """Say whether more is asked for than to drop a fraction of the frames."""
    return bool(
        impairment.delay
        or impairment.jitter
        or impairment.duplicate
        or impairment.reorder
        or impairment.corrupt
        or impairment.rate
        or impairment.seed
    )
