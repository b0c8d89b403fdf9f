"""Networks in the kernel: what is delivered to whom, and that nothing remains."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from canet.netns import Address, Host, Interface, Network, NetworkError, Port, Route, Segment, Topology
from canet.netns.change import AddAddress, LinkUp
from tests.netns.lan import PORT, SECONDS, host, lan, listener, next_datagram, sender, with_interface

Build = Callable[[Topology], Network]


def test_a_broadcast_reaches_every_socket(network: Build) -> None:
    """The first datagram after the network is up arrives, at all sockets that share the port."""
    net = network(lan())
    servers = [listener(net["server"]) for _ in range(3)]
    with sender(net["client"]) as client:
        client.sendto(b"first", ("10.1.0.255", PORT))

        assert [next_datagram(each) for each in servers] == [b"first"] * 3
    for each in servers:
        each.close()


def test_a_unicast_reaches_one_socket_by_its_source_port(network: Build) -> None:
    """Each of many datagrams reaches one server, and they spread over several."""
    net = network(lan())
    servers = [listener(net["server"]) for _ in range(3)]
    counts = []
    for number in range(20):
        with sender(net["client"]) as client:
            client.sendto(b"%d" % number, ("10.1.0.2", PORT))
    with sender(net["client"]) as client:
        client.sendto(b"end", ("10.1.0.255", PORT))
    for each in servers:
        seen = []
        while (data := next_datagram(each)) != b"end":
            seen.append(data)
        counts.append(len(seen))
        each.close()

    assert sum(counts) == 20
    assert sum(map(bool, counts)) > 1


def test_a_socket_stays_in_its_host(network: Build) -> None:
    """Both hosts can have the same port, and a socket answers by its host's address."""
    net = network(lan())
    with listener(net["server"]) as server, listener(net["client"]) as client:
        client.sendto(b"ask", ("10.1.0.2", PORT))
        data, source = server.recvfrom(10)
        server.sendto(b"tell", source)

        assert (data, source) == (b"ask", ("10.1.0.1", PORT))
        assert client.recvfrom(10) == (b"tell", ("10.1.0.2", PORT))


def test_call_runs_inside_and_hands_back_value_and_error(network: Build) -> None:
    """``call`` runs in a thread of the host, one call after the other."""
    net = network(lan())

    def interfaces() -> list[str]:
        return [name for _, name in socket.if_nameindex()]

    def fail(text: str) -> None:
        raise ValueError(text)

    assert net["client"].call(interfaces) == ["lo", "eth0"]
    assert net["client"].call(threading.current_thread) is net["client"].call(threading.current_thread)
    with pytest.raises(ValueError, match="as told"):
        net["client"].call(fail, text="as told")


def test_hosts_are_found_by_name(network: Build) -> None:
    """An unknown host is an error that lists the known."""
    net = network(lan())

    assert [each.name for each in net] == ["client", "server"]
    with pytest.raises(NetworkError, match="no host is called 'nobody'; there are client, server"):
        net["nobody"]


def test_the_wire_sees_who_sends(network: Build) -> None:
    """One packet socket beside the bridges sees each frame at each port, with its direction."""
    net = network(lan())
    with net.wire.socket() as wire, listener(net["server"]) as server, sender(net["client"]) as client:
        wire.settimeout(SECONDS)
        client.sendto(b"look", ("10.1.0.255", PORT))
        next_datagram(server)
        seen: set[tuple[str, str]] = set()
        while len(seen) < 2:
            data, (name, _, kind, _, _) = wire.recvfrom(2048)
            place = net.ports.get(net.wire.call(socket.if_nametoindex, name))
            if data.endswith(b"look") and place is not None:
                seen.add((place[0], "in" if kind == socket.PACKET_OUTGOING else "out"))

    assert seen == {("client", "out"), ("server", "in")}


