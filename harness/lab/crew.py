"""The servers of a running lab: start them, know when each is ready, whose an address is, and when all are idle."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from canet.harness.lab.idle import activity
from canet.harness.lab.outputs import Outputs, Stream
from canet.harness.observation import Participant
from canet.harness.participants import sockets
from canet.harness.participants.recipe import Recipe, server_recipe
from canet.harness.participants.sockets import Bound
from canet.netns import HostNamespace, Network
from canet.netns.process import Process
from canet.scenarios.model import Server

READY_SECONDS = 20.0
"""How long a server may take until it is ready."""
STOP_SECONDS = 3.0
TICK = 0.002
"""How often states that nobody reports are looked at, in seconds."""


@dataclass(slots=True, eq=False)
class Running:
    """One server process."""

    server: Server
    recipe: Recipe
    host: HostNamespace
    process: Process
    stream: Stream
    udp: tuple[str, ...] = ()
    tcp: tuple[str, ...] = ()
    ready: bool = False
    told: bool = False
    """It was told to end."""
    died: str | None = None
    deadline: float = 0.0
    held: Bound = field(default_factory=Bound)
    """Its search sockets and listeners at the last look."""
    there: frozenset[int] = frozenset()
    """Inodes of all search sockets of its host at the last look."""
    bound: bool = False
    """It has bound them all: the next server of its host may come."""
    passed: bool = False
    """The next one has been let go."""
    gate: int | None = None
    """The descriptor that a byte is written to when its turn has come; ``None``: it waits for nothing."""

    @property
    def name(self) -> str:
        """The server's name in the scenario."""
        return self.server.name

    @property
    def search_ports(self) -> frozenset[int]:
        """The UDP ports on which it hears searches: its own setting, or 5064."""
        env = self.server.env
        # caproto's server reads EPICS_CA_SERVER_PORT alone (``server/common.py``).
        own = None if self.recipe.implementation.startswith("caproto") else env.get("EPICS_CAS_SERVER_PORT")
        return frozenset({int(own or env.get("EPICS_CA_SERVER_PORT") or 5064)})


