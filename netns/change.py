"""What can happen to a network while it runs, as values; what the network is afterwards; and how it is undone.

``Network.change`` makes a change and returns the one that undoes it. :func:`after` computes the same without a
kernel, so that a prediction can follow a scenario's faults.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from canet.netns.errors import NetworkError
from canet.netns.topology import Address, Hook, Host, Impairment, Interface, Port, Route, Rule, Topology

Direction = Literal["in", "out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDown:
    """``ip link set down``: the kernel forgets all routes through the interface."""

    host: str
    interface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUp:
    """``ip link set up``: the routes of its subnets come back, others do not."""

    host: str
    interface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplug:
    """The cable is pulled out at the switch: the interface stays up and loses its carrier."""

    host: str
    interface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """The cable is put back."""

    host: str
    interface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAddress:
    """An interface gets an address."""

    host: str
    interface: str
    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveAddress:
    """An interface loses an address, and the routes that need it."""

    host: str
    interface: str
    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRoute:
    """A host gets a route."""

    host: str
    route: Route


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRoute:
    """A host loses a route."""

    host: str
    route: Route


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRule:
    """A firewall rule is added behind the others, or before them."""

    host: str
    rule: Rule
    first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRules:
    """All rules and policies are replaced; without any, the firewall is gone. Known connections stay known."""

    host: str
    rules: tuple[Rule, ...] = ()
    policies: tuple[tuple[Hook, Literal["accept", "drop"]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRules:
    """All rules and policies of a host are removed."""

    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSysctl:
    """A setting below ``net.`` changes."""

    host: str
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPort:
    """The switch changes what it does for the port of an interface."""

    host: str
    interface: str
    port: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class Impair:
    """A cable begins to hurt packets; replaces what it did in this direction."""

    host: str
    interface: str
    impairment: Impairment


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Nothing passes a cable in one direction, while its carrier stays."""

    host: str
    interface: str
    direction: Direction = "out"
    """Seen from the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heal:
    """A cable is sound again, in one direction or both."""

    host: str
    interface: str
    direction: Direction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFile:
    """A host sees another text at an absolute path, such as ``/etc/hosts``."""

    host: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Several:
    """Changes one after the other."""

    changes: tuple[Change, ...] = ()


Change = (
    LinkDown
    | LinkUp
    | Unplug
    | Plug
    | AddAddress
    | RemoveAddress
    | AddRoute
    | RemoveRoute
    | AddRule
    | SetRules
    | RemoveRules
    | SetSysctl
    | SetPort
    | Impair
    | Cut
    | Heal
    | SetFile
    | Several
)


def plain(topology: Topology, change: Change) -> Change:
    """Return a change in terms of the basic ones: rules as :class:`SetRules`, cuts as :class:`Impair`."""
    match change:
        case AddRule(host=name, rule=rule, first=first):
            host = topology.host(name)
            rules = (rule, *host.rules) if first else (*host.rules, rule)
            return SetRules(host=name, rules=rules, policies=host.policies)
        case RemoveRules(host=name):
            return SetRules(host=name)
        case Cut(host=name, interface=interface, direction=direction):
            return Impair(host=name, interface=interface, impairment=Impairment(direction=direction, cut=True))
    return change


def after(topology: Topology, change: Change) -> Topology:
    """Return what a topology is after a change.

    Raises:
        NetworkError: if the change does not fit: an unknown host or interface, an address that is not there.
    """
    change = plain(topology, change)
    if isinstance(change, Several):
        for each in change.changes:
            topology = after(topology, each)
        return topology
    host = find_host(topology, change.host)
    match change:
        case LinkDown():
            interface = find_interface(host, change.interface)
            lost = routes_through(host, interface)
            host = _with_interface(host, replace(interface, up=False))
            host = replace(host, routes=tuple(route for route in host.routes if route not in lost))
        case LinkUp():
            host = _with_interface(host, replace(find_interface(host, change.interface), up=True))
        case Unplug() | Plug():
            plugged = isinstance(change, Plug)
            host = _with_interface(host, replace(find_interface(host, change.interface), plugged=plugged))
        case AddAddress():
            interface = find_interface(host, change.interface)
            if change.address in interface.addresses:
                raise NetworkError(f"host {host.name} interface {interface.name} already has {change.address}")
            host = _with_interface(host, replace(interface, addresses=(*interface.addresses, change.address)))
        case RemoveAddress():
            interface = find_interface(host, change.interface)
            lost = routes_lost_with(host, interface, change.address)
            rest = tuple(each for each in interface.addresses if each != change.address)
            if len(rest) == len(interface.addresses):
                held = ", ".join(map(str, rest)) or "none"
                raise NetworkError(
                    f"host {host.name} interface {interface.name} has no address {change.address}; it has {held}"
                )
            host = _with_interface(host, replace(interface, addresses=rest))
            host = replace(host, routes=tuple(route for route in host.routes if route not in lost))
        case AddRoute():
            host = replace(host, routes=(*host.routes, change.route))
        case RemoveRoute():
            host = replace(host, routes=tuple(route for route in host.routes if route != change.route))
        case SetRules():
            host = replace(host, rules=change.rules, policies=change.policies)
        case SetSysctl():
            host = replace(host, sysctls=(*host.sysctls, (change.key, change.value)))
        case SetPort():
            host = _with_interface(host, replace(find_interface(host, change.interface), port=change.port))
        case Impair():
            interface = find_interface(host, change.interface)
            kept = (each for each in interface.impairments if each.direction != change.impairment.direction)
            host = _with_interface(host, replace(interface, impairments=(*kept, change.impairment)))
        case Heal():
            interface = find_interface(host, change.interface)
            kept = (
                each
                for each in interface.impairments
                if change.direction is not None and each.direction != change.direction
            )
            host = _with_interface(host, replace(interface, impairments=tuple(kept)))
        case SetFile():
            files = {**dict(host.files), change.path: change.text}
            host = replace(host, files=tuple(files.items()))
    return replace(topology, hosts=tuple(host if each.name == host.name else each for each in topology.hosts))


def undo(topology: Topology, change: Change, previous: str | None = None) -> Change:
    """Return the change that takes ``change`` back.

    Args:
        topology: what the network was before the change.
        change: what was or will be done.
        previous: the setting's value, or the file's text, before a :class:`SetSysctl` or :class:`SetFile`.
    """
    change = plain(topology, change)
    if isinstance(change, Several):
        back = []
        for each in change.changes:
            back.append(undo(topology, each))
            topology = after(topology, each)
        return Several(tuple(reversed(back)))
    host = find_host(topology, change.host)
    match change:
        case LinkDown():
            interface = find_interface(host, change.interface)
            if not interface.up:
                return Several()
            up = LinkUp(host=host.name, interface=change.interface)
            return _with_routes(host, up, routes_through(host, interface))
        case LinkUp():
            interface = find_interface(host, change.interface)
            return Several() if interface.up else LinkDown(host=host.name, interface=change.interface)
        case Unplug():
            return Plug(host=host.name, interface=change.interface)
        case Plug():
            return Unplug(host=host.name, interface=change.interface)
        case AddAddress():
            return RemoveAddress(host=host.name, interface=change.interface, address=change.address)
        case RemoveAddress():
            again = AddAddress(host=host.name, interface=change.interface, address=change.address)
            interface = find_interface(host, change.interface)
            return _with_routes(host, again, routes_lost_with(host, interface, change.address))
        case AddRoute():
            return RemoveRoute(host=host.name, route=change.route)
        case RemoveRoute():
            return AddRoute(host=host.name, route=change.route)
        case SetRules():
            return SetRules(host=host.name, rules=host.rules, policies=host.policies)
        case SetSysctl():
            value = previous if previous is not None else host.sysctl(change.key)
            return SetSysctl(host=host.name, key=change.key, value=value)
        case SetPort():
            port = find_interface(host, change.interface).port
            return SetPort(host=host.name, interface=change.interface, port=port)
        case Impair():
            return _impairments_again(host, change.interface, change.impairment.direction)
        case Heal():
            return _impairments_again(host, change.interface, change.direction)
        case SetFile():
            text = dict(host.files).get(change.path, previous or "")
            return SetFile(host=host.name, path=change.path, text=text)
    raise NetworkError(f"nothing undoes {change}")


def _with_routes(host: Host, change: Change, routes: tuple[Route, ...]) -> Change:
    if not routes:
        return change
    return Several((change, *(AddRoute(host=host.name, route=route) for route in routes)))


def _impairments_again(host: Host, name: str, direction: Direction | None) -> Change:
    before = [
        each for each in find_interface(host, name).impairments if direction is None or each.direction == direction
    ]
    if not before:
        return Heal(host=host.name, interface=name, direction=direction)
    return Several(tuple(Impair(host=host.name, interface=name, impairment=each) for each in before))


def routes_through(host: Host, interface: Interface) -> tuple[Route, ...]:
    """Return the stated routes that leave by an interface: by name, or by a gateway in one of its subnets."""
    return tuple(
        route
        for route in host.routes
        if route.dev == interface.name
        or (
            route.dev is None
            and route.via is not None
            and any(route.via in each.network for each in interface.addresses)
        )
    )


def routes_lost_with(host: Host, interface: Interface, address: Address) -> tuple[Route, ...]:
    """Return the stated routes that the kernel drops with an address: those that prefer it as source.

    With the last address of an interface go all routes through it (net/ipv4/fib_frontend.c, fib_disable_ip).
    """
    through = routes_through(host, interface)
    if len(interface.addresses) == 1:
        return through
    return tuple(route for route in host.routes if route.src == address.ip)


def find_host(topology: Topology, name: str) -> Host:
    """Return a host, or say which there are."""
    for host in topology.hosts:
        if host.name == name:
            return host
    raise NetworkError(f"no host is called {name!r}; there are {', '.join(host.name for host in topology.hosts)}")


def find_interface(host: Host, name: str) -> Interface:
    """Return an interface of a host, or say which there are."""
    for interface in host.interfaces:
        if interface.name == name:
            return interface
    known = ", ".join(each.name for each in host.interfaces) or "none"
    raise NetworkError(f"host {host.name} has no interface {name!r}; it has {known}")


def _with_interface(host: Host, interface: Interface) -> Host:
    interfaces = tuple(interface if each.name == interface.name else each for each in host.interfaces)
    return replace(host, interfaces=interfaces)
