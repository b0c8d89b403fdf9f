"""Which sockets a server opens."""

import pytest

from canet.server.core.beacon import Destination
from canet.server.core.binding import Interface, Plan, plan
from canet.server.core.config import Config, Endpoint, Layout

LO = Interface("lo", "127.0.0.1", "255.0.0.0")
E0 = Interface("e0", "10.1.0.2", "255.255.255.0", "10.1.0.255")
E1 = Interface("e1", "10.2.0.2", "255.255.255.0", "10.2.0.255")
HOST = (LO, E0, E1)


def planned(layout: Layout = "literal", **variables: str) -> Plan:
    """Return the plan for an environment."""
    return plan(Config.from_environment({f"EPICS_{k}": v for k, v in variables.items()}, layout=layout), HOST)


def binds(made: Plan) -> list[str]:
    """Return where searches are heard."""
    return [each.bind.host for each in made.searches]


@pytest.mark.parametrize(
    ("listed", "layout", "udp", "tcp"),
    [
        ("", "literal", ["0.0.0.0"], ["0.0.0.0"]),
        ("", "rsrv", ["0.0.0.0"], ["0.0.0.0"]),
        ("10.1.0.2", "literal", ["10.1.0.2"], ["10.1.0.2"]),
        ("10.1.0.2", "rsrv", ["10.1.0.2", "10.1.0.255"], ["10.1.0.2"]),
        ("10.1.0.255", "literal", ["10.1.0.255"], ["10.1.0.2"]),
        ("10.1.0.2 10.1.0.255", "literal", ["10.1.0.2", "10.1.0.255"], ["10.1.0.2"]),
        ("127.0.0.1", "rsrv", ["127.0.0.1"], ["127.0.0.1"]),
        ("10.1.0.2 10.2.0.2", "rsrv", ["10.1.0.2", "10.1.0.255", "10.2.0.2", "10.2.0.255"], ["10.1.0.2", "10.2.0.2"]),
        ("10.9.9.9", "literal", ["10.9.9.9"], ["10.9.9.9"]),
    ],
)
def test_layouts(listed: str, layout: Layout, udp: list[str], tcp: list[str]) -> None:
    """Literal binds what is given; rsrv adds the broadcast address; nobody connects to a broadcast address."""
    made = planned(layout, CAS_INTF_ADDR_LIST=listed)

    assert (binds(made), list(made.tcp)) == (udp, tcp)


def test_groups_alone_are_joined_on_all_interfaces() -> None:
    """The wildcard socket joins; the loopback does not."""
    (search,) = planned(CAS_INTF_ADDR_LIST="224.0.2.9").searches

    assert search.bind.host == "0.0.0.0"
    assert search.groups == (("224.0.2.9", "10.1.0.2"), ("224.0.2.9", "10.2.0.2"))


def test_groups_beside_an_address_have_a_socket_of_their_own() -> None:
    """A socket that is bound to an address never hears a group."""
    first, second = planned(CAS_INTF_ADDR_LIST="10.1.0.2 224.0.2.9").searches

    assert (first.bind.host, first.groups) == ("10.1.0.2", ())
    assert (second.bind.host, second.groups) == ("224.0.2.9", (("224.0.2.9", "10.1.0.2"),))


def test_beacons_of_a_wildcard_server() -> None:
    """They go to each link but the loopback, and leave the address to the receiver."""
    assert planned().beacons == (
        Destination(Endpoint("10.1.0.255", 5065)),
        Destination(Endpoint("10.2.0.255", 5065)),
    )


def test_beacons_of_a_bound_server_name_its_interface() -> None:
    """They go to its link alone, from its address."""
    assert planned(CAS_INTF_ADDR_LIST="10.2.0.2").beacons == (Destination(Endpoint("10.2.0.255", 5065), "10.2.0.2"),)


def test_listed_beacon_addresses_are_added() -> None:
    """Also where the automatic list is off."""
    made = planned(CAS_AUTO_BEACON_ADDR_LIST="NO", CAS_BEACON_ADDR_LIST="10.3.0.1:6065")

    assert made.beacons == (Destination(Endpoint("10.3.0.1", 6065)),)


def test_missing_broadcast_attribute_is_made_up_for() -> None:
    """An address whose broadcast is reported as itself has the broadcast of its subnet."""
    assert Interface("e0", "10.1.0.2", "255.255.255.0", "10.1.0.2").directed == "10.1.0.255"
    assert Interface("e0", "10.1.0.2", "255.255.255.255").directed is None
    assert Interface("ppp0", "10.1.0.2", "255.255.255.255", None, "10.1.0.9").directed == "10.1.0.9"
