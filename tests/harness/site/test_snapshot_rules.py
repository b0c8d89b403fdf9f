"""Firewalls read back: canet's own as the same rules, others as rules and remarks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import msgspec
import pytest

from canet.harness.site import snapshot
from canet.harness.site.site import read_site
from canet.harness.site.snapshot_network import Card, read_machine
from canet.harness.site.snapshot_rules import Found, convert, read_rules
from canet.netns import Network, enter
from canet.netns.change import SetRules
from canet.netns.topology import Rule
from canet.scenarios.document import RuleTable
from canet.scenarios.network import rule as scenario_rule
from tests.harness.site.rulesets import NFT, TOPOLOGY, load, needs

CLOSED = "the snapshot is more closed than this machine, unless what follows accepts too"
OPEN = "the snapshot is more open than this machine, unless what follows drops too"
CARDS = (
    Card(1, "lo", up=True, loopback=True, mtu=65536, addresses=["127.0.0.1/8 brd none"]),
    Card(2, "eth0", up=True, loopback=False, mtu=1500, addresses=["10.1.0.2/24"]),
)


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    """A machine with two interfaces, whose rules change."""
    needs("nft")
    enter()
    with Network(TOPOLOGY) as network:
        yield network


def found_on(net: Network) -> Found:
    """Read the rules of the machine."""
    return net["server"].call(lambda: read_rules(read_machine("server").cards))


def reading(net: Network, ruleset: str) -> Found:
    """Load a ruleset and read it."""
    net["server"].call(load, "nft", ruleset)
    return found_on(net)


def of_input(net: Network, *rules: str) -> Found:
    """Read rules of one chain that drops all else."""
    body = "\n".join(rules)
    return reading(
        net, f"table inet f {{\nchain i {{\ntype filter hook input priority 0; policy drop;\n{body}\n}}\n}}\n"
    )


OWN = (
    Rule(hook="prerouting", proto="udp", daddr=IPv4Network("10.1.0.2/32"), dport=(5064, 5064), verdict="drop"),
    Rule(hook="prerouting", proto="udp", iif="eth0", dport=(5064, 5064), dnat=IPv4Address("10.255.255.255")),
    Rule(hook="prerouting", proto="tcp", dport=(5064, 5064), dnat=IPv4Address("172.17.0.2"), dnat_port=5065),
    Rule(hook="prerouting", proto="udp", dport=(5070, 5070), dnat_port=5064),
    Rule(hook="input", ct=("established", "related"), verdict="accept"),
    Rule(hook="input", proto="udp", saddr=IPv4Network("10.1.0.0/16"), dport=(5064, 5065), verdict="accept"),
    Rule(hook="input", proto="tcp", sport=(1024, 65535), dport=(5064, 5064), verdict="accept"),
    Rule(hook="input", proto="icmp", verdict="accept"),
    Rule(hook="input", proto="tcp", verdict="reject"),
    Rule(hook="input", ct=("invalid",), verdict="drop"),
    Rule(hook="forward", iif="eth0", oif="docker0", daddr=IPv4Network("172.17.0.2/32"), verdict="accept"),
    Rule(hook="output", uid=1000, proto="udp", verdict="drop"),
    Rule(hook="output", proto="udp", dport=(5065, 5065), chance=0.25, verdict="drop"),
    Rule(hook="output", proto="udp", dport=(5066, 5066), dnat=IPv4Address("127.255.255.255")),
    Rule(hook="postrouting", oif="eth0", saddr=IPv4Network("172.17.0.0/16"), masquerade=True),
    Rule(hook="postrouting", proto="tcp", oif="docker0", snat=IPv4Address("172.17.0.1")),
)


def test_rules_of_a_canet_host_read_back_as_the_same(net: Network) -> None:
    """Whatever a site file can say of a firewall is the same after a snapshot."""
    net["server"].call(load, "nft", "")
    policies = (("input", "drop"), ("forward", "drop"))
    net.change(SetRules(host="server", rules=OWN, policies=policies))  # type: ignore[arg-type]  # names of hooks
    tables, found, remarks = found_on(net)
    rules = [scenario_rule("rules", msgspec.convert(each, RuleTable)) for each in tables]

    assert sorted(map(repr, rules)) == sorted(map(repr, OWN))
    for hook in ("prerouting", "input", "output", "postrouting"):
        for translating in (True, False):
            kept = [each for each in rules if each.hook == hook and (each.verdict is None) == translating]
            assert kept == [each for each in OWN if each.hook == hook and (each.verdict is None) == translating]
    assert found == dict(policies)
    assert remarks == []
    net.change(SetRules(host="server"))


def test_a_plain_firewall_reads_as_people_would_write_it(net: Network) -> None:
    """Sets of neighbouring ports are a range; nothing is said of IPv6."""
    rules, policies, remarks = reading(net, NFT["arch"])

    assert rules == [
        {"hook": "input", "ct": ["invalid"], "verdict": "drop"},
        {"hook": "input", "ct": ["established", "related"], "verdict": "accept"},
        {"hook": "input", "iif": "lo", "verdict": "accept"},
        {"hook": "input", "proto": "icmp", "verdict": "accept"},
        {"hook": "input", "proto": "tcp", "dport": 22, "verdict": "accept"},
        {"hook": "input", "proto": "tcp", "dport": "5064-5065", "verdict": "accept"},
        {"hook": "input", "proto": "udp", "saddr": "10.1.0.0/16", "dport": "5064-5065", "verdict": "accept"},
    ]
    assert policies == {"input": "drop", "forward": "drop"}
    assert remarks == []


@pytest.mark.parametrize(
    ("rule", "unsaid", "then"),
    [
        ("icmp type echo-request accept", "icmp type", CLOSED),
        ("ct direction reply accept", "ct direction", CLOSED),
        ("udp dport 5064 limit rate 5/second accept", "limit rate 5/second", CLOSED),
        ("tcp flags & (fin|syn|rst|ack) == syn drop", "tcp flags & fin,syn,rst,ack", OPEN),
        ("meta pkttype broadcast drop", "meta pkttype", OPEN),
        ("meta mark 7 jump other", "meta mark", "the snapshot may be more open or more closed than this machine"),
        ("meta mark 7 jump closing", "meta mark", OPEN),
        ("meta mark 7 return", "meta mark", "more open or more closed than this machine, or translate otherwise"),
        ("udp dport 5064 notrack", "notrack", "more open or more closed than this machine, or translate otherwise"),
        ("ip ttl set 1", "ip ttl set 1", "packets stay as they are in the snapshot"),
        ("numgen random mod 4 < 1 jump other", "a chance on the way to other rules", "more open or more closed"),
    ],
)
def test_what_cannot_be_said_is_a_remark_with_what_follows(net: Network, rule: str, unsaid: str, then: str) -> None:
    """A remark names table, chain, rule and condition, and whether the snapshot is more open or more closed."""
    text = (
        "table inet f {\nchain closing { udp dport 5064 drop; }\n"
        "chain other { udp dport 5064 drop; tcp dport 5064 accept; }\n"
        f"chain i {{\ntype filter hook input priority 0; policy drop;\n{rule}\ntcp dport 22 accept\n}}\n}}\n"
    )
    rules, policies, (remark,) = reading(net, text)

    assert rules == [{"hook": "input", "proto": "tcp", "dport": 22, "verdict": "accept"}]
    assert policies == {"input": "drop"}
    assert remark.startswith("table inet f, chain i: `")
    assert f"a site file cannot say {unsaid}: " in remark
    assert remark.endswith(then) or then in remark


@pytest.mark.parametrize(
    "rule",
    [
        "ip6 saddr ::1 accept",
        "meta nfproto ipv6 drop",
        "icmpv6 type nd-router-advert accept",
        'limit rate 3/minute log prefix "x"',
        "meta mark set 7",
        "counter",
        "ct status dnat accept",
        "meta mark 7 jump empty",
    ],
)
def test_what_no_ipv4_packet_of_ours_can_tell_is_left_out_silently(net: Network, rule: str) -> None:
    """Rules about IPv6, and rules that do nothing to a packet, need no word."""
    text = f"chain empty {{ counter; return; }}\nchain i {{\ntype filter hook input priority 0;\n{rule}\n}}\n"

    assert reading(net, f"table inet f {{\n{text}}}\n") == ([], {}, [])


def test_a_translation_that_cannot_be_said_is_a_remark(net: Network) -> None:
    """Ranges of addresses and ports have no word in a site file; what comes after them is read on."""
    rules, _, remarks = reading(
        net,
        "table ip n {\nchain pre {\ntype nat hook prerouting priority dstnat;\n"
        "udp dport 5064 dnat to 10.1.0.5-10.1.0.9\nudp dport 5065 dnat to 10.1.0.5\n}\n}\n",
    )

    assert rules == [{"hook": "prerouting", "proto": "udp", "dport": 5065, "dnat": "10.1.0.5"}]
    (remark,) = remarks
    assert "dnat to 10.1.0.5-10.1.0.9" in remark
    assert remark.endswith("what it translates here is not translated in the snapshot")


def test_interfaces_and_protocols_that_a_site_file_does_not_have(net: Network) -> None:
    """They are named once; a pattern stands for the interfaces that are here."""
    rules, _, remarks = of_input(
        net, "iifname wlan0 accept", 'iifname "doc*" accept', "ip protocol { gre, udp } accept"
    )

    assert rules == [
        {"hook": "input", "iif": "docker0", "verdict": "accept"},
        {"hook": "input", "proto": "udp", "verdict": "accept"},
    ]
    assert remarks == [
        "rules about interfaces that are not here, or without address, are left out: wlan0",
        "rules about protocols besides udp, tcp and icmp are left out: gre",
    ]


def test_what_is_before_connection_tracking_or_after_translation_is_said(net: Network) -> None:
    """A chain whose packets look otherwise than a site file's is left out, with a remark."""
    rules, _, remarks = reading(
        net,
        "table ip n {\nchain raw {\ntype filter hook prerouting priority raw;\nct state invalid drop\n}\n"
        "chain pre {\ntype nat hook prerouting priority dstnat;\nudp dport 5064 dnat to 10.1.0.5\n}\n"
        "chain after {\ntype filter hook prerouting priority 0;\nip daddr 10.1.0.5 drop\n}\n}\n",
    )

    assert rules == [{"hook": "prerouting", "proto": "udp", "dport": 5064, "dnat": "10.1.0.5"}]
    assert any("chain raw" in each and "ct state" in each for each in remarks)
    assert any("chain after is left out, it sees packets after their translation" in each for each in remarks)


