"""Networks of Linux namespaces: described as values, planned as steps, realised in the kernel.

::

    enter()                                       # once, early: an ordinary user gets namespaces of its own
    with Network(topology) as net:                # up: bridge ports forward when this returns
        client = net["client"].socket()           # an ordinary socket that lives on that host
        server = net["server"].spawn(argv=["./ioc"])
        undo = net.change(Cut(host="server", interface="eth0"))

The way of the data, a file for each step: ``topology`` (values) → ``check`` (mistakes) → ``plan`` (ordered steps) →
``rtnetlink``, ``nft`` (messages as values) → ``apply`` (the kernel, through ``netlink``, which has pyroute2 encode
them); ``change`` and ``alter`` do the same for what happens while a network is up. ``process`` asks the ``launcher``,
which forks a ``hostinit`` for each host, which forks participants.

What holds, for root and for an ordinary user:

* Namespaces have no names and are held by descriptors: any number of networks with the same addresses exist at once.
* The machine's own interfaces, routes, rules and settings are neither used nor changed.
* When ``close`` returns, every process of every host is gone. When the controlling process dies, however it does,
  the kernel ends all of it.
* Hosts start from the same settings everywhere (``sysctl.DEFAULTS``), whatever the machine is set to.
"""

from typing import TYPE_CHECKING

from canet.netns.enter import enter
from canet.netns.errors import NetworkError, Problem, SpawnError, TopologyError, Unavailable
from canet.netns.topology import Address, Host, Impairment, Interface, Port, Route, Rule, Segment, Topology

if TYPE_CHECKING:
    from canet.netns.network import HostNamespace, Network, Wire

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


def __getattr__(name: str) -> object:
    """Import what touches the kernel when it is first used: descriptions and predictions do without."""
    if name in ("HostNamespace", "Network", "Wire"):
        from canet.netns import network

        return getattr(network, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
