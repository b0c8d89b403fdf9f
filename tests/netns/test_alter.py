"""Changes in the kernel: each fault stops what it should, and undoing it lets the rest through."""

from __future__ import annotations

import select
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from canet.netns import Address, Host, Impairment, Interface, Network, NetworkError, Port, Route, Rule, Topology, nft
from canet.netns.change import (
    AddAddress,
    AddRoute,
    AddRule,
    Change,
    Cut,
    Heal,
    Impair,
    LinkDown,
    LinkUp,
    Plug,
    RemoveAddress,
    RemoveRoute,
    SetPort,
    SetSysctl,
    Several,
    Unplug,
)
from canet.netns.errors import TopologyError
from canet.netns.sysctl import read
from tests.netns.lan import PORT, host, lan, listener, next_datagram, sender, with_interface

Build = Callable[[Topology], Network]
BROADCAST = ("10.1.0.255", PORT)


def send(net: Network, what: bytes, to: tuple[str, int] = BROADCAST) -> bool:
    """Send one datagram from the client; say whether the kernel took it."""
    with sender(net["client"]) as client:
        try:
            client.sendto(what, to)
        except OSError:
            return False
        return True


STOPS: tuple[Change, ...] = (
    LinkDown(host="client", interface="eth0"),
    LinkDown(host="server", interface="eth0"),
    Unplug(host="client", interface="eth0"),
    Unplug(host="server", interface="eth0"),
    Cut(host="client", interface="eth0", direction="out"),
    Cut(host="server", interface="eth0", direction="in"),
    Impair(host="client", interface="eth0", impairment=Impairment(loss=1.0)),
    Impair(host="client", interface="eth0", impairment=Impairment(loss=1.0, seed=5)),
    Impair(host="server", interface="eth0", impairment=Impairment(direction="in", loss=1.0, seed=5)),
    RemoveAddress(host="client", interface="eth0", address=Address.parse("10.1.0.1/24")),
    RemoveAddress(host="server", interface="eth0", address=Address.parse("10.1.0.2/24")),
    SetPort(host="server", interface="eth0", port=Port(bcast_flood=False)),
    AddRule(host="server", rule=Rule(hook="input", proto="udp", verdict="drop")),
    AddRule(host="client", rule=Rule(hook="output", proto="udp", verdict="drop")),
)


@pytest.mark.parametrize("change", STOPS, ids=lambda change: f"{type(change).__name__}-{change.host}")
def test_a_fault_stops_broadcasts_until_it_is_undone(network: Build, change: Change) -> None:
    """What is sent meanwhile never arrives; the first datagram afterwards does."""
    net = network(lan())
    before = net.topology
    with listener(net["server"]) as server:
        send(net, b"before")
        assert next_datagram(server) == b"before"
        back = net.change(change)
        assert net.topology != before
        send(net, b"meanwhile")
        net.change(back)
        assert send(net, b"after")

        assert next_datagram(server) == b"after"
    assert net.topology == before


def test_the_other_direction_is_not_cut(network: Build) -> None:
    """A client that cannot send still hears."""
    net = network(lan())
    net.change(Cut(host="client", interface="eth0", direction="out"))
    with listener(net["client"]) as client, sender(net["server"]) as server:
        server.sendto(b"hear", BROADCAST)

        assert next_datagram(client) == b"hear"


@pytest.mark.parametrize("state", [{"plugged": False}, {"up": False}])
def test_a_macvlan_has_the_carrier_of_its_parent(network: Build, state: dict[str, bool]) -> None:
    """A network with a parent that carries nothing is built; the first broadcast after it does reaches the macvlan."""
    box = Interface(name="eth0", parent="server.eth0", addresses=(Address.parse("10.1.0.3/24"),))
    topology = lan(host("client", "10.1.0.1/24"), host("server", "10.1.0.2/24"), Host(name="box", interfaces=(box,)))
    net = network(with_interface(topology, "server", **state))
    with listener(net["box"]) as server:
        assert send(net, b"before")
        net.change(
            Plug(host="server", interface="eth0") if "plugged" in state else LinkUp(host="server", interface="eth0")
        )
        assert send(net, b"after")

        assert next_datagram(server) == b"after"