def test_frames_and_arp_are_said_to_be_left_out(net: Network) -> None:
    """Tables of bridges and ARP are not read, which may matter."""
    _, _, remarks = reading(
        net, "table bridge b {\nchain f {\ntype filter hook forward priority 0;\nudp dport 5064 drop\n}\n}\n"
    )

    assert len(remarks) == 1
    assert remarks[0].startswith("table bridge b is left out")


def test_more_rules_than_a_site_file_holds_are_left_out(net: Network) -> None:
    """Thousands of rules are a remark, not a description."""
    ports = ", ".join(str(port) for port in range(2, 9000, 2))
    rules, _, remarks = of_input(net, f"tcp dport {{ {ports} }} accept")

    assert rules == []
    (remark,) = remarks
    assert remark.startswith("the rules at input are left out, they would be more than 2000 rules: ")


def test_a_whole_snapshot_with_rules_is_a_site(net: Network) -> None:
    """The document with the rules of docker is read as a site, and its TOML too."""
    import tomllib

    net["server"].call(load, "nft", NFT["docker"])
    machine = net["server"].call(read_machine, "server")
    rules, policies, _ = found_on(net)
    machine.remarks = ['a "quoted" remark', "and a \\ in the next line"]
    document = snapshot.describe(machine, [], rules, policies)
    again = tomllib.loads(snapshot.to_toml(document))

    assert again["hosts"] == document["hosts"]
    assert again["story"] == document["story"]
    host = read_site(again, "server.toml").scenario.topology.host("server")
    assert Rule(hook="postrouting", oif="eth0", saddr=IPv4Network("172.17.0.0/16"), masquerade=True) in host.rules


