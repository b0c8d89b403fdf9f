"""A topology that is up: its hosts, its wire, sockets and processes in them, changes while it runs."""

from __future__ import annotations

import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from canet.netns.alter import Alterations, carries
from canet.netns.apply import Realm
from canet.netns.change import Change
from canet.netns.enter import only_one_user
from canet.netns.errors import NetworkError, Unavailable
from canet.netns.impair import Impairments
from canet.netns.namespace import Thread
from canet.netns.plan import WIRE, Impair, Plan, plan
from canet.netns.topology import Host, Topology

if TYPE_CHECKING:
    from canet.netns.process import HostProcesses, Process

P = ParamSpec("P")
T = TypeVar("T")

_ETH_P_ALL = 3
_READY_SECONDS = 15.0


class _Place:
    """A namespace of a network: what hosts and the wire have in common."""

    def __init__(self, name: str, realm: Realm, opener: Thread) -> None:
        self.name = name
        self._realm = realm
        self._opener = opener
        self._thread: Thread | None = None
        self._lock = threading.Lock()

    @property
    def namespace(self) -> int:
        """The descriptor that holds the network namespace; it stays the network's, do not close it."""
        return self._realm.namespaces[self.name]

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a thread that is in this network namespace; return or raise what it does.

        Calls to one host come one after the other. ``/proc/self/net`` shows the main thread's network: in the
        function read ``/proc/thread-self/net``.
        """
        with self._lock:
            if self._thread is None:
                self._thread = Thread(f"canet-{self.name}", self.namespace)
        return self._thread.call(function, *args, **kwargs)

    def _close_thread(self) -> None:
        if self._thread is not None:
            self._thread.close()
            self._thread = None


class HostNamespace(_Place):
    """A host that is up."""

    def __init__(
        self, host: Host, realm: Realm, opener: Thread, processes: Callable[[Host, int], HostProcesses]
    ) -> None:
        super().__init__(host.name, realm, opener)
        self.host = host
        self._make_processes = processes
        self._processes: HostProcesses | None = None

    def socket(self, family: int = socket.AF_INET, kind: int = socket.SOCK_DGRAM, protocol: int = 0) -> socket.socket:
        """Open an ordinary socket that lives in this host's network namespace (some 20 µs)."""
        return self._opener.call(self._realm.open_socket, self.name, family, kind, protocol)

    def spawn(
        self,
        argv: Sequence[str | Path] | None = None,
        *,
        target: str | None = None,
        args: Sequence[object] = (),
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        uid: int | None = None,
        output: Path | int | None = None,
        stdin: int | None = None,
        fds: Mapping[int, int] | None = None,
    ) -> Process:
        """Start a process in this host's network, PID, mount and UTS namespace.

        Args:
            argv: a command and its arguments, found in ``env``'s PATH; or
            target: ``package.module:function``, called in a fork of the launcher within milliseconds; what it
                returns, if an int, is the exit status.
            args: arguments of ``target``; anything that JSON can carry.
            env: environment on top of a clean one (PATH, HOME, LANG, PYTHON…).
            cwd: working directory; ``/`` if not given.
            uid: user id that it runs as; root only.
            output: file or descriptor for stdout and stderr; ``None``: kept for ``Process.output_text()``.
            stdin: descriptor; ``None``: ``/dev/null``.
            fds: number in the process → descriptor here.

        Raises:
            SpawnError: with the host, the command and what to do.
        """
        return self.processes.spawn(
            argv=argv, target=target, args=args, env=env, cwd=cwd, uid=uid, output=output, stdin=stdin, fds=fds or {}
        )

    @property
    def processes(self) -> HostProcesses:
        """The host's init process, started when it is first needed."""
        with self._lock:
            if self._processes is None:
                self._processes = self._make_processes(self.host, self.namespace)
            return self._processes

    def enter_command(self, *command: str) -> list[str]:
        """Return the command that runs another one (a shell, by default) on this host, from any terminal."""
        words = ["nsenter", f"--target={self.processes.pid}", "--net", "--pid", "--mount", "--uts"]
        if only_one_user():
            words[2:2] = ["--user", "--preserve-credentials"]
        return [*words, *(command or ("sh",))]

    def _kill(self) -> None:
        if self._processes is not None:
            self._processes.kill()

    def _reap(self) -> None:
        if self._processes is not None:
            self._processes.close()
            self._processes = None
        self._close_thread()

    def __repr__(self) -> str:
        return f"<host {self.name}>"


class Wire(_Place):
    """The namespace that holds all bridges: whoever listens here sees each port of each segment."""

    def socket(self, protocol: int = _ETH_P_ALL) -> socket.socket:
        """Open an unbound AF_PACKET socket; ``recvfrom`` tells interface (by name), direction and frame.

        Use ``SOL_PACKET`` options and ``Network.ports`` to tell whose port it is.
        """
        return self._opener.call(
            self._realm.open_socket, WIRE, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol)
        )


