"""Sockets and their options."""

import errno
import socket

import pytest

from canet.server.core.binding import Search
from canet.server.core.config import Config, Endpoint, Reuse
from canet.server.io import sockets
from canet.server.io.addresses import resolve
from canet.server.io.interfaces import change_socket, interfaces
from tests.server.live import free_port

OPTIONS = {"both": (1, 1), "addr": (1, 0), "port": (0, 1), "none": (0, 0)}


@pytest.mark.parametrize("reuse", ["both", "addr", "port", "none"])
def test_search_socket_has_the_options_that_were_chosen(reuse: Reuse) -> None:
    """They decide which of several servers gets a unicast."""
    search = Search(Endpoint("127.0.0.1", free_port()))
    with sockets.search_socket(search, Config(reuse=reuse)) as sock:
        names = (socket.SO_REUSEADDR, socket.SO_REUSEPORT)
        assert tuple(sock.getsockopt(socket.SOL_SOCKET, name) for name in names) == OPTIONS[reuse]
        assert sock.getsockname() == (search.bind.host, search.bind.port)
        assert sock.gettimeout() == 0.0


def test_search_socket_of_an_address_that_is_not_here() -> None:
    """The error says so."""
    with pytest.raises(OSError, match="assign") as caught:
        sockets.search_socket(Search(Endpoint("192.0.2.77", free_port())), Config())
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_a_group_may_be_joined_twice() -> None:
    """Joining again is no error; joining where there is no interface is one."""
    with sockets.search_socket(Search(Endpoint("0.0.0.0", free_port())), Config()) as sock:
        sockets.join(sock, "224.0.2.9", "127.0.0.1")
        sockets.join(sock, "224.0.2.9", "127.0.0.1")
        with pytest.raises(OSError, match="No such device"):
            sockets.join(sock, "224.0.2.9", "192.0.2.77")


def test_listeners_share_one_port() -> None:
    """The wanted port if it is free everywhere, else another, the same on all addresses."""
    port = free_port()
    first = sockets.listen(["127.0.0.1", "127.0.0.2"], port)
    second = sockets.listen(["127.0.0.2", "127.0.0.3"], port)
    try:
        assert {each.getsockname()[1] for each in first} == {port}
        (other,) = {each.getsockname()[1] for each in second}
        assert other != port
    finally:
        for each in (*first, *second):
            each.close()


def test_a_bound_port_that_does_not_listen_is_not_taken_for_free() -> None:
    """Only listen() decides: two may bind."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as racing:
        racing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        racing.bind(("127.0.0.1", 0))
        port = racing.getsockname()[1]
        (listener,) = sockets.listen(["127.0.0.1"], port)
        with listener:
            assert listener.getsockname()[1] == port
            with pytest.raises(OSError, match="in use"):
                racing.listen()


def test_clients_are_probed_when_silent() -> None:
    """Keepalive follows EPICS_CA_CONN_TMO; small replies leave at once; a peer that answers is not silent."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        sock, _ = listener.accept()
        with sock:
            sockets.prepare_client(sock, 30.0)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            client.sendall(b"x")
            assert sockets.silence(sock) == 0.0


def test_loopback_is_among_the_interfaces() -> None:
    """Each address has a mask and knows whether it is the loopback."""
    (loopback,) = (each for each in interfaces() if each.address == "127.0.0.1")

    assert loopback.loopback
    assert loopback.netmask == "255.0.0.0"


def test_changes_are_told_by_a_socket() -> None:
    """The kernel gives it to everybody."""
    with change_socket() as sock:
        assert sock.family == socket.AF_NETLINK


def test_names_are_resolved_and_bad_ones_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """The log says which variable named what cannot be found."""
    config = resolve(
        Config.from_environment(
            {
                "EPICS_CAS_BEACON_ADDR_LIST": "localhost 127.0.0.2:7065 no..such",
                "EPICS_CAS_IGNORE_ADDR_LIST": "localhost",
            }
        )
    )

    assert config.beacon_to == (Endpoint("127.0.0.1", 5065), Endpoint("127.0.0.2", 7065))
    assert config.ignored == {"127.0.0.1"}
    assert "EPICS_CAS_BEACON_ADDR_LIST: no..such is left out" in caplog.text
