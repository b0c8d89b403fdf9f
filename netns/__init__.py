"""Networks of Linux namespaces: described as values, planned as steps, realised in the kernel.

>>> from canet.netns import Network, Topology, enter
"""

from canet.netns.enter import enter
from canet.netns.errors import NetworkError, Problem, SpawnError, TopologyError, Unavailable
from canet.netns.network import HostNamespace, Network, Wire
from canet.netns.topology import Address, Host, Impairment, Interface, Port, Route, Rule, Segment, Topology

__all__ = [
    "Address",
    "Host",
    "HostNamespace",
    "Impairment",
    "Interface",
    "Network",
    "NetworkError",
    "Port",
    "Problem",
    "Route",
    "Rule",
    "Segment",
    "SpawnError",
    "Topology",
    "TopologyError",
    "Unavailable",
    "Wire",
    "enter",
]