class Crew:
    """All servers of a scenario, in the order of its file."""

    def __init__(
        self,
        network: Network,
        servers: Sequence[Server],
        subject: str,
        outputs: Outputs,
        note: Callable[[str, str, str], None],
    ) -> None:
        self._network = network
        self._servers = {server.name: (position, server) for position, server in enumerate(servers)}
        self._subject = subject
        self._outputs = outputs
        self._note = note
        self.running: dict[str, Running] = {}
        """The latest process of each server that was started."""

    def __iter__(self) -> Iterator[Running]:
        return iter(self.running.values())

    def add(self, server: Server) -> None:
        """Take one more server into the crew."""
        self._servers[server.name] = len(self._servers), server

    @property
    def servers(self) -> tuple[Server, ...]:
        """All servers, started or not."""
        return tuple(server for _, server in self._servers.values())

    def start(self, names: Iterable[str], seconds: float = READY_SECONDS) -> None:
        """Start servers; return when each is ready, has ended, or its time is over.

        On one host they bind their sockets one after the other, because that order matters; whatever they do before
        they do side by side, and hosts do not wait for each other.
        """
        waiting: dict[str, list[Running | str]] = {}
        for name in names:
            server = self._servers[name][1]
            waiting.setdefault(server.host, []).append(name if server.command else self._launch(name))
        current: list[Running] = []

        def settled() -> bool:
            for each in [*current]:
                done = self._settle(each)
                if done:
                    current.remove(each)
                if (done or each.bound) and not each.passed:
                    each.passed = True
                    self._next(waiting, each.server.host, current, seconds)
            return not current

        for host in waiting:
            self._next(waiting, host, current, seconds)
        self._outputs.wait(settled, float("inf"), TICK)

    def _next(self, waiting: dict[str, list[Running | str]], host: str, current: list[Running], seconds: float) -> None:
        """Let the next server of a host bind its sockets."""
        if waiting[host]:
            each = waiting[host].pop(0)
            if isinstance(each, str):
                each = self._launch(each)
            if each.gate is not None:
                with contextlib.suppress(BrokenPipeError):  # it has ended already, which the next look will show
                    os.write(each.gate, b"!")
                os.close(each.gate)
                each.gate = None
            each.deadline = time.monotonic() + seconds
            current.append(each)

    def _launch(self, name: str) -> Running:
        position, server = self._servers[name]
        recipe = server_recipe(server, self._subject, position)
        running = self.running[name] = launch(self._network[server.host], server, recipe, self._outputs)
        self._note("started", name, f"{recipe.implementation} on {server.host}, process {running.process.pid}")
        return running

    def _settle(self, each: Running) -> bool:
        """Look whether a server is ready or has ended; True when there is nothing left to wait for."""
        self._look(each)
        if each.ready:
            self._note("ready", each.name, f"UDP {', '.join(each.udp) or 'none'}, TCP {', '.join(each.tcp) or 'none'}")
            return True
        status = each.process.poll()
        if status is not None:
            self._outputs.pull()
            each.died = f"ended {_how(status)} before it was ready; its last output: {each.stream.last(5) or 'none'}"
            self._note("died", each.name, each.died)
            return True
        if each.recipe.fatal is not None and re.search(each.recipe.fatal, each.stream.text):
            each.died = f"gave up before it was ready; its first output: {each.stream.text[:400]}"
            self._note("died", each.name, each.died)
            return True
        if time.monotonic() > each.deadline:
            each.died = f"was not ready in time; its last output: {each.stream.last(5) or 'none'}"
            self._note("not ready", each.name, each.died)
            return True
        return False

    def _look(self, each: Running) -> None:
        if each.recipe.reports:
            for report in each.stream.reports:
                if report.get("event") == "ready":
                    each.udp, each.tcp = tuple(report.get("udp", ())), tuple(report.get("tcp", ()))
                    each.ready = True
            return
        said = each.recipe.ready is not None and re.search(each.recipe.ready, each.stream.text, re.MULTILINE)
        if each.bound and each.recipe.ready is not None and not said:
            return
        listening = self._listening(each, bool(said))
        # It has bound them all when there are some and no more in the next look.
        each.bound = bool(listening.udp and listening.tcp) and listening == each.held
        each.held = listening
        each.ready = bool(said) or (each.bound and each.recipe.ready is None)
        if each.ready:
            each.udp, each.tcp = listening.udp_names, listening.tcp_names

    def _listening(self, each: Running, said: bool) -> Bound:
        """Return the search sockets and listeners of a server.

        The kernel walks a large table to tell of TCP (5 ms measured), so it is not asked for while no search socket
        has come: the processor is needed by those who start.
        """
        udp = [found for found in each.host.call(sockets.table, "udp") if found.port in each.search_ports]
        there = frozenset(found.inode for found in udp)
        if there == each.there and not each.held.udp and not said:
            return each.held
        each.there = there
        held = sockets.inodes(sockets.family(each.process.pid))
        return sockets.bound_by(held, [*udp, *each.host.call(sockets.table, "tcp")])

    # -- told ----------------------------------------------------------------------------------------------------

    def end(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """End a server by a signal and wait until it has gone."""
        each = self.running[name]
        each.told = True
        each.process.signal(how)
        with contextlib.suppress(Exception):
            each.process.signal(signal.SIGCONT)  # a stopped process ends when it goes on
        if not self._outputs.wait(lambda: each.process.poll() is not None, time.monotonic() + STOP_SECONDS, TICK):
            each.process.kill()
            each.process.wait(STOP_SECONDS)
        each.ready = False
        self._note("ended", name, how.name)

    def pause(self, name: str) -> None:
        """Stop a server as it stands (SIGSTOP)."""
        self.running[name].process.signal(signal.SIGSTOP)
        self._note("paused", name, "")

    def resume(self, name: str) -> None:
        """Let a stopped server go on (SIGCONT)."""
        self.running[name].process.signal(signal.SIGCONT)
        self._note("resumed", name, "")

    # -- asked ---------------------------------------------------------------------------------------------------

    def pids(self) -> tuple[int, ...]:
        """Return all processes of all servers that are there."""
        return tuple(pid for each in self if each.process.poll() is None for pid in sockets.family(each.process.pid))

    def at_rest(self) -> Callable[[], bool]:
        """Return a function that tells, at its call, whether no server has done anything since this one."""
        before = activity(self.pids())

        def still() -> bool:
            return before is not None and activity(self.pids()) == before

        return still

    def queued(self) -> int:
        """Return how many bytes wait to be read in the search sockets of all hosts with servers.

        Where a gateway asks a server before it answers, also what waits in connections: TCP holds small messages back
        until earlier ones are acknowledged, which takes the other side up to 40 ms.
        """
        ports = frozenset[int]().union(*(each.search_ports for each in self))
        hosts = list(dict.fromkeys(r.host for r in self if r.process.poll() is None))
        waiting = sum(each.queued for host in hosts for each in host.call(sockets.table, "udp") if each.port in ports)
        if any(each.recipe.implementation == "gateway" for each in self):
            waiting += sum(
                each.queued + each.unsent
                for host in hosts
                for each in host.call(sockets.table, "tcp")
                if each.state == sockets.ESTABLISHED
            )
        return waiting

    def check(self) -> None:
        """Note servers that ended without having been told to."""
        for each in self:
            status = each.process.poll()
            if status is not None and not each.told and each.died is None:
                self._outputs.pull()
                each.died = f"ended {_how(status)}; its last output: {each.stream.last(5) or 'none'}"
                self._note("died", each.name, each.died)

    def whose(self, address: str, pvs: Iterable[str] = (), near: str | None = None) -> str | None:
        """Return the server that listens at ``A:PORT``, as a client sees it.

        Args:
            address: what a reply announced or a circuit is connected to.
            pvs: what is served there; decides where addresses are translated on the way.
            near: the host that sees the address; decides for loopback addresses.
        """
        ip, _, port = address.rpartition(":")
        listening = [each for each in self if any(name.rpartition(":")[2] == port for name in each.tcp)]
        found = [each for each in listening if self._at(each, ip, near)]
        if len(found) == 1:
            return found[0].name
        owners = [each for each in self if set(pvs) & set(each.server.pvs)]
        if len(owners) == 1 and (not found or owners[0] in found):
            return owners[0].name
        return listening[0].name if len(listening) == 1 else None

    def _at(self, each: Running, ip: str, near: str | None) -> bool:
        if ip.startswith("127."):
            return near is None or each.server.host == near
        host = self._network.topology.host(each.server.host)
        return any(str(address.ip) == ip for address in host.addresses)

    def close(self) -> None:
        """Close the gates of servers that never came to their turn."""
        for each in self:
            if each.gate is not None:
                os.close(each.gate)
                each.gate = None

    def participants(self) -> tuple[Participant, ...]:
        """Return what is known of each server, for the record."""
        return tuple(
            Participant(
                name=each.name,
                host=each.server.host,
                implementation=each.recipe.implementation,
                env=dict(each.recipe.env),
                udp=each.udp,
                tcp=each.tcp,
                shares=sockets.reuse(each.process.pid, each.search_ports) if each.process.poll() is None else None,
                output=each.stream.text,
                died=each.died,
            )
            for each in self
        )


def launch(host: HostNamespace, server: Server, recipe: Recipe, outputs: Outputs) -> Running:
    """Start the process of a recipe on a host; what it prints goes to a stream of its own.

    A server that is a function waits at a gate, see :mod:`canet.harness.participants.gate`.
    """
    stream, write = outputs.open(server.name)
    try:
        if recipe.target is None:
            process, gate = spawn(host, recipe, write), None
        else:
            wait, gate = os.pipe()
            try:
                process = host.spawn(
                    target="canet.harness.participants.gate:run",
                    args=(recipe.target, dict(recipe.config)),
                    env=recipe.env,
                    uid=recipe.uid,
                    output=write,
                    stdin=wait,
                )
            except BaseException:
                os.close(gate)
                raise
            finally:
                os.close(wait)
    finally:
        os.close(write)
    return Running(server=server, recipe=recipe, host=host, process=process, stream=stream, gate=gate)


def spawn(host: HostNamespace, recipe: Recipe, output: int) -> Process:
    """Start the process of a recipe on a host at once."""
    if recipe.target is None:
        return host.spawn(argv=recipe.argv, env=recipe.env, cwd=recipe.cwd, uid=recipe.uid, output=output)
    return host.spawn(target=recipe.target, args=(dict(recipe.config),), env=recipe.env, uid=recipe.uid, output=output)


def _how(status: int) -> str:
    """Say how a process ended.

    >>> _how(-9), _how(3)
    ('by SIGKILL', 'with status 3')
    """
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"by {signal.Signals(-status).name}"
    return f"with status {status}"
