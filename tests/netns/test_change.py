"""Changes as values: what a network is afterwards, and what undoes it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.netns import Address, Host, Impairment, Interface, NetworkError, Port, Route, Rule, Topology
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
    RemoveRules,
    SetFile,
    SetPort,
    SetRules,
    SetSysctl,
    Several,
    Unplug,
    after,
    undo,
)
from tests.netns.lan import host, lan

DEFAULT = Route(to=IPv4Network("0.0.0.0/0"), via=IPv4Address("10.1.0.254"))
PREFERS = Route(to=IPv4Network("10.7.0.0/16"), dev="eth0", src=IPv4Address("10.1.0.1"))
DROP = Rule(hook="input", verdict="drop")
ACCEPT = Rule(hook="input", verdict="accept")
FIRST, SECOND = Address.parse("10.1.0.1/24"), Address.parse("10.1.0.9/24")
SLOW = Impairment(direction="in", delay=0.1)
NET = lan(
    Host(
        name="client",
        interfaces=(Interface(name="eth0", segment="lan", addresses=(FIRST, Address.parse("10.1.0.8/24"))),),
        routes=(DEFAULT, PREFERS),
        rules=(ACCEPT,),
        sysctls=(("net.ipv4.ip_forward", "0"),),
        files=(("/etc/hosts", "old\n"),),
    ),
    host("server", "10.1.0.2/24"),
)
AT = {"host": "client", "interface": "eth0"}

CHANGES: tuple[Change, ...] = (
    LinkDown(host="client", interface="eth0"),
    LinkUp(host="client", interface="eth0"),
    Unplug(host="client", interface="eth0"),
    AddAddress(host="client", interface="eth0", address=SECOND),
    RemoveAddress(host="client", interface="eth0", address=FIRST),
    AddRoute(host="client", route=Route(to=IPv4Network("10.8.0.0/16"), type="blackhole")),
    RemoveRoute(host="client", route=PREFERS),
    AddRule(host="client", rule=DROP),
    AddRule(host="client", rule=DROP, first=True),
    RemoveRules(host="client"),
    SetPort(host="client", interface="eth0", port=Port(isolated=True)),
    Impair(host="client", interface="eth0", impairment=SLOW),
    Cut(host="client", interface="eth0"),
    Heal(host="client", interface="eth0"),
    SetFile(host="client", path="/etc/hosts", text="new\n"),
)


def same(one: Topology, two: Topology) -> bool:
    """Compare what matters: routes and settings may come in another order."""

    def key(topology: Topology) -> list[object]:
        return [
            (each.name, each.interfaces, set(each.routes), each.rules, each.policies, dict(each.sysctls), each.files)
            for each in topology.hosts
        ]

    return key(one) == key(two)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_undo_gives_back_what_was(change: Change) -> None:
    """A change and its undo leave the network as it was, but for the order of addresses."""
    back = undo(NET, change)
    restored = after(after(NET, change), back)
    if isinstance(change, RemoveAddress):
        assert set(restored.host("client").addresses) == set(NET.host("client").addresses)
        assert set(restored.host("client").routes) == set(NET.host("client").routes)
    else:
        assert same(restored, NET)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([each for each in CHANGES if not isinstance(each, RemoveAddress)]), max_size=6))
def test_undo_works_for_any_sequence(changes: list[Change]) -> None:
    """Several changes are undone as one, from the last to the first."""
    whole = Several(tuple(changes))
    try:
        changed = after(NET, whole)
    except NetworkError:
        return  # an address that is there twice
    back = undo(NET, whole)
    if any(isinstance(each, (LinkDown, RemoveRoute, AddRoute)) for each in changes):
        assert after(changed, back).host("client").interfaces == NET.host("client").interfaces
    else:
        assert same(after(changed, back), NET)


def test_a_link_that_goes_down_loses_its_routes() -> None:
    """Both the named interface's and the gateway's routes are gone, as in the kernel."""
    assert after(NET, LinkDown(host="client", interface="eth0")).host("client").routes == ()


def test_an_address_takes_the_routes_that_prefer_it() -> None:
    """Routes with it as source go; others stay while the interface has another address."""
    changed = after(NET, RemoveAddress(host="client", interface="eth0", address=FIRST))

    assert changed.host("client").routes == (DEFAULT,)


def test_the_last_address_takes_all_routes_of_its_interface() -> None:
    """Without address there is no way out."""
    one = lan(host("client", "10.1.0.1/24", routes=(DEFAULT,)))
    changed = after(one, RemoveAddress(host="client", interface="eth0", address=FIRST))

    assert changed.host("client").routes == ()


def test_rules_are_added_at_either_end() -> None:
    """The order of rules decides."""
    assert after(NET, AddRule(host="client", rule=DROP)).host("client").rules == (ACCEPT, DROP)
    assert after(NET, AddRule(host="client", rule=DROP, first=True)).host("client").rules == (DROP, ACCEPT)
    assert after(NET, SetRules(host="client", rules=(DROP,))).host("client").rules == (DROP,)
    assert after(NET, RemoveRules(host="client")).host("client").rules == ()


def test_one_impairment_for_each_direction() -> None:
    """A new one replaces that of its direction; healing takes one or both."""
    both = after(
        after(NET, Impair(host="client", interface="eth0", impairment=SLOW)), Cut(host="client", interface="eth0")
    )
    assert {each.direction for each in both.host("client").interface("eth0").impairments} == {"in", "out"}

    again = after(both, Impair(host="client", interface="eth0", impairment=Impairment(direction="in", loss=0.1)))
    assert len(again.host("client").interface("eth0").impairments) == 2

    healed = after(both, Heal(host="client", interface="eth0", direction="in"))
    [left] = healed.host("client").interface("eth0").impairments
    assert left.cut
    assert after(both, Heal(host="client", interface="eth0")).host("client").interface("eth0").impairments == ()


def test_settings_remember_what_was() -> None:
    """A setting that the topology does not name is undone by the value that the kernel had."""
    change = SetSysctl(host="server", key="net.ipv4.ip_forward", value="1")

    assert undo(NET, change, "0") == SetSysctl(host="server", key="net.ipv4.ip_forward", value="0")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (LinkDown(host="nobody", interface="eth0"), "no host is called 'nobody'; there are client, server"),
        (Plug(host="client", interface="eth7"), "host client has no interface 'eth7'; it has eth0"),
        (RemoveAddress(host="client", interface="eth0", address=SECOND), "has no address 10.1.0.9/24; it has"),
        (AddAddress(host="client", interface="eth0", address=FIRST), "already has 10.1.0.1/24"),
    ],
)
def test_what_does_not_fit_says_what_there_is(change: Change, what: str) -> None:
    """Errors name host, interface and the choices."""
    with pytest.raises(NetworkError, match=what):
        after(NET, change)