def test_frames_carry_whole_checksums(network: Build) -> None:
    """What is captured has the checksum that a receiver on a real wire would check."""
    net = network(lan())
    with net.wire.socket() as wire, sender(net["client"]) as client:
        wire.settimeout(SECONDS)
        client.sendto(b"sum!", ("10.1.0.255", PORT))
        while not (data := wire.recv(2048)).endswith(b"sum!"):
            pass
    udp = data[34:]
    pseudo = data[26:34] + bytes([0, 17]) + len(udp).to_bytes(2, "big") + udp
    total = sum(int.from_bytes(pseudo[index : index + 2], "big") for index in range(0, len(pseudo), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)

    assert total == 0xFFFF


ROUTER = Topology(
    segments=(Segment(name="left"), Segment(name="right")),
    hosts=(
        host(
            "client",
            "10.1.0.1/24",
            segment="left",
            routes=(Route(to=IPv4Network("0.0.0.0/0"), via=IPv4Address("10.1.0.254")),),
        ),
        Host(
            name="router",
            interfaces=(
                Interface(name="eth0", segment="left", addresses=(Address.parse("10.1.0.254/24"),)),
                Interface(name="eth1", segment="right", addresses=(Address.parse("10.2.0.254/24"),)),
            ),
            sysctls=(("net.ipv4.ip_forward", "1"),),
        ),
        host(
            "server",
            "10.2.0.2/24",
            segment="right",
            routes=(Route(to=IPv4Network("10.1.0.0/24"), via=IPv4Address("10.2.0.254"), dev="eth0"),),
        ),
    ),
)


def test_a_router_forwards(network: Build) -> None:
    """Routes and forwarding lead from one segment to the other and back."""
    net = network(ROUTER)
    with sender(net["client"]) as client, listener(net["server"]) as server:
        client.sendto(b"far", ("10.2.0.2", PORT))
        data, source = server.recvfrom(10)
        server.sendto(b"back", source)

        assert data == b"far"
        assert client.recv(10) == b"back"


def test_directed_broadcasts_stop_at_a_router_unless_allowed(network: Build) -> None:
    """The start values do not depend on the machine: bc_forwarding is off, and a host's setting turns it on."""
    net = network(ROUTER)
    with sender(net["client"]) as client, listener(net["server"]) as server:
        client.sendto(b"broadcast", ("10.2.0.255", PORT))
        client.sendto(b"sentinel", ("10.2.0.2", PORT))

        assert next_datagram(server) == b"sentinel"


def test_blackholes_refuse(network: Build) -> None:
    """Routes of the other types refuse with their own errors."""
    routes = (
        Route(to=IPv4Network("10.8.0.0/16"), type="unreachable"),
        Route(to=IPv4Network("10.9.0.0/16"), type="prohibit"),
    )
    net = network(lan(host("client", "10.1.0.1/24", routes=routes)))
    with sender(net["client"]) as client:
        with pytest.raises(OSError, match="No route to host"):
            client.sendto(b"x", ("10.8.0.1", PORT))
        with pytest.raises(PermissionError):
            client.sendto(b"x", ("10.9.0.1", PORT))
        with pytest.raises(OSError, match="Network is unreachable"):
            client.sendto(b"x", ("10.10.0.1", PORT))


def test_a_direct_cable_joins_two_hosts(network: Build) -> None:
    """A point-to-point link with peer addresses carries datagrams."""
    net = network(
        Topology(
            hosts=(
                Host(
                    name="a",
                    interfaces=(
                        Interface(name="ppp0", link="b.ppp0", addresses=(Address.parse("10.9.0.1/32 peer 10.9.0.2"),)),
                    ),
                ),
                Host(
                    name="b",
                    interfaces=(
                        Interface(name="ppp0", link="a.ppp0", addresses=(Address.parse("10.9.0.2/32 peer 10.9.0.1"),)),
                    ),
                ),
            )
        )
    )
    with sender(net["a"]) as client, listener(net["b"]) as server:
        client.sendto(b"direct", ("10.9.0.2", PORT))

        assert server.recvfrom(10)[0] == b"direct"


def test_a_macvlan_is_on_the_segment_and_deaf_to_its_parent(network: Build) -> None:
    """The kernel lets macvlan and parent exchange nothing."""
    topology = lan(
        host("client", "10.1.0.1/24"),
        host("server", "10.1.0.2/24"),
        Host(
            name="box",
            interfaces=(Interface(name="eth0", parent="server.eth0", addresses=(Address.parse("10.1.0.3/24"),)),),
        ),
    )
    net = network(topology)
    with listener(net["box"]) as box, sender(net["server"]) as parent, sender(net["client"]) as client:
        parent.sendto(b"parent", ("10.1.0.255", PORT))
        client.sendto(b"client", ("10.1.0.255", PORT))

        assert next_datagram(box) == b"client"


@pytest.mark.parametrize("flags", [{"bcast_flood": False}, {"isolated": True}])
def test_port_flags_keep_broadcasts_away(network: Build, flags: dict[str, Any]) -> None:
    """A switch that eats broadcasts, or isolates its ports, still lets others have them."""
    third = host("third", "10.1.0.3/24")
    topology = lan(host("client", "10.1.0.1/24"), host("server", "10.1.0.2/24"), third)
    topology = with_interface(topology, "server", port=Port(**flags))
    if "isolated" in flags:
        topology = with_interface(topology, "client", port=Port(**flags))
    net = network(topology)
    with (
        listener(net["server"]) as server,
        sender(net["client"]) as client,
        sender(net["server"]) as local,
        listener(net["third"]) as other,
    ):
        client.sendto(b"lost", ("10.1.0.255", PORT))
        assert next_datagram(other) == b"lost"
        local.sendto(b"sentinel", ("10.1.0.2", PORT))

        assert next_datagram(server) == b"sentinel"


def test_a_settled_interface_is_as_described(network: Build) -> None:
    """MTU, MAC address, state and broadcast attribute are those of the topology."""
    topology = with_interface(
        lan(), "client", mtu=1400, mac="02:00:00:00:00:77", addresses=(Address.parse("10.1.0.1/24 brd none"),)
    )
    net = network(with_interface(topology, "server", up=False))

    def read(name: str) -> tuple[str, int]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            import fcntl
            import struct

            request = struct.pack("16s24x", name.encode())
            mac = fcntl.ioctl(any_socket, 0x8927, request)[18:24]
            mtu = struct.unpack_from("=i", fcntl.ioctl(any_socket, 0x8921, request), 16)[0]
            return mac.hex(":"), mtu

    def flags(name: str) -> int:
        import fcntl
        import struct

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            raw = fcntl.ioctl(any_socket, 0x8913, struct.pack("16s24x", name.encode()))
            return int(struct.unpack_from("=H", raw, 16)[0])

    assert net["client"].call(read, "eth0") == ("02:00:00:00:00:77", 1400)
    assert net["client"].call(flags, "eth0") & 1
    assert not net["server"].call(flags, "eth0") & 1
    assert net["client"].call(flags, "lo") & 1


def test_there_is_no_ipv6(network: Build) -> None:
    """No MLD, router or neighbour frames disturb captures."""
    net = network(lan())

    assert net["client"].call(Path("/proc/thread-self/net/if_inet6").exists) is False or (
        net["client"].call(Path("/proc/thread-self/net/if_inet6").read_text) == ""
    )


def descriptors() -> int:
    """Count what this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_wrong_sysctl_says_so_and_leaves_nothing(network: Build) -> None:
    """A setting that this kernel lacks is named with its host's other parts undone."""
    before = descriptors()
    with pytest.raises(NetworkError, match=r"sysctl net\.ipv4\.no_such: No such file"):
        network(lan(host("a", "10.1.0.1/24", sysctls=(("net.ipv4.no_such", "1"),))))

    assert descriptors() == before


def test_descriptors_and_threads_are_given_back(network: Build) -> None:
    """After ``close`` nothing of a network is open; closing again does nothing."""
    network(lan()).close()
    fds, threads = descriptors(), threading.active_count()
    for _ in range(3):
        net = network(lan())
        net["client"].call(os.getpid)
        net["server"].spawn(argv=["sleep", "60"])
        net.wire.call(os.getpid)
        net.close()
        net.close()

    assert threading.active_count() == threads
    assert descriptors() <= fds + 2  # the launcher's channel and pidfd stay


def test_a_large_network_comes_up(network: Build) -> None:
    """Forty hosts on four segments and a router: the first broadcast on each segment reaches all."""
    segments = tuple(Segment(name=f"s{number}") for number in range(4))
    router = Host(
        name="router",
        interfaces=tuple(
            Interface(name=f"eth{number}", segment=f"s{number}", addresses=(Address.parse(f"10.{number}.0.254/24"),))
            for number in range(4)
        ),
    )
    hosts = tuple(host(f"h{n}", f"10.{n % 4}.0.{n // 4 + 1}/24", segment=f"s{n % 4}") for n in range(40))
    net = network(Topology(segments=segments, hosts=(router, *hosts)))
    for number in range(4):
        members = [net[each.name] for each in hosts if each.interfaces[0].segment == f"s{number}"]
        listeners = [listener(each) for each in members]
        with sender(net["router"]) as source:
            source.sendto(b"all", (f"10.{number}.0.255", PORT))
        assert [next_datagram(each) for each in listeners] == [b"all"] * 10
        for each in listeners:
            each.close()


def test_a_closed_network_says_so() -> None:
    """Whoever comes too late gets an error, and does not wait for ever."""
    net = Network(lan())
    net.close()
    for late in (net["client"].socket, lambda: net.change(LinkUp(host="client", interface="eth0"))):
        with pytest.raises(NetworkError, match="the network is closed"):
            late()


def test_changes_from_several_threads_all_count(network: Build) -> None:
    """No change is lost when two threads make one at the same time."""
    net = network(lan())

    def add(number: int) -> None:
        net.change(AddAddress(host="client", interface="eth0", address=Address.parse(f"10.1.0.{number}/24")))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(10, 20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(net.topology.host("client").addresses) == 11


def test_a_port_that_does_not_forward_is_named(network: Build) -> None:
    """Waiting has an end, and says for what it waited."""
    net = network(with_interface(lan(), "server", up=False))
    place = net.plan.places["server", "eth0"]
    assert place.port is not None
    with pytest.raises(NetworkError, match="that of the server: no frames are carried yet"):
        net._opener.call(net._realm.await_ports, {place.port: "that of the server"}, 0.0)


def test_a_multicast_reaches_who_joined(network: Build) -> None:
    """Bridges hand multicasts to all ports; the sockets that joined the group hear them, others do not.

    Early demultiplexing is off: with it, recent kernels hand a multicast that one socket alone joined to any one of
    its SO_REUSEPORT group, by source port (measured on 6.18; net/ipv4/udp.c __udp4_lib_mcast_demux_lookup,
    include/net/inet_hashtables.h inet_steal_sock).
    """
    group = "239.1.2.3"
    route = (Route(to=IPv4Network("224.0.0.0/4"), dev="eth0"),)
    plain = (("net.ipv4.udp_early_demux", "0"),)
    server = host("server", "10.1.0.2/24", routes=route, sysctls=plain)
    net = network(lan(host("client", "10.1.0.1/24", routes=route), server))
    with listener(net["server"]) as joined, listener(net["server"]) as other:
        for each in (joined, other):
            each.setsockopt(socket.IPPROTO_IP, 49, 0)  # IP_MULTICAST_ALL: else each hears what any on the host joined
        member = socket.inet_aton(group) + socket.inet_aton("10.1.0.2")
        joined.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        for _ in range(10):
            with sender(net["client"]) as client:
                client.sendto(b"group", (group, PORT))
        with sender(net["client"]) as client:
            client.sendto(b"all", ("10.1.0.255", PORT))

        assert [next_datagram(joined) for _ in range(11)] == [b"group"] * 10 + [b"all"]
        assert next_datagram(other) == b"all"
