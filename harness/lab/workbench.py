"""A lab that is put together call by call, for people who test their own server with pytest.

>>> bench = Workbench()
>>> bench.segment("lan", "client", "ioc")
>>> [str(address) for host in bench.topology.hosts for address in host.addresses]
['10.1.0.1/24', '10.1.0.2/24']

The network comes up when something first needs it, with all segments that were described until then.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any

from canet.netns.topology import Address, Host, Interface, Route, Rule, Segment, Topology
from canet.scenarios.model import Client, Probe, Scenario, Server, Value

if TYPE_CHECKING:
    from canet.harness.lab.lab import Lab
    from canet.harness.lab.probing import Shooting
    from canet.harness.observation import ClientTry, Connection, Observation, Reply


class LabError(Exception):
    """A lab cannot do what was asked: what, where, and what to do."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a probe."""

    answered: frozenset[str]
    """Names of the servers whose reply came back."""
    replies: tuple[Reply, ...]
    values: Mapping[str, object]
    """PV → value, read over TCP from where the replies pointed."""
    connections: tuple[Connection, ...]
    errors: tuple[str, ...]
    """Why datagrams could not be sent."""
    complete: bool
    """It is proven that nothing more can come."""


class Ioc:
    """A server that runs in the lab."""

    def __init__(self, bench: Workbench, name: str) -> None:
        self._bench = bench
        self.name = name

    @property
    def udp(self) -> tuple[str, ...]:
        """``A:PORT`` of its search sockets."""
        return self._bench.lab.crew.running[self.name].udp

    @property
    def tcp(self) -> tuple[str, ...]:
        """``A:PORT`` that it listens on."""
        return self._bench.lab.crew.running[self.name].tcp

    @property
    def output(self) -> str:
        """What it has printed."""
        self._bench.lab.outputs.pull()
        return self._bench.lab.crew.running[self.name].stream.text

    def stop(self) -> None:
        """End it with SIGTERM, and wait."""
        self._bench.lab.crew.end(self.name)

    def restart(self) -> None:
        """End it and start it again; return when it is ready."""
        self.stop()
        self._bench.lab.crew.start([self.name])


