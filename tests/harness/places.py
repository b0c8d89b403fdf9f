"""Small scenarios to test the lab with, and the right to run them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from canet.netns import Unavailable, enter
from canet.netns.topology import Address, Host, Interface, Segment, Topology
from canet.scenarios.model import Client, Expectation, Outcome, Probe, Scenario, Server

LAN = Topology(
    hosts=(
        Host(
            name="client",
            interfaces=(Interface(name="eth0", segment="lan", addresses=(Address.parse("10.1.0.1/24"),)),),
        ),
        Host(
            name="ioc",
            interfaces=(Interface(name="eth0", segment="lan", addresses=(Address.parse("10.1.0.2/24"),)),),
        ),
    ),
    segments=(Segment(name="lan"),),
)

BROADCAST = Scenario(
    id="tests/broadcast",
    title="A broadcast reaches both servers",
    story="Two servers on one host hear the same broadcast.",
    variant="plain",
    topology=LAN,
    servers=(Server(name="a", host="ioc", pvs={"a:x": 1.0}), Server(name="b", host="ioc", pvs={"b:x": 2.0})),
    probes=(Probe(name="all", host="client", to=Address.parse("10.1.0.255/32").ip, sources=2),),
    expectations=(
        Expectation(
            subject="all",
            received=Outcome.parse("all of a, b"),
            answered=Outcome.parse("all of a, b"),
            connects=Outcome.parse("all of a, b"),
            replies=2,
        ),
    ),
)


def changed(**changes: Any) -> Scenario:
    """Return the broadcast scenario with other parts."""
    return replace(BROADCAST, **changes)


def asking(implementation: str, **env: str) -> Client:
    """Return a client that reads both PVs by broadcast."""
    settings = {"EPICS_CA_ADDR_LIST": "10.1.0.255", "EPICS_CA_AUTO_ADDR_LIST": "NO", **env}
    return Client(name=implementation, host="client", implementation=implementation, env=settings)


def need_namespaces() -> None:
    """Skip where networks cannot be built."""
    try:
        enter()
    except Unavailable as error:
        pytest.skip(str(error))
