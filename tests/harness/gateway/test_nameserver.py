"""A name server: it refers clients by its table, learns by asking, and says so over UDP and TCP."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from canet.harness.lab.lab import Lab
from canet.scenarios.model import Client, Probe, Scenario, Server
from tests.harness.gateway.test_gateway import TOPOLOGY
from tests.harness.places import need_namespaces

SCENARIO = Scenario(
    id="tests/nameserver",
    title="A name server",
    story="",
    topology=TOPOLOGY,
    servers=(
        Server(name="ioc", host="gateway", pvs={"ioc:value": 1.5}, env={"EPICS_CAS_SERVER_PORT": "6064"}),
        Server(name="names", host="gateway", implementation="nameserver", options={"table": "ioc:* 10.1.0.8:6064"}),
    ),
    clients=(
        Client(
            name="libca",
            host="client",
            env={"EPICS_CA_NAME_SERVERS": "10.1.0.8", "EPICS_CA_ADDR_LIST": "", "EPICS_CA_AUTO_ADDR_LIST": "NO"},
        ),
    ),
    probes=(Probe(name="search", host="client", to=IPv4Address("10.1.0.8"), pvs=("ioc:value",)),),
)
ASKING = {"EPICS_CA_ADDR_LIST": "10.1.0.8:6064", "EPICS_CA_AUTO_ADDR_LIST": "NO"}


@pytest.mark.parametrize("backend", ["asyncio", "curio", "trio"])
@pytest.mark.parametrize("way", ["table", "ask"])
def test_it_refers(backend: str, way: str) -> None:
    """The answer to a search names the IOC's address and port, and the client connects there."""
    need_namespaces()
    names = replace(SCENARIO.servers[1], backend=backend)
    if way == "ask":
        names = replace(names, options={"ask": True}, env=ASKING)
    with Lab(replace(SCENARIO, servers=(SCENARIO.servers[0], names)), backend) as lab:
        shooting = lab.probe("search")
        announced = {reply.announced for shot in shooting.shots for reply in shot.replies if "ioc:value" in reply.pvs}
        assert announced == {"10.1.0.8:6064"}
        assert lab.client("libca").tries[0].values == {"ioc:value": 1.5}