def test_routes_come_back_with_the_link(network: Build) -> None:
    """Undoing a link that went down also gives back the routes that the kernel forgot."""
    route = Route(to=IPv4Network("10.2.0.0/16"), via=IPv4Address("10.1.0.2"))
    net = network(lan(host("client", "10.1.0.1/24", routes=(route,)), host("server", "10.1.0.2/24")))
    back = net.change(LinkDown(host="client", interface="eth0"))
    assert not send(net, b"x", ("10.2.0.1", PORT))
    net.change(back)

    assert send(net, b"x", ("10.2.0.1", PORT))


def test_addresses_and_routes_come_and_go(network: Build) -> None:
    """A new address hears, a new route leads, and both are undone."""
    net = network(lan())
    whole = Several(
        (
            AddAddress(host="server", interface="eth0", address=Address.parse("10.5.0.2/24")),
            AddRoute(host="client", route=Route(to=IPv4Network("10.5.0.0/24"), dev="eth0")),
        )
    )
    back = net.change(whole)
    with listener(net["server"]) as server:
        assert send(net, b"new", ("10.5.0.2", PORT))
        assert next_datagram(server) == b"new"
    net.change(back)

    assert not send(net, b"x", ("10.5.0.2", PORT))
    assert net.topology == lan()


def test_an_address_may_be_given_to_two_hosts(network: Build) -> None:
    """That is a fault that people make; it is not refused while a network runs."""
    net = network(lan())
    net.change(AddAddress(host="client", interface="eth0", address=Address.parse("10.1.0.2/24")))

    assert [str(each) for each in net.topology.host("client").addresses] == ["10.1.0.1/24", "10.1.0.2/24"]


def test_a_setting_is_undone_to_what_it_was(network: Build) -> None:
    """The kernel's value is read before it is changed."""
    net = network(lan())
    key = "net.ipv4.tcp_keepalive_time"
    before = net["client"].call(read, key)
    back = net.change(SetSysctl(host="client", key=key, value="7"))
    assert net["client"].call(read, key) == "7"
    net.change(back)

    assert net["client"].call(read, key) == before


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            RemoveRoute(host="client", route=Route(to=IPv4Network("10.9.0.0/16"), dev="eth0")),
            "remove route 10.9.0.0/16",
        ),
        (AddRoute(host="client", route=Route(to=IPv4Network("10.9.0.0/16"), via=IPv4Address("10.8.0.1"))), "add route"),
        (SetSysctl(host="client", key="net.ipv4.nothing", value="1"), r"sysctl net\.ipv4\.nothing"),
        (SetSysctl(host="client", key="net.ipv4.ip_default_ttl", value="999"), "refuses '999'"),
        (AddRule(host="client", rule=Rule(hook="input")), "host client rule 1: it has no action"),
        (AddRoute(host="client", route=Route(to=IPv4Network("10.9.0.0/16"), dev="eth7")), "no interface 'eth7'"),
    ],
)
def test_a_change_that_cannot_be_made_changes_nothing(network: Build, change: Change, what: str) -> None:
    """The error says what the kernel, or the check before it, does not take."""
    net = network(lan())
    with pytest.raises(NetworkError, match=what):
        net.change(change)

    assert net.topology == lan()
    assert issubclass(TopologyError, NetworkError)


def numbers_that_arrive(net: Network, count: int) -> list[int]:
    """Broadcast numbers from the client; return those that the server gets.

    The line keeps the order, so the first of many sentinels that passes is behind all that was not lost.
    """
    seen: list[int] = []
    with listener(net["server"]) as server, sender(net["client"]) as client:
        for number in range(count):
            client.sendto(b"%d" % number, BROADCAST)
        while True:
            client.sendto(b"end", BROADCAST)
            while select.select([server], [], [], 0.05)[0]:
                if (data := next_datagram(server)) == b"end":
                    return seen
                seen.append(int(data))


@pytest.mark.parametrize("seed", [0, 11])
def test_loss_takes_some_and_leaves_some(network: Build, seed: int) -> None:
    """Half of many datagrams are lost, by nftables without and by the relay with a seed."""
    net = network(lan())
    net.change(Impair(host="client", interface="eth0", impairment=Impairment(loss=0.5, seed=seed)))
    seen = numbers_that_arrive(net, 100)

    assert 20 < len(seen) < 80
    assert seen == sorted(seen)


def test_the_same_seed_loses_the_same(network: Build) -> None:
    """Two networks with the same seed lose the same datagrams."""
    runs = []
    for _ in range(2):
        net = network(lan())
        net.change(Impair(host="client", interface="eth0", impairment=Impairment(loss=0.5, seed=3)))
        runs.append(numbers_that_arrive(net, 50))

    assert runs[0] == runs[1]
    assert 10 < len(runs[0]) < 40


