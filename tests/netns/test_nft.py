"""Firewall and translation rules, against real datagrams."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from canet.netns import Address, Host, Interface, Network, NetworkError, Route, Rule, Segment, Topology
from canet.netns.change import SetRules
from tests.netns.lan import PORT, SECONDS, host, lan, listener, next_datagram, sender

Build = Callable[[Topology], Network]


def lan_with(*rules: Rule, on: str = "server", **more: Any) -> Topology:
    """Return client and server, one of them with rules."""
    hosts = [host("client", "10.1.0.1/24"), host("server", "10.1.0.2/24")]
    return lan(
        *(
            host(each.name, f"{each.addresses[0].ip}/24", rules=rules, **more) if each.name == on else each
            for each in hosts
        )
    )


DNAT = Rule(
    hook="prerouting",
    proto="udp",
    daddr=IPv4Network("10.1.0.2/32"),
    dport=(PORT, PORT),
    iif="eth0",
    dnat=IPv4Address("10.1.0.255"),
)


def test_a_unicast_can_be_turned_into_a_broadcast(network: Build) -> None:
    """DNAT to the broadcast address in PREROUTING makes a remote unicast reach all three sockets."""
    net = network(lan_with(DNAT))
    servers = [listener(net["server"]) for _ in range(3)]
    with sender(net["client"]) as client:
        client.sendto(b"one", ("10.1.0.2", PORT))
        assert [next_datagram(each) for each in servers] == [b"one"] * 3
        servers[0].sendto(b"answer", ("10.1.0.1", client.getsockname()[1]))

        # The answer is no reply that connection tracking knows, and its own port would clash: it gets another one.
        data, (address, port) = client.recvfrom(10)
        assert (data, address) == (b"answer", "10.1.0.2")
        assert port != PORT
    for each in servers:
        each.close()


def test_prerouting_does_nothing_for_local_clients(network: Build) -> None:
    """A unicast from the same host never passes PREROUTING: one socket gets it."""
    net = network(lan_with(DNAT))
    servers = [listener(net["server"]) for _ in range(3)]
    with sender(net["server"]) as local:
        local.sendto(b"local", ("10.1.0.2", PORT))
        local.sendto(b"end", ("10.1.0.255", PORT))
    seen = []
    for each in servers:
        while (data := next_datagram(each)) != b"end":
            seen.append(data)
        each.close()

    assert seen == [b"local"]


def test_output_to_the_loopback_broadcast_serves_local_clients(network: Build) -> None:
    """DNAT to 127.255.255.255 in OUTPUT makes a local unicast reach all."""
    rule = Rule(
        hook="output",
        proto="udp",
        daddr=IPv4Network("10.1.0.2/32"),
        dport=(PORT, PORT),
        dnat=IPv4Address("127.255.255.255"),
    )
    net = network(lan_with(rule))
    servers = [listener(net["server"]) for _ in range(3)]
    with sender(net["server"]) as local:
        local.sendto(b"local", ("10.1.0.2", PORT))

        assert [next_datagram(each) for each in servers] == [b"local"] * 3
    for each in servers:
        each.close()


PASSES, DROPS = True, False


@pytest.mark.parametrize(
    ("conditions", "passes"),
    [
        ({}, DROPS),
        ({"proto": "udp"}, DROPS),
        ({"proto": "tcp"}, PASSES),
        ({"proto": "udp", "dport": (PORT, PORT)}, DROPS),
        ({"proto": "udp", "dport": (PORT + 1, PORT + 9)}, PASSES),
        ({"proto": "udp", "dport": (5000, 6000)}, DROPS),
        ({"proto": "udp", "dport": (PORT, 6000)}, DROPS),
        ({"proto": "udp", "sport": (4000, 4000)}, DROPS),
        ({"proto": "udp", "sport": (4001, 4001)}, PASSES),
        ({"saddr": IPv4Network("10.1.0.1/32")}, DROPS),
        ({"saddr": IPv4Network("10.1.0.0/24")}, DROPS),
        ({"saddr": IPv4Network("10.2.0.0/16")}, PASSES),
        ({"daddr": IPv4Network("10.1.0.2/32")}, DROPS),
        ({"daddr": IPv4Network("10.1.0.255/32")}, PASSES),
        ({"iif": "eth0"}, DROPS),
        ({"iif": "eth*"}, DROPS),
        ({"iif": "lo"}, PASSES),
        ({"ct": ("new",)}, DROPS),
        ({"ct": ("established", "related")}, PASSES),
        ({"chance": 0.0}, PASSES),
    ],
)
def test_conditions_match_what_they_say(network: Build, conditions: dict[str, Any], passes: bool) -> None:
    """A rule drops a datagram exactly if each of its conditions is met; a sentinel to another rule's port follows."""
    last = Rule(hook="input", proto="udp", sport=(4444, 4444), verdict="accept")
    net = network(lan_with(last, Rule(hook="input", verdict="drop", **conditions)))
    with listener(net["server"]) as server, net["client"].socket() as client, net["client"].socket() as sentinel:
        client.bind(("", 4000))
        sentinel.bind(("", 4444))
        client.sendto(b"x", ("10.1.0.2", PORT))
        sentinel.sendto(b"end", ("10.1.0.2", PORT))

        assert next_datagram(server) == (b"x" if passes else b"end")


