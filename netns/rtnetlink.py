"""Steps of a plan as rtnetlink messages, and what its answers say: pure, values in, values out.

Names are the kernel's (linux/rtnetlink.h, if_link.h, if_addr.h), as pyroute2 writes them; :mod:`canet.netns.netlink`
gives the values to it.
"""

from __future__ import annotations

import socket
from typing import Any, Final

from canet.netns.netlink import NLM_F_CREATE, NLM_F_EXCL, Attribute, Message, nest
from canet.netns.plan import AddAddress, AddRoute, MakeBridge, MakeCable, MakeMacvlan, SetLink, SetPort
from canet.netns.topology import Route

AF_BRIDGE: Final = 7
IFF_UP: Final = 1
IFF_LOOPBACK: Final = 8
BR_STATE_FORWARDING: Final = 3
ROUTE_TYPES: Final = {"unicast": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8}
MAIN_TABLE: Final = 254
PROTO_KERNEL: Final = 2

_NEW: Final = NLM_F_CREATE | NLM_F_EXCL
_NLA_F_NESTED: Final = 0x8000
_PROTO_STATIC, _SCOPE_UNIVERSE, _SCOPE_LINK = 4, 0, 253


def _state(*, up: bool) -> dict[str, int]:
    return {"flags": IFF_UP if up else 0, "change": IFF_UP}


def _info(kind: str, *data: Attribute) -> Attribute:
    return "IFLA_LINKINFO", nest(("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", nest(*data)))


def make_bridge(step: MakeBridge) -> Message:
    """Make a bridge that is up, forwards at once, and does not snoop multicast."""
    settings: tuple[Attribute, ...] = (
        ("IFLA_BR_FORWARD_DELAY", 0),
        ("IFLA_BR_STP_STATE", 0),
        ("IFLA_BR_MCAST_SNOOPING", 0),
    )
    return Message(
        "RTM_NEWLINK",
        f"make bridge {step.name}",
        {"index": step.index, **_state(up=True)},
        [
            ("IFLA_IFNAME", step.name),
            ("IFLA_ADDRESS", step.mac),
            ("IFLA_MTU", step.mtu),
            _info("bridge", *settings),
        ],
        _NEW,
    )


def make_cable(step: MakeCable, far_fd: int) -> Message:
    """Make a veth pair whose far end appears in the namespace of ``far_fd``; a bridge port is up at once."""
    far = nest(
        ("IFLA_IFNAME", step.far_name),
        ("IFLA_ADDRESS", step.far_mac),
        ("IFLA_MTU", step.far_mtu),
        ("IFLA_NET_NS_FD", far_fd),
        index=step.far_index,
    )
    attributes: list[Attribute] = [
        ("IFLA_IFNAME", step.name),
        ("IFLA_ADDRESS", step.mac),
        ("IFLA_MTU", step.mtu),
        _info("veth", ("VETH_INFO_PEER", far)),
    ]
    fields = {"index": step.index}
    if step.bridge is not None:
        attributes.append(("IFLA_MASTER", step.bridge))
        fields |= _state(up=True)
    what = f"make the cable of host {step.far_namespace} interface {step.far_name}"
    return Message("RTM_NEWLINK", what, fields, attributes, _NEW)


def make_macvlan(step: MakeMacvlan, target_fd: int) -> Message:
    """Make a macvlan on an interface of this namespace and put it into that of ``target_fd``."""
    return Message(
        "RTM_NEWLINK",
        f"make macvlan {step.name} of host {step.namespace}",
        {"index": step.index},
        [
            ("IFLA_IFNAME", step.name),
            ("IFLA_ADDRESS", step.mac),
            ("IFLA_MTU", step.mtu),
            ("IFLA_LINK", step.parent),
            ("IFLA_NET_NS_FD", target_fd),
            _info("macvlan", ("IFLA_MACVLAN_MODE", "bridge")),
        ],
        _NEW,
    )


def set_link(step: SetLink) -> Message:
    """Set an interface up or down."""
    what = f"set interface {step.name} of {step.namespace} {'up' if step.up else 'down'}"
    return Message("RTM_NEWLINK", what, {"index": step.index, **_state(up=step.up)})


def set_port(step: SetPort) -> Message:
    """Set the flags of a bridge port."""
    port = step.port
    flags = nest(
        ("IFLA_BRPORT_UNICAST_FLOOD", int(port.flood)),
        ("IFLA_BRPORT_MCAST_FLOOD", int(port.mcast_flood)),
        ("IFLA_BRPORT_BCAST_FLOOD", int(port.bcast_flood)),
        ("IFLA_BRPORT_ISOLATED", int(port.isolated)),
    )
    return Message(
        "RTM_SETLINK",
        f"set the flags of port {step.index}",
        {"family": AF_BRIDGE, "index": step.index},
        [("IFLA_PROTINFO", flags, _NLA_F_NESTED)],
    )