class Network:
    """A topology in the kernel, from ``with`` to its end.

    When the constructor returns, all bridge ports forward and all cables carry. Nothing of it has a name on the
    machine; whatever ends the controlling process ends it too.

    Args:
        topology: what to build.
        preload: modules that the launcher imports before it forks, so that ``spawn(target=…)`` starts at once.

    Raises:
        TopologyError: the topology has mistakes; all of them are listed.
        Unavailable: this user may not make namespaces; call :func:`canet.netns.enter` first.
        NetworkError: the kernel refused a step; nothing remains.
    """

    def __init__(self, topology: Topology, *, preload: Sequence[str] = ()) -> None:
        self.topology = topology
        self.plan: Plan = plan(topology)
        self._preload = tuple(preload)
        self._closed = False
        self._changing = threading.Lock()
        if preload:
            self._launch()
        _allow_descriptors(8 * len(topology.hosts) + 256)
        self._opener = Thread("canet-opener")
        self._realm = Realm()
        self._impairments = Impairments(self._realm)
        self._alterations = Alterations(self._realm, self.plan, self._impairments)
        try:
            self._opener.call(self._build)
        except BaseException as error:
            self._opener.call(self._let_go)
            self._opener.close()
            if isinstance(error, PermissionError):
                raise Unavailable(
                    "this process may not make network namespaces",
                    "call canet.netns.enter() first, or run as root; `canet doctor` says more",
                ) from error
            raise
        self.wire = Wire(WIRE, self._realm, self._opener)
        self.ports = self.plan.ports
        self._hosts = {
            host.name: HostNamespace(host, self._realm, self._opener, self._start_init) for host in topology.hosts
        }

    def _build(self) -> None:
        realm, built = self._realm, self.plan
        realm.apply(step for step in built.steps if not isinstance(step, Impair))
        deadline = time.monotonic() + _READY_SECONDS
        ports: dict[int, str] = {}
        for host in self.topology.hosts:
            others: dict[int, str] = {}
            for interface in host.interfaces:
                place = built.places[host.name, interface.name]
                if not carries(self.topology, interface):
                    continue
                if place.port is not None:
                    ports[place.port] = f"host {host.name} interface {interface.name}"
                else:
                    others[place.index] = f"host {host.name} interface {interface.name}"
            if others:
                realm.await_links(host.name, others, deadline)
        realm.await_ports(ports, deadline)
        for name in dict.fromkeys((step.namespace, step.name) for step in built.steps if isinstance(step, Impair)):
            self._alterations.impair(self.topology, *name)
        realm.settle()

    def _launch(self) -> None:
        from canet.netns.process import launcher

        launcher(self._preload)

    def _start_init(self, host: Host, namespace: int) -> HostProcesses:
        from canet.netns.process import HostProcesses, launcher

        return HostProcesses(launcher(self._preload), host, namespace)

    def __getitem__(self, host: str) -> HostNamespace:
        try:
            return self._hosts[host]
        except KeyError:
            raise NetworkError(f"no host is called {host!r}; there are {', '.join(self._hosts)}") from None

    def __iter__(self) -> Iterator[HostNamespace]:
        return iter(self._hosts.values())

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def change(self, change: Change) -> Change:
        """Make something happen to the network while it runs; return the change that undoes it.

        When it returns the kernel has done it, and interfaces that should carry frames do. ``topology`` is then
        what the network has become.

        Raises:
            NetworkError: it does not fit this network, or the kernel refuses it.
        """
        with self._changing:
            self.topology, back, files = self._opener.call(self._alterations.make, self.topology, change)
            for each in files:
                self[each.host].processes.set_file(each.path, each.text)
            return back

    def _let_go(self) -> None:
        self._impairments.close()
        self._realm.close()

    def close(self) -> None:
        """Kill all processes of all hosts, wait until they are gone, and drop the namespaces. May be repeated.

        Sockets that ``socket()`` gave out keep their namespace until they are closed. While the interpreter ends
        nothing is done: the threads that did it have stopped, and the end of the process takes everything with it.
        """
        if self._closed:
            return
        self._closed = True
        if sys.is_finalizing():
            return
        for host in self._hosts.values():
            host._kill()
        for host in self._hosts.values():
            host._reap()
        self.wire._close_thread()
        self._opener.call(self._let_go)
        self._opener.close()


def _allow_descriptors(count: int) -> None:
    """Raise the soft limit on open descriptors where a large network needs more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only counted
    if soft != resource.RLIM_INFINITY and soft < wanted and (hard == resource.RLIM_INFINITY or hard > soft):
        top = wanted * 2 if hard == resource.RLIM_INFINITY else min(hard, wanted * 2)
        resource.setrlimit(resource.RLIMIT_NOFILE, (top, hard))
