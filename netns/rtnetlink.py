"""Steps of a plan as rtnetlink messages (linux/rtnetlink.h, if_link.h, if_addr.h): pure, values in, messages out."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Final

from canet.netns.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Attribute,
    Message,
    decode_attributes,
)
from canet.netns.plan import AddAddress, AddRoute, MakeBridge, MakeCable, MakeMacvlan, SetLink, SetPort
from canet.netns.topology import Port, Route

RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTM_SETLINK: Final = 19
RTM_NEWADDR: Final = 20
RTM_DELADDR: Final = 21
RTM_NEWROUTE: Final = 24
RTM_DELROUTE: Final = 25

AF_INET: Final = 2
AF_BRIDGE: Final = 7
IFF_UP: Final = 1

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_PROTINFO, IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_NET_NS_FD = 12, 16, 18, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_DATA = 1, 2, 5
VETH_INFO_PEER = 1
IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE = 1, 4
IFLA_BR_FORWARD_DELAY, IFLA_BR_STP_STATE, IFLA_BR_MCAST_SNOOPING = 1, 5, 23
IFLA_BRPORT_STATE, IFLA_BRPORT_UNICAST_FLOOD, IFLA_BRPORT_MCAST_FLOOD = 1, 9, 27
IFLA_BRPORT_BCAST_FLOOD, IFLA_BRPORT_ISOLATED = 30, 33
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC = 1, 4, 5, 6, 7

_LINK: Final = struct.Struct("=BxHiII")
_ADDRESS: Final = struct.Struct("=BBBBI")
_ROUTE: Final = struct.Struct("=BBBBBBBBI")
_NEW: Final = NLM_F_CREATE | NLM_F_EXCL
_ROUTE_TYPES: Final = {"unicast": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8}
_MAIN_TABLE, _PROTO_STATIC, _SCOPE_UNIVERSE, _SCOPE_LINK = 254, 4, 0, 253

OPERSTATE_UP: Final = 6
BR_STATE_FORWARDING: Final = 3


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _link(index: int = 0, *, up: bool = False, change: int = 0, family: int = 0) -> bytes:
    return _LINK.pack(family, 0, index, IFF_UP if up else 0, change)


def make_bridge(step: MakeBridge) -> Message:
    """Make a bridge that is up, forwards at once, and does not snoop multicast."""
    settings: list[Attribute] = [
        (IFLA_BR_FORWARD_DELAY, 0),
        (IFLA_BR_STP_STATE, 0),
        (IFLA_BR_MCAST_SNOOPING, b"\0"),
    ]
    return Message(
        RTM_NEWLINK,
        _link(step.index, up=True, change=IFF_UP),
        [
            (IFLA_IFNAME, step.name),
            (IFLA_ADDRESS, _mac(step.mac)),
            (IFLA_MTU, step.mtu),
            (IFLA_LINKINFO, [(IFLA_INFO_KIND, "bridge"), (IFLA_INFO_DATA, settings)]),
        ],
        _NEW,
        f"make bridge {step.name}",
    )


def make_cable(step: MakeCable, far_fd: int) -> Message:
    """Make a veth pair whose far end appears in the namespace of ``far_fd``; a bridge port is up at once."""
    far = _link(step.far_index) + _attributes(
        [
            (IFLA_IFNAME, step.far_name),
            (IFLA_ADDRESS, _mac(step.far_mac)),
            (IFLA_MTU, step.far_mtu),
            (IFLA_NET_NS_FD, far_fd),
        ]
    )
    attributes: list[Attribute] = [
        (IFLA_IFNAME, step.name),
        (IFLA_ADDRESS, _mac(step.mac)),
        (IFLA_MTU, step.mtu),
        (IFLA_LINKINFO, [(IFLA_INFO_KIND, "veth"), (IFLA_INFO_DATA, [(VETH_INFO_PEER, far)])]),
    ]
    if step.bridge is not None:
        attributes.append((IFLA_MASTER, step.bridge))
    up = step.bridge is not None
    return Message(
        RTM_NEWLINK,
        _link(step.index, up=up, change=IFF_UP if up else 0),
        attributes,
        _NEW,
        f"make the cable of host {step.far_namespace} interface {step.far_name}",
    )


def _attributes(attributes: list[Attribute]) -> bytes:
    from canet.netns.netlink import encode_attributes

    return encode_attributes(attributes)


def make_macvlan(step: MakeMacvlan, target_fd: int) -> Message:
    """Make a macvlan on an interface of this namespace and put it into that of ``target_fd``."""
    data: list[Attribute] = [(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE)]
    return Message(
        RTM_NEWLINK,
        _link(step.index),
        [
            (IFLA_IFNAME, step.name),
            (IFLA_ADDRESS, _mac(step.mac)),
            (IFLA_MTU, step.mtu),
            (IFLA_LINK, step.parent),
            (IFLA_NET_NS_FD, target_fd),
            (IFLA_LINKINFO, [(IFLA_INFO_KIND, "macvlan"), (IFLA_INFO_DATA, data)]),
        ],
        _NEW,
        f"make macvlan {step.name} of host {step.namespace}",
    )


def set_link(step: SetLink) -> Message:
    """Set an interface up or down."""
    what = f"set interface {step.name} of {step.namespace} {'up' if step.up else 'down'}"
    return Message(RTM_NEWLINK, _link(step.index, up=step.up, change=IFF_UP), (), 0, what)


def set_port(step: SetPort) -> Message:
    """Set the flags of a bridge port."""
    return Message(
        RTM_SETLINK,
        _link(step.index, family=AF_BRIDGE),
        [(IFLA_PROTINFO | 0x8000, _port_attributes(step.port))],
        0,
        f"set the flags of port {step.index}",
    )


def _port_attributes(port: Port) -> list[Attribute]:
    return [
        (IFLA_BRPORT_UNICAST_FLOOD, bytes([port.flood])),
        (IFLA_BRPORT_MCAST_FLOOD, bytes([port.mcast_flood])),
        (IFLA_BRPORT_BCAST_FLOOD, bytes([port.bcast_flood])),
        (IFLA_BRPORT_ISOLATED, bytes([port.isolated])),
    ]


def join_bridge(index: int, bridge: int, *, up: bool = True) -> Message:
    """Plug an interface into a bridge, or unplug it (``bridge`` 0)."""
    body = _link(index, up=up, change=IFF_UP)
    return Message(RTM_NEWLINK, body, [(IFLA_MASTER, bridge)], 0, f"plug interface {index} into bridge {bridge}")


def make_pair(index: int, name: str, far_index: int, far_name: str) -> Message:
    """Make a veth pair with both ends in this namespace, down."""
    far = _link(far_index) + _attributes([(IFLA_IFNAME, far_name)])
    info: list[Attribute] = [(IFLA_INFO_KIND, "veth"), (IFLA_INFO_DATA, [(VETH_INFO_PEER, far)])]
    return Message(RTM_NEWLINK, _link(index), [(IFLA_IFNAME, name), (IFLA_LINKINFO, info)], _NEW, f"make pair {name}")


def delete_link(index: int) -> Message:
    """Delete an interface; a veth takes its far end with it."""
    return Message(RTM_DELLINK, _link(index), (), 0, f"delete interface {index}")


def _ip(address: IPv4Address) -> bytes:
    return address.packed


def add_address(step: AddAddress, *, remove: bool = False) -> Message:
    """Add an address with exactly the broadcast and peer attributes that it states, or remove it."""
    address = step.address
    attributes: list[Attribute] = [
        (IFA_LOCAL, _ip(address.ip)),
        (IFA_ADDRESS, _ip(address.peer or address.ip)),
    ]
    if address.broadcast is not None:
        attributes.append((IFA_BROADCAST, _ip(address.broadcast)))
    return Message(
        RTM_DELADDR if remove else RTM_NEWADDR,
        _ADDRESS.pack(AF_INET, address.prefix, 0, 0, step.index),
        attributes,
        0 if remove else _NEW,
        f"{'remove' if remove else 'add'} address {address} {'from' if remove else 'to'} interface {step.name} "
        f"of host {step.namespace}",
    )


def add_route(step: AddRoute, *, remove: bool = False) -> Message:
    """Add a route to the main table, or remove it."""
    route = step.route
    direct = route.via is None and route.type == "unicast"
    scope = _SCOPE_LINK if direct else _SCOPE_UNIVERSE
    body = _ROUTE.pack(
        AF_INET, route.to.prefixlen, 0, 0, _MAIN_TABLE, _PROTO_STATIC, scope, _ROUTE_TYPES[route.type], 0
    )
    attributes: list[Attribute] = []
    if route.to.prefixlen:
        attributes.append((RTA_DST, route.to.network_address.packed))
    if step.index is not None:
        attributes.append((RTA_OIF, step.index))
    if route.via is not None:
        attributes.append((RTA_GATEWAY, _ip(route.via)))
    if route.src is not None:
        attributes.append((RTA_PREFSRC, _ip(route.src)))
    if route.metric:
        attributes.append((RTA_PRIORITY, route.metric))
    word = "remove" if remove else "add"
    return Message(
        RTM_DELROUTE if remove else RTM_NEWROUTE,
        body,
        attributes,
        0 if remove else _NEW,
        f"{word} route {describe_route(route)} of host {step.namespace}",
    )


def describe_route(route: Route) -> str:
    """Return a route as ``ip route`` writes it."""
    text = str(route.to) if route.to.prefixlen else "default"
    for word, value in (("via", route.via), ("dev", route.dev), ("src", route.src), ("metric", route.metric or None)):
        if value is not None:
            text += f" {word} {value}"
    return text if route.type == "unicast" else f"{route.type} {text}"


def port_states_request() -> Message:
    """Ask for all bridge ports of a namespace."""
    return Message(RTM_GETLINK, _link(family=AF_BRIDGE), (), 0, "read the bridge ports")


def links_request() -> Message:
    """Ask for all interfaces of a namespace."""
    return Message(RTM_GETLINK, _link(), (), 0, "read the interfaces")


def port_is_forwarding(payload: bytes) -> tuple[int, bool]:
    """Read one answer to :func:`port_states_request`: index, and whether it carries frames."""
    _family, _type, index, _flags, _change = _LINK.unpack_from(payload)
    attributes = decode_attributes(payload[16:])
    info = decode_attributes(attributes.get(IFLA_PROTINFO, b""))
    up = attributes.get(IFLA_OPERSTATE, b"\0")[0] == OPERSTATE_UP
    return index, up and info.get(IFLA_BRPORT_STATE, b"\0")[0] == BR_STATE_FORWARDING


def link_is_up(payload: bytes) -> tuple[int, bool]:
    """Read one answer to :func:`links_request`: index, and whether it is up, has a carrier and may send.

    A new interface is ``unknown`` until the kernel has noticed its carrier, and sends nothing before.
    """
    _family, _type, index, flags, _change = _LINK.unpack_from(payload)
    state = decode_attributes(payload[16:]).get(IFLA_OPERSTATE, b"\0")[0]
    return index, bool(flags & IFF_UP) and state == OPERSTATE_UP