def join_bridge(index: int, bridge: int, *, up: bool = True) -> Message:
    """Plug an interface into a bridge, or unplug it (``bridge`` 0)."""
    what = f"plug interface {index} into bridge {bridge}"
    return Message("RTM_NEWLINK", what, {"index": index, **_state(up=up)}, [("IFLA_MASTER", bridge)])


def make_pair(index: int, name: str, far_index: int, far_name: str) -> Message:
    """Make a veth pair with both ends in this namespace, down."""
    far = nest(("IFLA_IFNAME", far_name), index=far_index)
    attributes = [("IFLA_IFNAME", name), _info("veth", ("VETH_INFO_PEER", far))]
    return Message("RTM_NEWLINK", f"make pair {name}", {"index": index}, attributes, _NEW)


def delete_link(index: int) -> Message:
    """Delete an interface; a veth takes its far end with it."""
    return Message("RTM_DELLINK", f"delete interface {index}", {"index": index})


def add_address(step: AddAddress, *, remove: bool = False) -> Message:
    """Add an address with exactly the broadcast and peer attributes that it states, or remove it."""
    address = step.address
    attributes: list[Attribute] = [
        ("IFA_LOCAL", str(address.ip)),
        ("IFA_ADDRESS", str(address.peer or address.ip)),
    ]
    if address.broadcast is not None:
        attributes.append(("IFA_BROADCAST", str(address.broadcast)))
    return Message(
        "RTM_DELADDR" if remove else "RTM_NEWADDR",
        f"{'remove' if remove else 'add'} address {address} {'from' if remove else 'to'} interface {step.name} "
        f"of host {step.namespace}",
        {"family": socket.AF_INET, "prefixlen": address.prefix, "index": step.index},
        attributes,
        0 if remove else _NEW,
    )


def add_route(step: AddRoute, *, remove: bool = False) -> Message:
    """Add a route to the main table, or remove it."""
    route = step.route
    direct = route.via is None and route.type == "unicast"
    attributes: list[Attribute] = []
    if route.to.prefixlen:
        attributes.append(("RTA_DST", str(route.to.network_address)))
    if step.index is not None:
        attributes.append(("RTA_OIF", step.index))
    if route.via is not None:
        attributes.append(("RTA_GATEWAY", str(route.via)))
    if route.src is not None:
        attributes.append(("RTA_PREFSRC", str(route.src)))
    if route.metric:
        attributes.append(("RTA_PRIORITY", route.metric))
    return Message(
        "RTM_DELROUTE" if remove else "RTM_NEWROUTE",
        f"{'remove' if remove else 'add'} route {describe_route(route)} of host {step.namespace}",
        {
            "family": socket.AF_INET,
            "dst_len": route.to.prefixlen,
            "table": MAIN_TABLE,
            "proto": _PROTO_STATIC,
            "scope": _SCOPE_LINK if direct else _SCOPE_UNIVERSE,
            "type": ROUTE_TYPES[route.type],
        },
        attributes,
        0 if remove else _NEW,
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
    return Message("RTM_GETLINK", "read the bridge ports", {"family": AF_BRIDGE})


def links_request() -> Message:
    """Ask for all interfaces of a namespace."""
    return Message("RTM_GETLINK", "read the interfaces")


def addresses_request() -> Message:
    """Ask for all IPv4 addresses of a namespace."""
    return Message("RTM_GETADDR", "read the addresses", {"family": socket.AF_INET})


def routes_request() -> Message:
    """Ask for all IPv4 routes of a namespace."""
    return Message("RTM_GETROUTE", "read the routes", {"family": socket.AF_INET})


def port_is_forwarding(answer: Any) -> bool:
    """Read one answer to :func:`port_states_request`: whether the port carries frames."""
    if answer.get_attr("IFLA_OPERSTATE") != "UP":
        return False
    port = answer.get_attr("IFLA_PROTINFO")
    return port is not None and port.get_attr("IFLA_BRPORT_STATE") == BR_STATE_FORWARDING


def link_is_up(answer: Any) -> bool:
    """Read one answer to :func:`links_request`: whether the interface is up, has a carrier and may send.

    A new interface is ``UNKNOWN`` until the kernel has noticed its carrier, and sends nothing before.
    """
    return bool(answer["flags"] & IFF_UP) and answer.get_attr("IFLA_OPERSTATE") == "UP"