def test_without_nft_there_is_a_remark(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the program says so."""
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)

    assert read_rules([]) == ([], {}, ["firewall rules are not read: there is no program nft here"])


def test_chains_of_a_stored_list() -> None:
    """The JSON alone is enough: an order by priority, jumps with their conditions, and no IPv6."""

    def chain(name: str, family: str = "inet", **hook: Any) -> dict[str, Any]:
        return {"chain": {"family": family, "table": "t", "name": name, **hook}}

    def rule(chain: str, *parts: Any, family: str = "inet") -> dict[str, Any]:
        return {"rule": {"family": family, "table": "t", "chain": chain, "expr": list(parts)}}

    def match(field: str, right: Any) -> dict[str, Any]:
        protocol = "ip" if field.endswith("addr") else "udp"
        return {"match": {"op": "==", "left": {"payload": {"protocol": protocol, "field": field}}, "right": right}}

    wide, narrow = ({"prefix": {"addr": "10.1.0.0", "len": length}} for length in (16, 24))
    listed = [
        chain("late", hook="input", prio=10, policy="drop", type="filter"),
        chain("early", hook="input", prio=-5, policy="accept", type="filter"),
        chain("ca"),
        chain("late", "ip6", hook="input", prio=0, policy="drop", type="filter"),
        rule("late", match("saddr", wide), {"jump": {"target": "ca"}}),
        rule("early", match("dport", 9), {"drop": None}),
        rule("ca", match("saddr", narrow), match("dport", {"range": [5064, 5065]}), {"accept": None}),
        rule("ca", match("saddr", {"prefix": {"addr": "10.2.0.0", "len": 16}}), {"accept": None}),
        rule("late", {"drop": None}, family="ip6"),
    ]
    rules, policies, remarks = convert({"nftables": listed}, CARDS)

    assert rules == [
        {"hook": "input", "proto": "udp", "dport": 9, "verdict": "drop"},
        {"hook": "input", "proto": "udp", "saddr": "10.1.0.0/24", "dport": "5064-5065", "verdict": "accept"},
    ]
    assert policies == {"input": "drop"}
    assert remarks == []