def test_a_stateful_firewall_lets_answers_in(network: Build) -> None:
    """The reply to a unicast is established; that to a broadcast is not, and is dropped."""
    net = network(
        lan_with(
            Rule(hook="input", ct=("established", "related"), verdict="accept"),
            Rule(hook="input", proto="udp", sport=(4444, 4444), verdict="accept"),
            on="client",
            policies=(("input", "drop"),),
        )
    )
    with (
        listener(net["server"]) as server,
        sender(net["client"]) as asks,
        sender(net["client"]) as shouts,
        net["server"].socket() as sentinel,
    ):
        sentinel.bind(("", 4444))
        asks.sendto(b"ask", ("10.1.0.2", PORT))
        server.sendto(b"answer", server.recvfrom(10)[1])
        assert asks.recv(10) == b"answer"

        shouts.sendto(b"shout", ("10.1.0.255", PORT))
        _, address = server.recvfrom(10)
        server.sendto(b"answer", address)
        sentinel.sendto(b"end", address)
        assert shouts.recv(10) == b"end"


def test_a_dropped_send_is_refused(network: Build) -> None:
    """OUTPUT drop gives EPERM to the sender."""
    net = network(lan_with(Rule(hook="output", proto="udp", verdict="drop"), on="client"))
    with sender(net["client"]) as client, pytest.raises(PermissionError):
        client.sendto(b"x", ("10.1.0.2", PORT))


def test_a_rejected_datagram_is_told(network: Build) -> None:
    """Reject answers with port unreachable, which a connected socket gets as an error."""
    net = network(lan_with(Rule(hook="input", proto="udp", verdict="reject")))
    with sender(net["client"]) as client:
        client.connect(("10.1.0.2", PORT))
        client.send(b"x")

        with pytest.raises(ConnectionRefusedError):
            client.recv(10)


def test_a_rule_for_a_user_spares_others(network: Build) -> None:
    """The owner of a socket decides; this process is user 0 of its namespace."""
    rules = (
        Rule(hook="output", proto="udp", uid=0, dport=(7, 7), verdict="drop"),
        Rule(hook="output", proto="udp", uid=1, dport=(8, 8), verdict="drop"),
    )
    net = network(lan_with(*rules, on="client"))
    with sender(net["client"]) as client:
        client.sendto(b"x", ("10.1.0.2", 8))
        with pytest.raises(PermissionError):
            client.sendto(b"x", ("10.1.0.2", 7))


def test_chance_hits_its_fraction(network: Build) -> None:
    """A rule of chance one half drops some and passes some of many."""
    net = network(lan_with(Rule(hook="output", proto="udp", chance=0.5, verdict="drop"), on="client"))
    sent = 0
    with sender(net["client"]) as client:
        for _ in range(200):
            try:
                client.sendto(b"x", ("10.1.0.2", 9))
                sent += 1
            except PermissionError:
                continue

    assert 50 < sent < 150