class Workbench:
    """Describe a network, start servers in it, ask them. Close it after use (the fixture ``lab`` does)."""

    def __init__(self, backend: str = "asyncio") -> None:
        self.backend = backend
        self.topology = Topology()
        self._lab: Lab | None = None
        self._servers = 0
        self._probes = itertools.count(1)

    # -- the network -----------------------------------------------------------------------------------------------

    def segment(self, name: str, *hosts: str, network: str | None = None) -> None:
        """Add a segment with hosts on it; a host that exists already gets one more interface.

        Args:
            name: of the segment.
            hosts: their names; they get the addresses .1, .2 … of the network.
            network: ``10.N.0.0/24`` for the N-th segment if not given.
        """
        self._still_down()
        number = len(self.topology.segments) + 1
        subnet = IPv4Network(network or f"10.{number}.0.0/24")
        known = {each.name: each for each in self.topology.hosts}
        for position, host in enumerate(hosts, 1):
            before = known.get(host, Host(name=host))
            ip = subnet.network_address + position
            address = Address(ip=ip, prefix=subnet.prefixlen, broadcast=subnet.broadcast_address)
            interface = Interface(name=f"eth{len(before.interfaces)}", segment=name, addresses=(address,))
            known[host] = replace(before, interfaces=(*before.interfaces, interface))
        self.topology = Topology(hosts=tuple(known.values()), segments=(*self.topology.segments, Segment(name=name)))

    def host(
        self,
        name: str,
        *,
        routes: Sequence[Route] = (),
        rules: Sequence[Rule] = (),
        sysctls: Mapping[str, str] | None = None,
        router: bool = False,
    ) -> None:
        """Add routes, firewall rules and settings to a host; a ``router`` forwards."""
        self._still_down()
        settings = {**(sysctls or {}), **({"net.ipv4.ip_forward": "1"} if router else {})}
        self.topology = replace(
            self.topology,
            hosts=tuple(
                replace(
                    each,
                    routes=(*each.routes, *routes),
                    rules=(*each.rules, *rules),
                    sysctls=(*each.sysctls, *settings.items()),
                )
                if each.name == name
                else each
                for each in self.topology.hosts
            ),
        )

    def use(self, topology: Topology) -> None:
        """Take a whole topology that was made elsewhere."""
        self._still_down()
        self.topology = topology

    @property
    def lab(self) -> Lab:
        """The lab that is up; it comes up now if it is not."""
        if self._lab is None:
            from canet.harness.lab.lab import Lab

            if not self.topology.hosts:
                raise LabError("the lab has no hosts yet: call lab.segment('lan', 'client', 'ioc') first")
            scenario = Scenario(id="workbench/test", title="", story="", variant="plain", topology=self.topology)
            modules = ["canet.server.process"]
            if self.backend != "mix":
                modules.append(f"canet.server.backends.{self.backend}")
            self._lab = Lab(scenario, self.backend, preload=modules).__enter__()
        return self._lab

    @property
    def is_up(self) -> bool:
        """Whether anything runs."""
        return self._lab is not None

    def address(self, host: str) -> str:
        """Return a host's first address."""
        return str(self.topology.host(host).addresses[0].ip)

    def broadcast(self, host: str) -> str:
        """Return the broadcast address of a host's first network."""
        return str(self.topology.host(host).addresses[0].broadcast)

    # -- who runs there --------------------------------------------------------------------------------------------

    def start(
        self,
        implementation: str = "canet",
        *,
        host: str | None = None,
        name: str | None = None,
        pvs: Mapping[str, Value] | None = None,
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = (),
        ready: str | None = None,
        **options: Any,
    ) -> Ioc:
        """Start a server and return when it is ready.

        Args:
            implementation: ``canet``, ``canet-trio``, ``rsrv``, ``caproto-curio``, ``pcaspy`` … or ``command``.
            host: where; the last host of the topology if not given.
            name: ``ioc1``, ``ioc2`` … if not given.
            pvs: what it serves, besides the witness PV ``canet:witness``.
            env: its ``EPICS_*`` settings.
            command: the command line of ``command``: how you start your own IOC.
            ready: regular expression in its output that says that it is ready; otherwise its sockets do.
            options: ``layout``, ``reuse``, ``cwd``, ``uid`` and what the implementation itself knows.

        Raises:
            LabError: it ended, or was not ready in time; with its last output.
        """
        from canet.harness.participants import recipe

        kind, _, backend = implementation.partition("-")
        sentence = recipe.missing(kind)
        if sentence is not None:
            raise LabError(sentence)
        self._servers += 1
        known = {key: options.pop(key) for key in ("layout", "reuse", "cwd", "uid") if key in options}
        server = Server(
            name=name or f"ioc{self._servers}",
            host=host or (self.topology.hosts[-1].name if self.topology.hosts else ""),
            implementation="command" if command else kind,
            backend=backend or (self.backend if self.backend != "mix" else None),
            pvs=dict(pvs or {}),
            env=dict(env or {}),
            command=tuple(command),
            ready=ready,
            options=options,
            **known,
        )
        lab = self.lab
        lab.crew.add(server)
        lab.crew.start([server.name])
        died = lab.crew.running[server.name].died
        if died:
            raise LabError(f"{server.name} ({implementation}) on {server.host} {died}")
        return Ioc(self, server.name)

    def probe(
        self, host: str, to: str | None = None, pvs: Iterable[str] | None = None, *, port: int = 5064, **more: Any
    ) -> Seen:
        """Search from a host, wait until nothing more can come, and read from whoever answered.

        Args:
            host: who searches.
            to: destination address; the broadcast address of the host's first network if not given.
            pvs: names; every PV of every server if not given.
            port: destination port.
            more: fields of :class:`canet.scenarios.model.Probe`: ``sources``, ``repeat``, ``level`` …
        """
        probe = Probe(
            name=f"probe{next(self._probes)}",
            host=host,
            to=IPv4Address(to or self.broadcast(host)),
            port=port,
            pvs=tuple(pvs or ()),
            **more,
        )
        return _seen(self.lab.shoot(probe))

    def read(
        self, client: str = "libca", *, host: str, pvs: Iterable[str], env: Mapping[str, str] | None = None, **more: Any
    ) -> ClientTry:
        """Read PVs with a client program in a fresh process: ``libca``, ``caproto`` or ``canet``."""
        from canet.harness.participants import recipe

        sentence = recipe.missing("caproto client" if client == "caproto" else client)
        if sentence is not None:
            raise LabError(sentence)
        plan = Client(name=client, host=host, implementation=client, pvs=tuple(pvs), env=dict(env or {}), **more)
        return self.lab.ask(plan).tries[0]

    def observe(self) -> Observation:
        """End the recording and return everything that was seen, frames included."""
        return self.lab.observe()

    def close(self) -> None:
        """End everything."""
        if self._lab is not None:
            lab, self._lab = self._lab, None
            lab.__exit__(None, None, None)

    def _still_down(self) -> None:
        if self._lab is not None:
            raise LabError("the lab is up: describe the whole network before you start something in it")


def _seen(shooting: Shooting) -> Seen:
    replies = tuple(reply for shot in shooting.shots for reply in shot.replies)
    return Seen(
        answered=frozenset(each.server or each.announced for each in replies),
        replies=replies,
        values={each.pv: each.value for each in shooting.connections if each.error is None},
        connections=shooting.connections,
        errors=tuple(shot.error for shot in shooting.shots if shot.error),
        complete=shooting.proven,
    )
