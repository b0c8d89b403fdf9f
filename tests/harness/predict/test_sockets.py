"""Which UDP socket gets a datagram: the measured truth tables."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from canet.harness.predict.network import HostTables
from canet.harness.predict.sockets import Bound, Listening, TcpListener, UdpSocket
from canet.harness.predict.tables import compile_network

from .nets import pair


@pytest.fixture
def ioc() -> HostTables:
    """The host 10.1.0.2/24."""
    return compile_network(pair()).hosts["ioc"]


def number(text: str) -> int:
    return int(IPv4Address(text))


def bound(host: HostTables, *sockets: tuple[str, bool, bool, int]) -> Bound:
    """Bind sockets (address, reuse address, reuse port, user), named a, b, c … in order."""
    found = Bound()
    for n, (address, addr, port, uid) in enumerate(sockets):
        assert found.bind(host, UdpSocket("abcdef"[n], number(address), 5064, addr, port, uid)) is None
    return found


def names(found: Bound, to: str, *, everyone: bool) -> set[str]:
    return {each.owner for each in found.receivers(number(to), 5064, None, everyone=everyone)[1]}


BOTH = (True, True, 0)
ADDR = (True, False, 0)


@pytest.mark.parametrize(
    ("binding", "options", "to", "everyone", "expected"),
    [
        ("0.0.0.0", ADDR, "10.1.0.2", False, {"c"}),
        ("0.0.0.0", BOTH, "10.1.0.2", False, {"a", "b", "c"}),
        ("0.0.0.0", BOTH, "10.1.0.255", True, {"a", "b", "c"}),
        ("10.1.0.255", BOTH, "10.1.0.2", False, set()),
        ("10.1.0.255", ADDR, "10.1.0.255", True, {"a", "b", "c"}),
        ("10.1.0.2", BOTH, "10.1.0.2", False, {"a", "b", "c"}),
        ("10.1.0.2", ADDR, "10.1.0.2", False, {"c"}),
        ("10.1.0.2", BOTH, "10.1.0.255", True, set()),
        ("127.0.0.1", BOTH, "127.0.0.1", False, {"a", "b", "c"}),
        ("127.0.0.1", BOTH, "127.255.255.255", True, set()),
        ("0.0.0.0", BOTH, "127.255.255.255", True, {"a", "b", "c"}),
    ],
)
def test_three_sockets_of_one_kind(
    ioc: HostTables,
    binding: str,
    options: tuple[bool, bool, int],
    to: str,
    everyone: bool,
    expected: set[str],
) -> None:
    """Three sockets bound alike get what the table of measurements says."""
    found = bound(ioc, *[(binding, *options)] * 3)

    assert expected == names(found, to, everyone=everyone)


def test_exact_address_before_wildcard(ioc: HostTables) -> None:
    """A unicast goes to the socket bound to its destination, a broadcast to the wildcard and the broadcast one."""
    found = bound(ioc, *[(each, *BOTH) for each in ("0.0.0.0", "10.1.0.2", "10.1.0.255")])

    assert names(found, "10.1.0.2", everyone=False) == {"b"}
    assert names(found, "10.1.0.255", everyone=True) == {"a", "c"}


def test_users_do_not_share_unicasts(ioc: HostTables) -> None:
    """Of several users' sockets only those of the user that bound last share unicasts."""
    found = bound(ioc, ("0.0.0.0", True, True, 0), ("0.0.0.0", True, True, 1000), ("0.0.0.0", True, True, 1000))

    assert names(found, "10.1.0.2", everyone=False) == {"b", "c"}


def test_mixed_options_give_all_to_the_last(ioc: HostTables) -> None:
    """A socket with SO_REUSEADDR alone that is bound last gets every unicast."""
    found = bound(ioc, ("0.0.0.0", *BOTH), ("0.0.0.0", *ADDR))

    assert names(found, "10.1.0.2", everyone=False) == {"b"}


@pytest.mark.parametrize(
    ("first", "second", "error"),
    [
        ((True, True, 0), (True, True, 1000), None),
        ((False, True, 0), (False, True, 1000), "EADDRINUSE"),
        ((False, True, 0), (False, True, 0), None),
        ((False, False, 0), (True, True, 0), "EADDRINUSE"),
        ((True, True, 0), (True, False, 0), None),
    ],
)
def test_bind_conflicts(
    ioc: HostTables, first: tuple[bool, bool, int], second: tuple[bool, bool, int], error: str | None
) -> None:
    """Two wildcard sockets bind or not, by their options and users."""
    found = bound(ioc, ("0.0.0.0", *first))

    assert error == found.bind(ioc, UdpSocket("z", 0, 5064, *second))


def test_foreign_address_cannot_be_bound(ioc: HostTables) -> None:
    """An address of another host gives EADDRNOTAVAIL."""
    assert Bound().bind(ioc, UdpSocket("z", number("10.1.0.9"), 5064)) == "EADDRNOTAVAIL"


def test_listener_of_the_exact_address_is_found_first() -> None:
    """A connection goes to the listener of the address before the wildcard's."""
    listening = Listening()
    listening.sockets += [TcpListener("any", 0, 5064), TcpListener("own", 7, 5064)]

    assert getattr(listening.find(7, 5064), "owner", None) == "own"
    assert getattr(listening.find(8, 5064), "owner", None) == "any"
    assert listening.taken(8, 5064)
    assert listening.find(7, 5065) is None
