"""A scenario with its sockets open: what predictions are made from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from canet.harness.predict.exchange import World
from canet.harness.predict.firewall import State
from canet.harness.predict.network import Network
from canet.harness.predict.servers import ServerState, start
from canet.harness.predict.tables import compile_network
from canet.harness.predict.trace import Reason, Trace, reasons
from canet.netns.topology import Topology
from canet.scenarios.model import Scenario, Server

CLIENT_PORT = 45001
"""First source port that stands for the ephemeral ones of probes and clients; each has its own."""
_COMPILED: OrderedDict[int, tuple[Topology, Network]] = OrderedDict()
_KEEP = 64


def compiled(topology: Topology) -> Network:
    """Compile a topology, or return what was compiled from the same value before."""
    known = _COMPILED.get(id(topology))
    if known is not None and known[0] is topology:
        return known[1]
    network = compile_network(topology)
    _COMPILED[id(topology)] = topology, network
    if len(_COMPILED) > _KEEP:
        _COMPILED.popitem(last=False)
    return network


@dataclass(slots=True, eq=False)
class Stage:
    """A scenario with its sockets open: what predictions are made from."""

    scenario: Scenario
    subject: str
    world: World
    servers: dict[str, ServerState]
    memory: State = field(default_factory=State)
    """What hosts have learnt so far: connections and neighbours."""
    ports: int = CLIENT_PORT

    def port(self) -> int:
        """Return a source port that nobody has had."""
        self.ports += 1
        return self.ports

    @property
    def unknown(self) -> str:
        """Why the model does not know what its servers do; "" if it does."""
        return next((each.unknown for each in self.servers.values() if each.unknown), "")


def set_up(scenario: Scenario, subject: str) -> Stage:
    """Open all sockets of a scenario in the model; gateways have not looked around yet."""
    world = World(compiled(scenario.topology))
    return Stage(scenario, subject, world, start(world, scenario.servers, subject))


def all_pvs(servers: Sequence[Server]) -> tuple[str, ...]:
    """Return the own PVs of all servers, each once, in order."""
    return tuple(dict.fromkeys(pv for server in servers for pv in server.pvs))


def datagram_size(names: Sequence[str]) -> int:
    """Return the octets of a search datagram: version, and for each name a header and the name padded to eights."""
    return 16 + sum(16 + len(each) // 8 * 8 + 8 for each in names)


def merged(traces: Iterable[Trace]) -> tuple[Reason, ...]:
    """Return the reasons of several traces in order, each once."""
    found: dict[Reason, None] = {}
    for trace in traces:
        for each in reasons(trace):
            found[each] = None
    return tuple(found)
