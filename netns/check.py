"""Find the mistakes of a topology before anything is built: each names its place and what to do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from canet.netns.errors import Problem
from canet.netns.topology import Host, Interface, Rule, Topology

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_INTERFACE = re.compile(r"[^\s/:]{1,15}")
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_SYSCTL = re.compile(r"net\.[A-Za-z0-9_./-]+")


def check(topology: Topology) -> tuple[Problem, ...]:
    """Return all mistakes of a topology, in the order of its hosts; empty if it can be built.

    >>> from canet.netns.topology import Host, Interface
    >>> for problem in check(Topology(hosts=(Host(name="a", interfaces=(Interface(name="eth0", segment="lan"),)),))):
    ...     print(problem)
    host a interface eth0: segment 'lan' is not declared; declare it, there are none
    """
    return tuple(_all(topology))


def _all(topology: Topology) -> Iterator[Problem]:
    yield from _names("host", [host.name for host in topology.hosts])
    yield from _names("segment", [segment.name for segment in topology.segments])
    for host in topology.hosts:
        yield from _host(topology, host)
    yield from _shared_addresses(topology)


def _names(kind: str, names: list[str]) -> Iterator[Problem]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Problem(f"{kind} {name}", f"{count} {kind}s have this name", "give each a name of its own")
        if not _NAME.fullmatch(name):
            yield Problem(
                f"{kind} {name!r}", "the name has other characters than letters, digits, '_', '.', '-'", "rename it"
            )


def _nearest(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = get_close_matches(word, names, 1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known are {', '.join(names)}" if names else "there are none"


def _host(topology: Topology, host: Host) -> Iterator[Problem]:
    where = f"host {host.name}"
    names = {interface.name for interface in host.interfaces} | {"lo"}
    for name, count in Counter(interface.name for interface in host.interfaces).items():
        if count > 1:
            yield Problem(f"{where} interface {name}", "two interfaces have this name", "rename one")
    for interface in host.interfaces:
        yield from _interface(topology, host, interface)
    for route in host.routes:
        if route.dev is not None and route.dev not in names:
            yield Problem(f"{where} route {route.to}", f"no interface {route.dev!r}", _nearest(route.dev, names))
        if route.type == "unicast" and route.dev is None and route.via is None:
            yield Problem(f"{where} route {route.to}", "it leads nowhere", "give 'via' or 'dev'")
        if route.type != "unicast" and (route.via or route.dev):
            yield Problem(f"{where} route {route.to}", f"a {route.type} route has no way", "drop 'via' and 'dev'")
    for number, rule in enumerate(host.rules, 1):
        yield from check_rule(f"{where} rule {number}", rule, names)
    for hook, _policy in host.policies:
        if hook not in ("input", "forward", "output"):
            yield Problem(f"{where} policy {hook}", "this hook has no policy", "use input, forward or output")
    for key, _value in host.sysctls:
        if not _SYSCTL.fullmatch(key):
            yield Problem(f"{where} sysctl {key}", "only settings below net. belong to a host", "use a net.… name")
    for path, _text in host.files:
        if not path.startswith("/") or path.endswith("/") or "/../" in path:
            yield Problem(f"{where} file {path}", "the path is not an absolute file path", "write it from / on")


def _interface(topology: Topology, host: Host, interface: Interface) -> Iterator[Problem]:
    where = f"host {host.name} interface {interface.name}"
    if not _INTERFACE.fullmatch(interface.name) or interface.name in ("lo", ".", ".."):
        yield Problem(where, "the kernel takes 1 to 15 characters without '/', ':' and blanks, not lo", "rename it")
    ends = [end for end in (interface.segment, interface.link, interface.parent) if end is not None]
    if len(ends) != 1:
        yield Problem(where, f"{len(ends)} of segment, link and parent are given", "give exactly one")
    segments = {segment.name for segment in topology.segments}
    if interface.segment is not None and interface.segment not in segments:
        remedy = f"declare it, {_nearest(interface.segment, segments)}"
        yield Problem(where, f"segment {interface.segment!r} is not declared", remedy)
    if interface.link is not None:
        far = _find(topology, interface.link)
        if far is None:
            yield Problem(where, f"the far end {interface.link!r} does not exist", "name it HOST.INTERFACE")
        elif far[1].link != f"{host.name}.{interface.name}":
            yield Problem(
                where, f"{interface.link} does not link back", f"set its link to {host.name}.{interface.name}"
            )
        elif far[1] is interface:
            yield Problem(where, "the cable has both ends in one plug", "name another interface")
    if interface.parent is not None:
        below = _find(topology, interface.parent)
        if below is None:
            yield Problem(where, f"the parent {interface.parent!r} does not exist", "name it HOST.INTERFACE")
        elif below[1].parent is not None:
            yield Problem(where, f"the parent {interface.parent} is itself on a parent", "name what carries both")
    if not interface.plugged and interface.segment is None:
        yield Problem(where, "only a cable to a segment can be unplugged", "put the interface on a segment")
    if interface.mac is not None and not _MAC.fullmatch(interface.mac):
        yield Problem(where, f"{interface.mac!r} is not a MAC address", "write six bytes such as 02:00:00:00:00:01")
    elif interface.mac is not None and int(interface.mac[:2], 16) & 1:
        yield Problem(where, f"{interface.mac} is a group address", "make its first byte even")
    if not 68 <= interface.mtu <= 65535:
        yield Problem(where, f"MTU {interface.mtu}", "IPv4 needs 68 to 65535")
    for ip, count in Counter(address.ip for address in interface.addresses).items():
        if count > 1:
            yield Problem(where, f"address {ip} is given twice", "drop one")
    for each in interface.impairments:
        fractions = (each.loss, each.duplicate, each.reorder, each.corrupt)
        if any(not 0 <= fraction <= 1 for fraction in fractions):
            yield Problem(where, "an impairment is not a fraction of 0 to 1", "give 0.1 for 10 %")
        if min(each.delay, each.jitter) < 0 or (each.rate is not None and each.rate <= 0):
            yield Problem(where, "an impairment's time or rate is negative", "give seconds and bit/s above 0")


def _find(topology: Topology, end: str) -> tuple[Host, Interface] | None:
    host_name, _, interface_name = end.rpartition(".")
    for host in topology.hosts:
        if host.name == host_name:
            for interface in host.interfaces:
                if interface.name == interface_name:
                    return host, interface
    return None


_TRANSLATIONS = {"dnat": ("prerouting", "output"), "snat": ("postrouting",), "masquerade": ("postrouting",)}


def check_rule(where: str, rule: Rule, interfaces: Iterable[str]) -> Iterator[Problem]:
    """Yield what the kernel would refuse in a rule, and what would make it match nothing."""
    actions = [
        name
        for name, given in (
            ("verdict", rule.verdict is not None),
            ("dnat", rule.dnat is not None or rule.dnat_port is not None),
            ("snat", rule.snat is not None),
            ("masquerade", rule.masquerade),
        )
        if given
    ]
    if len(actions) != 1:
        found = " and ".join(actions) or "no action"
        yield Problem(where, f"it has {found}", "give one of verdict, dnat, snat, masquerade")
    for action in actions:
        hooks = _TRANSLATIONS.get(action, (rule.hook,))
        if rule.hook not in hooks:
            yield Problem(where, f"{action} in {rule.hook}", f"the kernel does it in {' or '.join(hooks)}")
    if rule.verdict == "reject" and rule.hook not in ("input", "forward", "output"):
        yield Problem(where, f"reject in {rule.hook}", "the kernel does it in input, forward or output")
    if (rule.sport or rule.dport or rule.dnat_port) and rule.proto not in ("udp", "tcp"):
        yield Problem(where, "ports without a protocol that has them", "set proto to udp or tcp")
    for ports in (rule.sport, rule.dport):
        if ports is not None and not 0 <= ports[0] <= ports[1] <= 65535:
            yield Problem(where, f"port range {ports[0]}-{ports[1]}", "give first and last of 0 to 65535")
    if rule.uid is not None and rule.hook not in ("output", "postrouting"):
        yield Problem(where, f"uid in {rule.hook}", "only what a host sends has an owner: use output")
    if not 0 <= rule.chance <= 1:
        yield Problem(where, f"chance {rule.chance}", "give a fraction of 0 to 1")
    no_iif, no_oif = ("output", "postrouting"), ("prerouting", "input")
    for name, key, hooks in ((rule.iif, "iif", no_iif), (rule.oif, "oif", no_oif)):
        if name is None:
            continue
        if rule.hook in hooks:
            yield Problem(where, f"{key} is not known in {rule.hook}", "drop it or choose another hook")
        known = set(interfaces)
        if name not in known and not name.endswith("*"):
            yield Problem(where, f"no interface {name!r}", _nearest(name, known))


def _shared_addresses(topology: Topology) -> Iterator[Problem]:
    for segment in topology.segments:
        seen: dict[object, str] = {}
        for host, interface in topology.on_segment(segment.name):
            for address in interface.addresses:
                where = f"host {host.name} interface {interface.name}"
                first = seen.setdefault(address.ip, where)
                if first != where:
                    yield Problem(where, f"{address.ip} is already on {first}, same segment", "change one of them")