GATE = Host(
    name="gate",
    interfaces=(
        Interface(name="eth0", segment="lan", addresses=(Address.parse("10.1.0.254/24"),)),
        Interface(name="eth1", segment="inside", addresses=(Address.parse("172.17.0.1/24"),)),
    ),
    sysctls=(("net.ipv4.ip_forward", "1"),),
)
OUTER = host("outer", "10.1.0.1/24")
INNER = host(
    "inner",
    "172.17.0.2/24",
    segment="inside",
    routes=(Route(to=IPv4Network("0.0.0.0/0"), via=IPv4Address("172.17.0.1")),),
)


def gated(rule: Rule) -> Topology:
    """Return a host outside and one inside of a gate that has a rule, as a container's bridge does."""
    segments = (Segment(name="lan"), Segment(name="inside"))
    return Topology(segments=segments, hosts=(OUTER, replace(GATE, rules=(rule,)), INNER))


@pytest.mark.parametrize("action", [{"masquerade": True}, {"snat": IPv4Address("10.1.0.254")}])
def test_what_leaves_a_gate_has_its_address(network: Build, action: dict[str, Any]) -> None:
    """Masquerade and SNAT replace the source, and answers find their way back in."""
    net = network(gated(Rule(hook="postrouting", oif="eth0", **action)))
    with listener(net["outer"]) as server, sender(net["inner"]) as client:
        client.sendto(b"out", ("10.1.0.1", PORT))
        data, source = server.recvfrom(10)
        server.sendto(b"in", source)

        assert (data, source[0]) == (b"out", "10.1.0.254")
        assert client.recvfrom(10) == (b"in", ("10.1.0.1", PORT))


def test_a_published_port_leads_inside(network: Build) -> None:
    """DNAT with a port leads a TCP connection from the gate to a host behind it."""
    publish = Rule(
        hook="prerouting",
        proto="tcp",
        iif="eth0",
        dport=(8080, 8080),
        dnat=IPv4Address("172.17.0.2"),
        dnat_port=PORT,
    )
    net = network(gated(publish))
    with net["inner"].socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind(("", PORT))
        server.listen()
        with net["outer"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(SECONDS)
            client.connect(("10.1.0.254", 8080))
            accepted, peer = server.accept()
            accepted.close()

            assert peer[0] == "10.1.0.1"


def test_rules_change_while_the_network_runs(network: Build) -> None:
    """Rules are replaced as one, and undone."""
    net = network(lan())
    with listener(net["server"]) as server, sender(net["client"]) as client:
        back = net.change(SetRules(host="server", rules=(Rule(hook="input", verdict="drop"),)))
        client.sendto(b"lost", ("10.1.0.2", PORT))
        net.change(back)
        client.sendto(b"found", ("10.1.0.2", PORT))

        assert next_datagram(server) == b"found"
    assert net.topology == lan()


def test_what_the_kernel_refuses_is_named(network: Build) -> None:
    """A rule that only the kernel can judge names its host and number."""
    rule = Rule(hook="input", iif="a" * 40 + "*", verdict="drop")
    with pytest.raises(NetworkError, match="firewall of host server: rule 1"):
        network(lan_with(rule))


def test_a_firewall_may_have_hundreds_of_rules(network: Build) -> None:
    """All of them go to the kernel in one transaction, whatever a socket sends by default."""
    many = tuple(
        Rule(
            hook="input",
            proto="udp",
            saddr=IPv4Network(f"10.9.{n >> 8}.{n & 255}/32"),
            dport=(n + 1, n + 1),
            verdict="drop",
        )
        for n in range(700)
    )
    last = Rule(hook="input", proto="udp", dport=(PORT, PORT), verdict="accept")
    net = network(lan_with(*many, last, policies=(("input", "drop"),)))
    with listener(net["server"]) as server, sender(net["client"]) as client:
        client.sendto(b"through", ("10.1.0.2", PORT))

        assert next_datagram(server) == b"through"