def test_duplicates_arrive_twice(network: Build) -> None:
    """The relay copies frames."""
    net = network(lan())
    net.change(Impair(host="server", interface="eth0", impairment=Impairment(direction="in", duplicate=1.0)))
    with listener(net["server"]) as server:
        send(net, b"twice")

        assert [next_datagram(server), next_datagram(server)] == [b"twice", b"twice"]


def test_corrupt_datagrams_are_not_delivered(network: Build) -> None:
    """A flipped bit breaks a checksum; the kernel drops the frame."""
    net = network(lan())
    back = net.change(Impair(host="client", interface="eth0", impairment=Impairment(corrupt=1.0, seed=2)))
    with listener(net["server"]) as server:
        for _ in range(5):
            send(net, b"payload that is long enough to be hit by the flipped bit " * 4)
        net.change(back)
        send(net, b"whole")

        assert next_datagram(server) == b"whole"


def test_a_topology_may_begin_impaired(network: Build) -> None:
    """Impairments of the description are there from the start, and healed like others."""
    interface = Interface(
        name="eth0",
        segment="lan",
        addresses=(Address.parse("10.1.0.1/24"),),
        impairments=(Impairment(cut=True), Impairment(direction="in", delay=0.001)),
    )
    net = network(lan(Host(name="client", interfaces=(interface,)), host("server", "10.1.0.2/24")))
    send(net, b"lost")
    with listener(net["server"]) as server, listener(net["client"]) as client, sender(net["server"]) as back:
        back.sendto(b"slow", BROADCAST)
        assert next_datagram(client) == b"slow"
        assert next_datagram(server) == b"slow"  # its own broadcast
        net.change(Heal(host="client", interface="eth0"))
        send(net, b"found")

        assert next_datagram(server) == b"found"


def test_port_flags_hold_behind_a_relay(network: Build) -> None:
    """The relay's bridge port has the flags of the port that it stands for."""
    net = network(lan())
    net.change(Impair(host="server", interface="eth0", impairment=Impairment(delay=0.001)))
    back = net.change(SetPort(host="server", interface="eth0", port=Port(bcast_flood=False)))
    with listener(net["server"]) as server:
        send(net, b"flooded")
        net.change(back)
        send(net, b"after")

        assert next_datagram(server) == b"after"


def test_a_kernel_without_egress_hook_gets_a_relay(network: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nftables cannot drop is dropped in user space."""
    whole = nft.drop_at

    def without_egress(device: str, hook: str, loss: float | None) -> Any:
        if hook == "egress" and loss is not None:
            raise NetworkError("make chain egress: Operation not supported (EOPNOTSUPP)")
        return whole(device, hook, loss)

    monkeypatch.setattr(nft, "drop_at", without_egress)
    net = network(lan())
    back = net.change(Cut(host="server", interface="eth0", direction="in"))
    with listener(net["server"]) as server:
        send(net, b"lost")
        net.change(back)
        send(net, b"found")

        assert next_datagram(server) == b"found"


CABLE = Topology(
    hosts=(
        Host(
            name="client",
            interfaces=(Interface(name="eth0", link="server.eth0", addresses=(Address.parse("10.1.0.1/24"),)),),
        ),
        Host(
            name="server",
            interfaces=(Interface(name="eth0", link="client.eth0", addresses=(Address.parse("10.1.0.2/24"),)),),
        ),
    )
)


@pytest.mark.parametrize("where", [("client", "out"), ("server", "in")])
def test_direct_cables_can_be_cut(network: Build, where: tuple[str, Any]) -> None:
    """Cuts and loss work without a switch, in either end's view."""
    net = network(CABLE)
    back = net.change(Cut(host=where[0], interface="eth0", direction=where[1]))
    with listener(net["server"]) as server:
        send(net, b"lost")
        net.change(back)
        send(net, b"found")

        assert next_datagram(server) == b"found"


def test_what_needs_a_switch_says_so(network: Build) -> None:
    """Delay on a direct cable is refused with what to do, and a cable to no switch cannot be unplugged."""
    net = network(CABLE)
    with pytest.raises(NetworkError, match="put the interface on a segment"):
        net.change(Impair(host="client", interface="eth0", impairment=Impairment(delay=0.1)))
    with pytest.raises(NetworkError, match="only a cable to a segment can be unplugged"):
        net.change(Unplug(host="client", interface="eth0"))

    assert net.topology == CABLE
