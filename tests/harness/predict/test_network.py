"""The compiled tables of a host: what is local, what is a broadcast, which source is chosen."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from canet.harness.predict.network import HostTables
from canet.harness.predict.tables import compile_network
from canet.netns.topology import Address, Host, Interface, Route, Segment, Topology


def number(text: str) -> int:
    return int(IPv4Address(text))


def tables(*addresses: str, routes: tuple[Route, ...] = (), up: bool = True) -> HostTables:
    """Compile one host with one interface."""
    card = Interface(name="eth0", segment="lan", addresses=tuple(map(Address.parse, addresses)), up=up)
    one = Host(name="h", interfaces=(card,), routes=routes)
    return compile_network(Topology(hosts=(one,), segments=(Segment(name="lan"),))).hosts["h"]


def test_subnet_broadcast_needs_no_attribute() -> None:
    """The kernel knows the subnet's broadcast address even where the attribute is missing."""
    entry = tables("10.1.0.2/24 brd none").lookup(number("10.1.0.255"))

    assert entry is not None
    assert entry.kind == "broadcast"


def test_secondary_address_prefers_the_primary_as_source() -> None:
    """A second address of the same subnet is never a source by itself."""
    host = tables("10.1.0.2/24", "10.1.0.3/24")

    entry = host.lookup(number("10.1.0.3"))
    assert entry is not None
    assert entry.source == number("10.1.0.2")
    assert host.select_source(host.by_name["eth0"], number("10.1.0.9")) == number("10.1.0.2")


def test_interface_that_is_down_keeps_its_address_but_no_broadcast() -> None:
    """Addresses of an interface that is down stay local; its routes and broadcasts are gone."""
    host = tables("10.1.0.2/24", up=False)

    assert host.is_local(number("10.1.0.2"))
    assert host.lookup(number("10.1.0.255")) is None


def test_longest_prefix_then_smallest_metric() -> None:
    """The more special route wins; among equal ones the smaller metric."""
    routes = (
        Route(to=IPv4Network("0.0.0.0/0"), via=IPv4Address("10.1.0.254")),
        Route(to=IPv4Network("10.9.0.0/16"), via=IPv4Address("10.1.0.253"), metric=20),
        Route(to=IPv4Network("10.9.0.0/16"), via=IPv4Address("10.1.0.252"), metric=10),
    )
    host = tables("10.1.0.2/24", routes=routes)

    special, general = host.lookup(number("10.9.1.1")), host.lookup(number("192.0.2.1"))
    assert special is not None
    assert general is not None
    assert special.gateway == number("10.1.0.252")
    assert general.gateway == number("10.1.0.254")


def test_thirty_one_bits_have_no_broadcast() -> None:
    """A /31 has two hosts and no broadcast address."""
    entry = tables("10.1.0.2/31").lookup(number("10.1.0.3"))

    assert entry is not None
    assert entry.kind == "unicast"
