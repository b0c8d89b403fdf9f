"""A gateway between two networks: searches, reads, writes and updates pass, and the loss of a server is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from canet.harness.client.blocking import ClientError, Connection
from canet.harness.lab.lab import Lab
from canet.netns.topology import Address, Host, Interface, Segment, Topology
from canet.scenarios.model import Probe, Scenario, Server
from canet.server.protocol.dbr import Native
from tests.harness.places import need_namespaces


def host(name: str, **addresses: str) -> Host:
    interfaces = tuple(
        Interface(name=f"eth{number}", segment=segment, addresses=(Address.parse(address),))
        for number, (segment, address) in enumerate(addresses.items())
    )
    return Host(name=name, interfaces=interfaces)


TOPOLOGY = Topology(
    hosts=(
        host("client", office="10.1.0.1/24"),
        host("gateway", office="10.1.0.8/24", machine="10.2.0.8/24"),
        host("ioc", machine="10.2.0.2/24"),
    ),
    segments=(Segment(name="office"), Segment(name="machine")),
)
SETTINGS = {
    "EPICS_CAS_INTF_ADDR_LIST": "10.1.0.8",
    "EPICS_CA_ADDR_LIST": "10.2.0.255",
    "EPICS_CA_AUTO_ADDR_LIST": "NO",
}
SCENARIO = Scenario(
    id="tests/gateway",
    title="A gateway between two networks",
    story="",
    topology=TOPOLOGY,
    servers=(
        Server(name="ioc", host="ioc", pvs={"ioc:value": 1.5, "ioc:text": "x", "ioc:wave": (1.0, 2.0, 3.0)}),
        Server(name="gateway", host="gateway", implementation="gateway", layout="rsrv", env=SETTINGS),
    ),
    probes=(Probe(name="search", host="client", to=IPv4Address("10.1.0.255"), connect=False),),
)


@pytest.fixture(params=["asyncio", "curio", "trio"])
def up(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Bring the two networks up, with all servers on one backend, after a search for all PVs."""
    need_namespaces()
    servers = tuple(replace(each, backend=request.param) for each in SCENARIO.servers)
    with Lab(replace(SCENARIO, servers=servers), request.param) as lab:
        lab.probe("search")
        yield lab


def connect(lab: Lab) -> Connection:
    return Connection.open("10.1.0.8:5064", lab.network["client"].socket)


def test_values_pass(up: Lab) -> None:
    """Numbers, texts and arrays are read through the gateway, with their types."""
    with connect(up) as connection:
        number = connection.channel("ioc:value")
        assert number.native == Native.DOUBLE
        assert connection.read(number) == 1.5
        assert connection.read(connection.channel("ioc:text")) == "x"
        assert list(connection.read(connection.channel("ioc:wave"))) == [1.0, 2.0, 3.0]


def test_writes_arrive_and_come_back(up: Lab) -> None:
    """A write is done when the IOC has done it; all clients of the gateway see the update."""
    with connect(up) as writer, connect(up) as watcher:
        updates: Iterator[Any] = watcher.monitor(watcher.channel("ioc:value"))
        assert next(updates) == 1.5
        writer.write(writer.channel("ioc:value"), 7.25)
        assert next(updates) == 7.25
    with Connection.open("10.2.0.2:5064", up.network["gateway"].socket) as direct:
        assert direct.read(direct.channel("ioc:value")) == 7.25


def test_one_circuit_serves_all_clients(up: Lab) -> None:
    """However many clients there are, the IOC sees one connection from the gateway."""
    opened = [connect(up) for _ in range(5)]
    for each in opened:
        assert each.read(each.channel("ioc:value")) == 1.5
        each.close()
    from canet.harness.lab.watching import circuits

    assert circuits(up, "gateway", 0.0) == 1


def test_a_lost_server_is_told_and_found_again(up: Lab) -> None:
    """When the IOC goes, channels are closed; when it is back, searches find it, and the gateway answers them."""
    with connect(up) as connection:
        connection.channel("ioc:value")
        up.crew.end("ioc")
        assert connection.closed(5.0)
        with pytest.raises(ClientError, match="does not serve"):
            connection.channel("ioc:value")
    up.crew.start(["ioc"])
    # A client searches until it is answered; on a busy machine the gateway may find the IOC after the first search.
    assert any(shot.replies for _ in range(10) for shot in up.probe("search").shots)
    with connect(up) as connection:
        assert connection.read(connection.channel("ioc:value")) == 1.5


def test_unknown_names_are_not_served(up: Lab) -> None:
    """A name that no IOC has is refused, and others go on."""
    with connect(up) as connection:
        with pytest.raises(ClientError, match="does not serve"):
            connection.channel("nobody:has:this")
        assert connection.read(connection.channel("ioc:value")) == 1.5
