"""Say what differs between two scenarios as settings, ``dotted.path = value``, as one would write them in a file."""

from __future__ import annotations

from collections.abc import Iterator

from canet.netns.topology import Host, Route, Rule
from canet.scenarios.model import Scenario, Step


def settings_changed(before: Scenario, after: Scenario) -> Iterator[str]:
    """Yield each setting of ``after`` that ``before`` has otherwise."""
    servers = "iocs" if before.servers and before.servers[0].implementation == "rsrv" else "servers"
    old_hosts = {each.name: each for each in before.topology.hosts}
    for host in after.topology.hosts:
        old = old_hosts.get(host.name)
        if old is not None and old != host:
            yield from _host(old, host)
    for kind, olds, news in ((servers, before.servers, after.servers), ("clients", before.clients, after.clients)):
        known = {each.name: each for each in olds}
        for new in news:
            mate = known.get(new.name)
            if mate is None or mate == new:
                continue
            for key in dict.fromkeys((*mate.env, *new.env)):
                if mate.env.get(key) != new.env.get(key):
                    value = new.env.get(key)
                    yield (
                        f"{kind}.{new.name}.env.{key} = {value!r}"
                        if value is not None
                        else (f"{kind}.{new.name}.env.{key}: take it away")
                    )
            for name in ("reuse", "layout", "uid", "implementation", "options"):
                if getattr(mate, name, None) != getattr(new, name, None):
                    yield f"{kind}.{new.name}.{name} = {getattr(new, name)!r}"
        gone = [each.name for each in olds if each.name not in {new.name for new in news}]
        yield from (f"{kind}.{name}: take it away" for name in gone)
        for new in news:
            if new.name not in known:
                yield f"{kind}.{new.name}: add it on {new.host} ({getattr(new, 'implementation', None)})"
    probes = {each.name: each for each in before.probes}
    for probe in after.probes:
        for name in ("port", "payload"):
            value = getattr(probe, name)
            if probe.name in probes and getattr(probes[probe.name], name) != value:
                yield f"probes.{probe.name}.{name} = {value!r}"
    yield from _steps(before.steps, after.steps)


def _steps(before: tuple[Step, ...], after: tuple[Step, ...]) -> Iterator[str]:
    """Say which steps differ; where their number changes, which are new and which are gone."""
    if len(before) == len(after):
        for place, (old, new) in enumerate(zip(before, after, strict=True)):
            for key in dict.fromkeys((*old.args, *new.args)):
                if old.args.get(key) != new.args.get(key):
                    value = new.args.get(key)
                    yield f"steps.{place}.{key}" + (": take it away" if value is None else f" = {value!r}")
        return
    yield from (f"steps: add {_step_words(each)}" for each in after if each not in before)
    yield from (f"steps: take away {_step_words(each)}" for each in before if each not in after)


def _step_words(step: Step) -> str:
    return " ".join((step.do, *((step.target,) if step.target else ()), *(f"{k}={v}" for k, v in step.args.items())))


def _host(old: Host, new: Host) -> Iterator[str]:
    place = f"hosts.{new.name}"
    interfaces = {each.name: each for each in old.interfaces}
    for interface in new.interfaces:
        mate = interfaces.get(interface.name)
        if mate is None or mate == interface:
            continue
        here = f"{place}.interfaces.{interface.name}"
        if mate.addresses != interface.addresses:
            yield f"{here}.addresses = {[str(each) for each in interface.addresses]}"
        for name in ("up", "mtu"):
            if getattr(mate, name) != getattr(interface, name):
                yield f"{here}.{name} = {str(getattr(interface, name)).lower()}"
        if mate.port != interface.port:
            yield f"{here}.port = {{}}"
        if mate.impairments != interface.impairments:
            yield f"{here}.impairments = []"
    for key, value in dict(new.sysctls).items():
        if dict(old.sysctls).get(key) != value:
            yield f'{place}.sysctls."{key}" = {value}'
    for path, _ in (each for each in new.files if each not in old.files):
        yield f'{place}.files."{path}": change it'
    for each in new.routes:
        if each not in old.routes:
            yield f"{place}.routes: add {route_words(each)}"
    for each in old.routes:
        if each not in new.routes:
            yield f"{place}.routes: take away {route_words(each)}"
    for rule in new.rules:
        if rule not in old.rules:
            yield f"{place}.rules: add {rule_words(rule)}"
    for rule in old.rules:
        if rule not in new.rules:
            yield f"{place}.rules: take away {rule_words(rule)}"


def route_words(route: Route) -> str:
    """Write a route as ``ip route`` does."""
    words = ["default" if route.to.prefixlen == 0 else str(route.to)]
    if route.via is not None:
        words.append(f"via {route.via}")
    if route.dev is not None:
        words.append(f"dev {route.dev}")
    return " ".join(words)


def rule_words(rule: Rule) -> str:
    """Write a rule in few words."""
    from canet.harness.predict.firewall import describe

    words = [rule.hook, describe(rule)]
    if rule.dnat is not None:
        words.append(f"dnat to {rule.dnat}" + (f":{rule.dnat_port}" if rule.dnat_port else ""))
    if rule.snat is not None:
        words.append(f"snat to {rule.snat}")
    if rule.masquerade:
        words.append("masquerade")
    return " ".join(each for each in words if each)
