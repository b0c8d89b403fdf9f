"""Make a change to a network that is up. What it is afterwards, and what undoes it, is in ``change.py``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from canet.netns import plan, rtnetlink, sysctl
from canet.netns.apply import Realm
from canet.netns.change import (
    AddAddress,
    AddRoute,
    Change,
    Heal,
    Impair,
    LinkDown,
    LinkUp,
    Plug,
    RemoveAddress,
    RemoveRoute,
    SetFile,
    SetPort,
    SetRules,
    SetSysctl,
    Several,
    Unplug,
    after,
    undo,
)
from canet.netns.change import plain as plain_change
from canet.netns.check import check, check_rule
from canet.netns.errors import NetworkError, Problem, TopologyError
from canet.netns.impair import Impairments
from canet.netns.topology import Interface, Topology

_READY_SECONDS = 15.0


@dataclass(slots=True)
class Alterations:
    """Makes changes to the namespaces of a network. All methods run in the thread that owns the realm."""

    realm: Realm
    built: plan.Plan
    impairments: Impairments

    def make(self, topology: Topology, change: Change) -> tuple[Topology, Change, list[SetFile]]:
        """Make a change; return what the network is now, what undoes it, and the files that are still to be set.

        Raises:
            NetworkError: if it does not fit the network or the kernel refuses it; then nothing of this one was done.
        """
        change = plain_change(topology, change)
        if isinstance(change, Several):
            back: list[Change] = []
            files: list[SetFile] = []
            for each in change.changes:
                topology, one, more = self.make(topology, each)
                back.append(one)
                files += more
            return topology, Several(tuple(reversed(back))), files
        new = after(topology, change)
        _refuse_mistakes(change, new)
        reverse = undo(topology, change, self._previous(change))
        if isinstance(change, SetFile):
            return new, reverse, [change]
        self._do(change, topology, new)
        self.realm.settle()
        return new, reverse, []

    def _previous(self, change: Change) -> str | None:
        match change:
            case SetSysctl(host=host, key=key):
                self.realm.enter(host)
                return sysctl.read(key)
            case SetFile(path=path):
                try:
                    return Path(path).read_text()
                except OSError:
                    return None
        return None

    def _do(self, change: Change, old: Topology, new: Topology) -> None:
        realm = self.realm
        match change:
            case LinkDown(host=host, interface=name) | LinkUp(host=host, interface=name):
                up = isinstance(change, LinkUp)
                step = plan.SetLink(namespace=host, name=name, index=self._place(host, name).index, up=up)
                realm.request(host, [rtnetlink.set_link(step)])
                self._await(new, host, name)
            case Unplug(host=host, interface=name) | Plug(host=host, interface=name):
                port = self._place(host, name).port
                if port is None:
                    raise NetworkError(f"host {host} interface {name} is in no switch; take a link down instead")
                step = plan.SetLink(namespace=plan.WIRE, name=f"p{port}", index=port, up=isinstance(change, Plug))
                realm.request(plan.WIRE, [rtnetlink.set_link(step)])
                self._await(new, host, name)
            case AddAddress(host=host, interface=name) | RemoveAddress(host=host, interface=name):
                index = self._place(host, name).index
                address = plan.AddAddress(namespace=host, name=name, index=index, address=change.address)
                realm.request(host, [rtnetlink.add_address(address, remove=isinstance(change, RemoveAddress))])
            case AddRoute(host=host, route=route) | RemoveRoute(host=host, route=route):
                out = None if route.dev is None else 1 if route.dev == "lo" else self._place(host, route.dev).index
                step_ = plan.AddRoute(namespace=host, route=route, index=out)
                realm.request(host, [rtnetlink.add_route(step_, remove=isinstance(change, RemoveRoute))])
            case SetRules(host=host):
                realm.set_rules(plan.SetRules(namespace=host, rules=change.rules, policies=change.policies))
            case SetSysctl(host=host):
                realm.enter(host)
                sysctl.write(change.key, change.value)
            case SetPort(host=host, interface=name):
                place = self._place(host, name)
                index_ = self.impairments.relayed_port(host, name, place)
                if index_ is None:
                    raise NetworkError(f"host {host} interface {name} is no port of a switch")
                realm.request(
                    plan.WIRE,
                    [rtnetlink.set_port(plan.SetPort(namespace=plan.WIRE, index=index_, port=change.port))],
                )
            case Impair(host=host, interface=name) | Heal(host=host, interface=name):
                try:
                    self.impair(new, host, name)
                except NetworkError:
                    self.impair(old, host, name)
                    raise

    def impair(self, topology: Topology, host: str, name: str) -> None:
        """Make a cable do what the topology says."""
        interface = topology.host(host).interface(name)
        far: tuple[str, str] | None = None
        if interface.link is not None:
            far_host, _, far_name = interface.link.rpartition(".")
            far = (far_host, far_name)
        self.impairments.apply(host, interface, self._place(host, name), far)

    def _place(self, host: str, name: str) -> plan.Place:
        return self.built.places[host, name]

    def _await(self, topology: Topology, host: str, name: str) -> None:
        """Return when an interface that should carry frames does, and its macvlans, too."""
        interface = topology.host(host).interface(name)
        if not carries(topology, interface):
            return
        deadline = time.monotonic() + _READY_SECONDS
        place = self._place(host, name)
        port = self.impairments.relayed_port(host, name, place)
        # Both ends: a host whose carrier came back sends nothing before the kernel has noticed it there, too.
        words = f"host {host} interface {name}"
        self.realm.await_links(host, {place.index: words}, deadline)
        if port is not None:
            self.realm.await_ports({port: words}, deadline)
        for each in topology.hosts:
            for above in each.interfaces:
                if above.parent == f"{host}.{name}":
                    self._await(topology, each.name, above.name)


def carries(topology: Topology, interface: Interface) -> bool:
    """Say whether an interface should have a carrier; a macvlan has its parent's."""
    if not interface.up or not interface.plugged:
        return False
    if interface.parent is not None:
        host, _, name = interface.parent.rpartition(".")
        return carries(topology, topology.host(host).interface(name))
    if interface.link is None:
        return True
    host, _, name = interface.link.rpartition(".")
    return topology.host(host).interface(name).up


def _refuse_mistakes(change: Change, new: Topology) -> None:
    problems: tuple[Problem, ...] = ()
    if isinstance(change, SetRules):
        host = new.host(change.host)
        names = {interface.name for interface in host.interfaces} | {"lo"}
        problems = tuple(
            problem
            for number, rule in enumerate(change.rules, 1)
            for problem in check_rule(f"host {host.name} rule {number}", rule, names)
        )
    elif not isinstance(change, AddAddress):  # two hosts may well get the same address while they run: that is a fault
        problems = check(new)
    if problems:
        raise TopologyError(problems)
