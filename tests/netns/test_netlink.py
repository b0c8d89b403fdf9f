"""Netlink requests as bytes, and what the kernel says to them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import IPv4Network

import pytest

from canet.netns import Address, Host, Network, Port, Route, Topology, netlink, rtnetlink
from canet.netns.netlink import Message, Netlink, nest
from canet.netns.plan import AddAddress, AddRoute, MakeCable, SetLink, SetPort
from tests.netns.lan import lan


def test_a_message_has_its_length_type_flags_and_number() -> None:
    """The header is that of struct nlmsghdr, then comes struct ifinfomsg."""
    raw = netlink.encode(rtnetlink.set_link(SetLink(namespace="h", name="lo", index=1, up=True)), 9)

    flags = netlink.NLM_F_REQUEST | netlink.NLM_F_ACK
    assert raw == struct.pack("=IHHII", 32, 16, flags, 9, 0) + struct.pack("=BxHiII", 0, 0, 1, 1, 1)


def test_a_message_may_be_encoded_again() -> None:
    """Encoding leaves the message, with all that is nested in it, as it was."""
    cable = MakeCable(
        namespace="w",
        name="p5",
        index=5,
        mac="02:ca:00:00:00:01",
        mtu=1500,
        bridge=3,
        far_namespace="h",
        far_name="eth0",
        far_index=2,
        far_mac="02:ca:00:00:00:02",
        far_mtu=1500,
    )
    message = rtnetlink.make_cable(cable, 7)

    assert netlink.encode(message, 1) == netlink.encode(message, 1)
    assert message == rtnetlink.make_cable(cable, 7)


def test_an_address_states_broadcast_and_peer_only_if_it_has_them() -> None:
    """IFA_LOCAL (2), IFA_ADDRESS (1) and IFA_BROADCAST (4), in the order in which the kernel takes them."""
    step = AddAddress(namespace="h", name="eth0", index=4, address=Address.parse("10.1.0.2/24"))
    bare = AddAddress(namespace="h", name="eth0", index=4, address=Address.parse("10.1.0.2/32 peer 10.1.0.9"))

    body = struct.pack("=BBBBI", 2, 24, 0, 0, 4)
    local = b"\x0a\x01\0\x02"
    attributes = struct.pack("=HH4sHH4sHH4s", 8, 2, local, 8, 1, local, 8, 4, b"\x0a\x01\0\xff")
    assert netlink.encode(rtnetlink.add_address(step), 1)[16:] == body + attributes
    attributes = struct.pack("=HH4sHH4s", 8, 2, local, 8, 1, b"\x0a\x01\0\x09")
    assert netlink.encode(rtnetlink.add_address(bare), 1)[24:] == attributes


def test_flags_of_a_port_are_a_nest_that_says_so() -> None:
    """The kernel reads IFLA_PROTINFO as attributes only where its type has NLA_F_NESTED."""
    raw = netlink.encode(rtnetlink.set_port(SetPort(namespace="w", index=7, port=Port(isolated=True))), 1)

    assert struct.unpack_from("=HH", raw, 32) == (36, 12 | 0x8000)


def test_a_route_is_scoped_by_its_gateway() -> None:
    """Without a gateway a route leads to the link, with one to the universe."""
    to = IPv4Network("10.2.0.0/16")
    direct = AddRoute(namespace="h", route=Route(to=to, dev="eth0"), index=4)
    unreachable = AddRoute(namespace="h", route=Route(to=to, type="unreachable"), index=None)

    assert netlink.encode(rtnetlink.add_route(direct), 1)[16:28] == bytes([2, 16, 0, 0, 254, 4, 253, 1]) + bytes(4)
    assert netlink.encode(rtnetlink.add_route(unreachable), 1)[16:28] == bytes([2, 16, 0, 0, 254, 4, 0, 7]) + bytes(4)


def test_fields_stand_before_nested_attributes() -> None:
    """A nest is what pyroute2 takes as a value."""
    assert nest(("IFLA_IFNAME", "eth0"), index=3) == {"index": 3, "attrs": [("IFLA_IFNAME", "eth0")]}


def test_a_refusal_says_what_for_and_why() -> None:
    """The purpose in words and the kernel's error stand in one line."""
    refusal = netlink.Refusal(Message("RTM_NEWLINK", "make bridge br2"), 17)

    assert str(refusal) == "make bridge br2: File exists (EEXIST)"


def test_every_refusal_of_a_batch_is_named(network: Callable[[Topology], Network]) -> None:
    """What the kernel takes is done, what it refuses is told, in order, and the socket goes on."""
    net = network(Topology(hosts=(Host(name="one"),)))

    def send() -> tuple[list[str], list[str]]:
        with Netlink() as channel:
            refused = channel.request(
                [
                    rtnetlink.delete_link(77),
                    rtnetlink.make_pair(5, "a", 6, "b"),
                    rtnetlink.make_pair(7, "a", 8, "c"),
                    rtnetlink.set_link(SetLink(namespace="one", name="a", index=5, up=True)),
                ]
            )
            links = channel.dump(rtnetlink.links_request())
        return [str(each) for each in refused], [link.get_attr("IFLA_IFNAME") for link in links]

    refused, names = net["one"].call(send)
    assert refused == ["delete interface 77: No such device (ENODEV)", "make pair a: File exists (EEXIST)"]
    assert {"lo", "a", "b"} <= set(names)
    assert "c" not in names


def test_many_messages_go_in_more_than_one_batch(network: Callable[[Topology], Network]) -> None:
    """No number of messages is too many for the socket's queue."""
    net = network(Topology(hosts=(Host(name="one"),)))
    addresses = [
        AddAddress(namespace="one", name="lo", index=1, address=Address.parse(f"10.9.{n >> 8}.{n & 255}/32"))
        for n in range(600)
    ]

    def send() -> tuple[int, int]:
        with Netlink() as channel:
            refused = channel.request([rtnetlink.add_address(each) for each in addresses])
            return len(refused), len(channel.dump(rtnetlink.addresses_request()))

    assert net["one"].call(send) == (0, 601)


def test_a_dump_that_is_refused_raises(network: Callable[[Topology], Network]) -> None:
    """The error says what was asked for."""
    net = network(lan())

    def send() -> None:
        with Netlink() as channel:
            channel.dump(Message("RTM_DELLINK", "ask nonsense"))

    with pytest.raises(OSError, match="ask nonsense"):
        net["client"].call(send)
