"""Say in words how one variant of a scenario is set up differently from another, and what its steps do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields

from canet.netns.topology import Host, Interface, Port, Route, Rule
from canet.scenarios.model import Scenario, Step

WORDS = {
    "probe": "probe {} searches",
    "client": "client {} reads",
    "watch": "client {} starts and stays",
    "leave": "client {} ends",
    "start": "server {} starts",
    "stop": "server {} stops",
    "kill": "server {} is killed",
    "pause": "{} is paused",
    "resume": "{} goes on",
    "restart": "server {} restarts",
    "measure": "server {} is measured",
    "await": "wait for client {}",
}


def happening(step: Step) -> str:
    """Say what a step does.

    >>> happening(Step(do="fault", args={"host": "ioc", "set": "down", "interface": "eth0"}))
    'fault: host ioc, set down, interface eth0'
    >>> happening(Step(do="await", target="libca", args={"event": "connected", "label": "back"}))
    'wait for client libca: event connected (back)'
    """
    head = WORDS.get(step.do, step.do).format(step.target)
    details = ", ".join(f"{name} {_brief(value)}" for name, value in step.args.items() if name != "label")
    label = f" ({step.args['label']})" if "label" in step.args else ""
    return head + (f": {details}" if details else "") + label


def _brief(value: object) -> str:
    text = value.hex(" ", -4) if isinstance(value, bytes) else str(value)
    return text if len(text) <= 40 else text[:37] + "…"


def differences(base: Scenario, other: Scenario) -> Iterator[str]:
    """Yield how ``other`` is set up differently from ``base``, a line for each value."""
    for kind in ("server", "client", "probe"):
        ours = {each.name: each for each in getattr(base, f"{kind}s")}
        theirs = {each.name: each for each in getattr(other, f"{kind}s")}
        yield from (f"without {kind} {name}" for name in ours if name not in theirs)
        for name, value in theirs.items():
            if name in ours:
                yield from _fields(f"{kind} {name}", ours[name], value)
            else:
                yield f"with {kind} {name} on {value.host}"
    before, after = ([each.name for each in one.servers] for one in (base, other))
    if [name for name in before if name in after] != [name for name in after if name in before]:
        yield f"servers start in the order {', '.join(after)}"
    hosts = {each.name: each for each in base.topology.hosts}
    for host in other.topology.hosts:
        if host.name in hosts:
            yield from (f"host {host.name}: {line}" for line in _host(hosts[host.name], host))
        else:
            yield f"with host {host.name}"
    if base.steps != other.steps:
        yield f"what happens: {'; '.join(map(happening, other.steps)) or 'all probes, then all clients'}"


def _fields(head: str, before: object, after: object) -> Iterator[str]:
    for field in fields(after):  # type: ignore[arg-type]  # both are dataclasses of the model
        old, new = getattr(before, field.name), getattr(after, field.name)
        if isinstance(new, Mapping):
            yield from (f"{head}: {line}" for line in _table(dict(old), dict(new)))
        elif old != new:
            yield f"{head}: {field.name} = {', '.join(map(str, new)) if isinstance(new, tuple) else new}"


def _table(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            yield f"{key} = {new[key]}" if key in new else f"without {key}"


def _host(old: Host, new: Host) -> Iterator[str]:
    yield from (f"without rule {rule(each)}" for each in old.rules if each not in new.rules)
    yield from (f"rule {rule(each)}" for each in new.rules if each not in old.rules)
    yield from (f"without route {route(each)}" for each in old.routes if each not in new.routes)
    yield from (f"route {route(each)}" for each in new.routes if each not in old.routes)
    yield from _table(dict(old.sysctls), dict(new.sysctls))
    yield from (f"policy {line}" for line in _table(dict(old.policies), dict(new.policies)))
    yield from (f"file {path}" for path, text in new.files if (path, text) not in old.files)
    before = {each.name: each for each in old.interfaces}
    for interface in new.interfaces:
        if interface.name not in before:
            yield f"with interface {interface.name}"
        else:
            yield from (f"{interface.name} {line}" for line in _interface(before[interface.name], interface))
    yield from (f"without interface {name}" for name in before if name not in {each.name for each in new.interfaces})
    if old.hostname != new.hostname:
        yield f"host name {new.hostname}"


def _interface(old: Interface, new: Interface) -> Iterator[str]:
    if old.addresses != new.addresses:
        yield f"has {', '.join(_address(str(each)) for each in new.addresses) or 'no address'}"
    if old.port != new.port:
        flags = [f"{each.name} {getattr(new.port, each.name)}" for each in fields(Port)]
        plain = [f"{each.name} {each.default}" for each in fields(Port)]
        yield f"at the switch: {', '.join(each for each in flags if each not in plain) or 'nothing special'}"
    for name in ("up", "mtu", "segment", "link", "parent", "mac", "impairments"):
        if getattr(old, name) != getattr(new, name):
            yield f"{name} = {getattr(new, name)}"


def _address(text: str) -> str:
    return text.replace("brd none", "without a broadcast address")


def rule(each: Rule) -> str:
    """Say a firewall or NAT rule.

    >>> rule(Rule(hook="input", proto="udp", dport=(5064, 5064), verdict="accept"))
    'input: udp to port 5064 → accept'
    """
    conditions = [str(each.proto)] if each.proto else []
    conditions += [f"from {network}" for network in (each.saddr,) if network]
    conditions += [f"to {network}" for network in (each.daddr,) if network]
    conditions += [f"{way} port {_range(ports)}" for way, ports in (("from", each.sport), ("to", each.dport)) if ports]
    conditions += [f"in by {each.iif}"] if each.iif else []
    conditions += [f"out by {each.oif}"] if each.oif else []
    conditions += ["of connections that are " + " or ".join(each.ct)] if each.ct else []
    conditions += [f"of user {each.uid}"] if each.uid is not None else []
    conditions += [f"for {each.chance:.0%} of packets"] if each.chance < 1 else []
    return f"{each.hook}: {' '.join(conditions).replace('/32', '') or 'everything'} → {_action(each)}"


def _action(each: Rule) -> str:
    if each.dnat is not None:
        return f"destination becomes {each.dnat}" + (f":{each.dnat_port}" if each.dnat_port else "")
    if each.snat is not None:
        return f"source becomes {each.snat}"
    return "masquerade" if each.masquerade else str(each.verdict)


def _range(ports: tuple[int, int]) -> str:
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]} to {ports[1]}"


def route(each: Route) -> str:
    """Say a route.

    >>> from ipaddress import IPv4Address, IPv4Network
    >>> route(Route(to=IPv4Network("0.0.0.0/0"), via=IPv4Address("10.1.0.254")))
    'default via 10.1.0.254'
    """
    words = ["default" if each.to.prefixlen == 0 else str(each.to)]
    words += [each.type] if each.type != "unicast" else []
    words += [f"{name} {value}" for name in ("via", "dev", "src") if (value := getattr(each, name)) is not None]
    return " ".join(words)
