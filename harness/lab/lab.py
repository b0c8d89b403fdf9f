"""Run one scenario from start to observation: the network, its servers, its steps, and what was seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from canet.harness.lab import listening, probing, tries, watching
from canet.harness.lab.barrier import ETHERTYPE, Barrier
from canet.harness.lab.crew import Crew
from canet.harness.lab.outputs import Outputs
from canet.harness.observation import Event, Frame, Observation, ProbeSeen
from canet.harness.participants import recipe
from canet.harness.wire.capture import Capture
from canet.netns import Network
from canet.scenarios.model import WITNESS, Client, Probe, Scenario, Step

FIRST_CID = 0x5EA00000
"""Clients count their channel ids from zero; ours must not look like theirs in a capture."""


class Lab:
    """A scenario that is up: its network, its servers, and the tools to ask it something.

    Use it as a context manager. :meth:`observe` ends the recording and returns all that was seen; the network stays
    up until the end of the ``with`` block.
    """

    def __init__(
        self, scenario: Scenario, subject: str = "asyncio", *, start: bool = True, preload: Sequence[str] = ()
    ) -> None:
        self.scenario = scenario
        self.subject = subject
        self.history: list[Event] = []
        self.measures: dict[str, dict[str, object]] = {}
        self._stack = ExitStack()
        self._start = start
        self._preload = tuple(preload)
        self._shootings: list[probing.Shooting] = []
        self._tried: list[tries.Tried] = []
        self._next_cid = FIRST_CID
        self.watches: dict[str, watching.Watch] = {}
        """The clients that stay, by name."""
        self.acted = (0.0, 0.0)
        """When the last step that did something began and ended, in seconds since the lab came up."""
        self.registered: set[str] = set()
        """``HOST A:PORT`` of the clients that steps ``register`` made known to repeaters."""
        self.flooded = 0
        """How many names nobody serves have been searched for."""

    def __enter__(self) -> Lab:
        self._began = time.monotonic()
        self.epoch = time.time()
        scenario = self.scenario
        preload = (*self._preload, *recipe.preload(scenario.servers, scenario.clients, self.subject))
        try:
            self.outputs = Outputs()
            self._stack.callback(self.outputs.close)
            self.network = self._stack.enter_context(Network(scenario.topology, preload=preload))
            self.capture = self._stack.enter_context(
                Capture(self.network, self.epoch, loopbacks=self._loopbacks(), topology=scenario.topology)
            )
            self.barrier = Barrier(self.network, scenario.topology, self._busy_hosts())
            self.at_end(self.barrier.close)
            self.ears = listening.open_ears(self.network, scenario)
            """What listens for beacons, by host and port."""
            for ear in self.ears.values():
                self.at_end(ear.socket.close)
            self.crew = Crew(self.network, scenario.servers, self.subject, self.outputs, self.note)
            self.at_end(self.crew.close)
            self.note("up", "network", f"{len(scenario.topology.hosts)} hosts")
            if self._start:
                self.crew.start(each.name for each in scenario.servers if each.autostart)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()
        self.barrier.await_closed()

    @property
    def pvs(self) -> tuple[str, ...]:
        """The own PVs of all servers, each once."""
        return recipe.all_pvs(self.crew.servers)

    # -- what is done ----------------------------------------------------------------------------------------------

    def play(self, steps: Sequence[Step] | None = None) -> None:
        """Do the steps of the scenario, or those that are given: by default all probes, then all clients."""
        from canet.harness.lab.steps import default_steps, do

        for step in steps if steps is not None else self.scenario.steps or default_steps(self.scenario):
            began = time.time() - self.epoch
            do(self, step)
            if step.do != "await":
                self.acted = (began, time.time() - self.epoch)
            self.crew.check()

    def probe(self, name: str) -> probing.Shooting:
        """Send a probe of the scenario and wait until nothing can come any more."""
        return self.shoot(next(each for each in self.scenario.probes if each.name == name))

    def shoot(self, plan: Probe) -> probing.Shooting:
        """Send a probe and wait until nothing can come any more."""
        shooting = probing.shoot(
            self.network,
            self.network.topology,
            plan,
            self.pvs,
            self.crew,
            self.barrier,
            self.outputs,
            self.epoch,
            self._next_cid,
        )
        self._next_cid = max([self._next_cid, *(each.stop for each in shooting.cids)])
        self._shootings.append(shooting)
        self.note("probed", plan.name, f"{len(shooting.shots)} datagrams")
        return shooting

    def client(self, name: str) -> tries.Tried:
        """Run all tries of a client of the scenario."""
        return self.ask(next(each for each in self.scenario.clients if each.name == name))

    def ask(self, plan: Client) -> tries.Tried:
        """Run all tries of a client."""
        tried = tries.run(self.network, plan, self.pvs, self.crew, self.outputs, self.epoch)
        self._tried.append(tried)
        self.note("client ran", plan.name, f"{len(tried.tries)} tries")
        return tried

    def note(self, what: str, who: str, detail: str = "") -> None:
        """Write something into the history."""
        self.history.append(Event(time=time.time() - self.epoch, what=what, who=who, detail=detail))

    def at_end(self, undo: Callable[[], object]) -> None:
        """Call something when the lab ends, before its network goes."""
        self._stack.callback(undo)

    def measure(self, label: str, **seen: object) -> None:
        """Write down a measure of a step, a probe or a server."""
        self.measures.setdefault(label, {}).update(seen)

    # -- what was seen ---------------------------------------------------------------------------------------------

    def observe(self) -> Observation:
        """End the recording and return everything that was seen."""
        self.crew.check()
        self._tried += watching.tried(self)
        self.capture.stop()
        captured = tuple(frame for frame in self.capture.frames() if not _is_sentinel(frame))
        servers = {each.name: each for each in self.crew.servers}
        probes = tuple(probing.seen(each, captured, self.crew, servers) for each in self._shootings)
        for probe in probes:
            self.measure(probe.name, **_announcements(probe))
        for running in self.crew:
            self.measure(
                running.name,
                starts=running.died is None or running.ready,
                alive=running.process.poll() is None,
                sockets=running.udp,
                listens=running.tcp,
            )
        self.outputs.pull()
        return Observation(
            scenario=self.scenario.key,
            subject=self.subject,
            participants=self.crew.participants(),
            probes=_joined(probes),
            clients=tries.seen(self._tried, captured),
            measures=self.measures,
            frames=captured,
            dropped=self.capture.dropped,
            history=tuple(self.history),
            seconds=time.monotonic() - self._began,
        )

    def _busy_hosts(self) -> list[str]:
        scenario = self.scenario
        if not scenario.servers:  # whoever comes later may be anywhere
            return [each.name for each in scenario.topology.hosts]
        named = [*(s.host for s in scenario.servers), *(c.host for c in scenario.clients)]
        return list(dict.fromkeys([*named, *(p.host for p in scenario.probes)]))

    def _loopbacks(self) -> tuple[str, ...]:
        """Return the hosts on whose loopback somebody may search."""
        scenario = self.scenario
        if not scenario.servers:
            return tuple(each.name for each in scenario.topology.hosts if each.loopback)
        asking = {*(each.host for each in scenario.clients), *(each.host for each in scenario.probes)}
        hosts = dict.fromkeys(each.host for each in scenario.servers)
        # A repeater talks to its clients over loopback, wherever they are.
        staying = {each.target for each in scenario.steps if each.do == "watch"}
        known = [each.host for each in scenario.clients if each.name in staying]
        known += [str(each.args["host"]) for each in scenario.steps if each.do == "register"]
        hosts |= dict.fromkeys(known)
        asking |= set(known)
        return tuple(name for name in hosts if name in asking and scenario.topology.host(name).loopback)


def run(scenario: Scenario, subject: str = "asyncio") -> Observation:
    """Run a scenario from start to end and return what was seen; nothing of it remains.

    Raises:
        Unavailable: the machine cannot make namespaces.
        NetworkError: the kernel refused a part of the network.
    """
    with Lab(scenario, subject) as lab:
        lab.play()
        return lab.observe()


def _is_sentinel(frame: Frame) -> bool:
    return int.from_bytes(frame.data[12:14], "big") == ETHERTYPE


def _announcements(probe: ProbeSeen) -> dict[str, object]:
    announced: dict[str, set[str]] = {}
    for shot in probe.shots:
        for reply in shot.replies:
            announced.setdefault(reply.server or "?", set()).add(reply.announced)
    every = [each for addresses in announced.values() for each in addresses]
    replies = [reply for shot in probe.shots for reply in shot.replies]
    return {
        "announces": tuple(dict.fromkeys(every)),
        "datagrams": len(probe.shots),
        "answers_of": tuple(dict.fromkeys(r.server or r.announced for r in replies if set(r.pvs) - {WITNESS})),
        "names_answered": len({pv for reply in replies for pv in reply.pvs} - {WITNESS}),
        "longest_reply_at_most": max((reply.size for reply in replies), default=0),
        "tcp_ports_differ": len(every) == len(set(every)) and "?" not in announced,
    }


def _joined(probes: Sequence[ProbeSeen]) -> tuple[ProbeSeen, ...]:
    """Join the runs of a probe that several steps repeat."""
    found: dict[str, ProbeSeen] = {}
    for each in probes:
        before = found.get(each.name)
        found[each.name] = (
            each
            if before is None
            else ProbeSeen(
                name=each.name,
                shots=before.shots + each.shots,
                connections=before.connections + each.connections,
                sentinel=before.sentinel and each.sentinel,
            )
        )
    return tuple(found.values())
