"""A Channel Access server without sockets: circuits, searches, jobs, and what the driver must look at next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from canet.server.core.circuit import Circuit
from canet.server.core.config import Config
from canet.server.core.hooks import Job
from canet.server.core.names import Names, Provider
from canet.server.core.pv import PV
from canet.server.core.requests.channels import forget
from canet.server.core.search import Responder
from canet.server.core.security import Open, Security
from canet.server.core.statistics import Statistics
from canet.server.protocol.commands import Command
from canet.server.protocol.message import HEADER


class Server:
    """Serves the PVs of its providers.

    The driver calls :meth:`connected`, :meth:`datagrams` and the circuits; afterwards it takes :attr:`dirty` and
    :attr:`jobs`. What happens outside of the driver's calls (a PV is posted by a task) makes the server call
    :attr:`wake` once.

    Args:
        providers: where PVs are found; the first that knows a name wins.
        config: what the environment says.
        security: who may read and write; everybody, where ``None``.
    """

    def __init__(self, *providers: Provider, config: Config | None = None, security: Security | None = None) -> None:
        self.config = config or Config.from_environment({})
        self.names = Names(*providers)
        self.responder = Responder(self.names, self.config.server_port)
        self.circuits: set[Circuit] = set()
        self.dirty: list[Circuit] = []
        """Circuits with something to send or to close."""
        self.jobs: list[Job] = []
        """Hooks that the driver shall run."""
        self.wake: Callable[[], None] = _nothing
        """Set by the driver: called when work appears while the driver is not looking."""
        self.relieve: Callable[[Circuit], bool] = _cannot
        """Set by the driver: sends what it can of a circuit at once; returns whether updates may go on."""
        self.busy = False
        """The driver is in one of its calls and looks at ``dirty`` and ``jobs`` afterwards."""
        self.max_payload = self.config.max_payload
        self.statistics = Statistics()
        self._security: Security = Open()
        self.security = security or Open()

    @property
    def security(self) -> Security:
        """Who may read and write."""
        return self._security

    @security.setter
    def security(self, security: Security) -> None:
        self._security = security
        security.watch(self.renew_rights)
        self.renew_rights()

    def count(self) -> Statistics:
        """Return the counters, brought up to date."""
        statistics = self.statistics
        statistics.clients = len(self.circuits)
        statistics.searches = self.responder.searches
        statistics.found = self.responder.found
        return statistics

    def connected(self, peer: tuple[str, int], now: float) -> Circuit:
        """Return a new circuit for a client that connected."""
        circuit = Circuit(self, peer, now)
        self.circuits.add(circuit)
        return circuit

    def disconnected(self, circuit: Circuit) -> None:
        """Release a circuit that the driver closed."""
        circuit.closed()
        self.circuits.discard(circuit)

    def datagrams(self, waiting: Sequence[bytes], address: str) -> list[bytes]:
        """Return the replies to the datagrams that wait from one port of an IPv4 address."""
        if address in self.config.ignored:
            self.statistics.refused_datagrams += len(waiting)
            return []
        return self.responder.answer(waiting)

    def mark(self, circuit: Circuit) -> None:
        """Put a circuit among those that the driver looks at."""
        self.dirty.append(circuit)
        if not self.busy and len(self.dirty) == 1 and not self.jobs:
            self.wake()

    def start(self, job: Job) -> None:
        """Have the driver run a job."""
        self.jobs.append(job)
        if not self.busy and len(self.jobs) == 1 and not self.dirty:
            self.wake()

    def renew_rights(self) -> None:
        """Announce the rights of all channels where they changed."""
        for circuit in self.circuits:
            circuit.renew_all_rights()

    def withdraw(self, pv: PV) -> None:
        """Tell the clients of a PV that it is gone (SERVER_DISCONN), and forget their channels."""
        for circuit in self.circuits:
            for sid in [sid for sid, channel in circuit.channels.items() if channel.pv is pv]:
                channel = circuit.channels.pop(sid)
                forget(circuit, channel)
                circuit.send(HEADER.pack(Command.SERVER_DISCONN, 0, 0, 0, channel.cid, 0))

    def close(self) -> None:
        """Ask the driver to close all circuits."""
        for circuit in self.circuits:
            circuit.close("the server stops")


def _nothing() -> None:
    """Wake nobody: there is no driver yet."""


def _cannot(_circuit: Circuit) -> bool:
    """Send nothing: there is no driver yet."""
    return False
