"""What iptables-save prints, in the form of nft's JSON."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from canet.harness.site import snapshot_iptables
from canet.harness.site.snapshot_iptables import expressions, merge, tables
from canet.harness.site.snapshot_network import Card
from canet.harness.site.snapshot_rules import convert
from tests.harness.site.rulesets import UFW

CARDS = (
    Card(1, "lo", up=True, loopback=True, mtu=65536, addresses=["127.0.0.1/8 brd none"]),
    Card(2, "eth0", up=True, loopback=False, mtu=1500, addresses=["10.1.0.2/24"]),
)
NAT = """*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 -o eth+ -j MASQUERADE --random-fully
-A POSTROUTING -p tcp -j SNAT --to-source 10.1.0.2
-A DOCKER ! -i lo -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER -i eth0 -p udp -m udp --dport 5070 -j REDIRECT --to-ports 5064
COMMIT
"""


def listed(line: str) -> Any:
    """Read a rule of the chain INPUT as a site file has it, and the remarks."""
    rules, _, remarks = convert({"nftables": tables(f"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT {line}\n")}, CARDS)
    return rules, remarks


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("-p udp -m udp --dport 5064 -j ACCEPT", {"proto": "udp", "dport": 5064, "verdict": "accept"}),
        ("-p tcp -m tcp --sport 1024:65535 -j DROP", {"proto": "tcp", "sport": "1024-65535", "verdict": "drop"}),
        ("-p tcp -m multiport --dports 5064,5065 -j DROP", {"proto": "tcp", "dport": "5064-5065", "verdict": "drop"}),
        ("-m state --state ESTABLISHED -j ACCEPT", {"ct": ["established"], "verdict": "accept"}),
        ("! -i lo -m iprange --src-range 10.1.0.8-10.1.0.11 -j DROP", {"iif": "eth0", "saddr": "10.1.0.8/30"}),
        ("-m statistic --mode random --probability 0.25 -j DROP", {"chance": 0.25, "verdict": "drop"}),
        ("-m addrtype --dst-type MULTICAST -j DROP", {"daddr": "224.0.0.0/4", "verdict": "drop"}),
        ('-s 10.1.0.3/32 -m comment --comment "a -j b" -j REJECT', {"saddr": "10.1.0.3", "verdict": "reject"}),
    ],
)
def test_a_rule_of_iptables(line: str, rule: dict[str, Any]) -> None:
    """Each option that a site file has a word for is read."""
    ((found,), remarks) = listed(line)

    assert found | rule == found
    assert remarks == []


@pytest.mark.parametrize(
    ("line", "unsaid"),
    [
        ("-m mac --mac-source 00:11:22:33:44:55 -j ACCEPT", "mac --mac-source 00:11:22:33:44:55"),
        ("-m socket -j ACCEPT", "socket"),
        ("-m limit --limit 3/min --limit-burst 10 -j ACCEPT", "--limit 3/min"),
        ("-p icmp -m icmp --icmp-type 8 -j ACCEPT", "--icmp-type 8"),
        ("-p tcp -m tcp ! --syn -j DROP", "! --syn"),
        ("-j NFQUEUE --queue-num 1", "NFQUEUE"),
    ],
)
def test_what_a_site_file_has_no_word_for(line: str, unsaid: str) -> None:
    """Extensions and targets that are not known are said by name and option."""
    rules, (remark,) = listed(line)

    assert rules == []
    assert unsaid in remark


def test_targets_that_only_write_down_are_silent() -> None:
    """LOG and marks do nothing to a packet."""
    assert listed('-m limit --limit 3/min -j LOG --log-prefix "x"') == ([], [])
    assert listed("-j MARK --set-xmark 0x1/0xffffffff") == ([], [])


def test_translations() -> None:
    """DNAT, REDIRECT, SNAT and MASQUERADE of a chain that is jumped to."""
    rules, policies, remarks = convert({"nftables": tables(NAT)}, CARDS)

    local = [{"daddr": "10.1.0.2"}, {"daddr": "127.0.0.0/8"}]
    published = {"hook": "prerouting", "proto": "tcp", "iif": "eth0", "dport": 8080, "dnat": "172.17.0.2:80"}
    own = {"hook": "prerouting", "proto": "udp", "iif": "eth0", "dport": 5070, "dnat": "10.1.0.2:5064"}
    assert rules == [
        *(published | each for each in local),
        *(own | each for each in local),
        {"hook": "postrouting", "oif": "eth0", "saddr": "172.17.0.0/16", "masquerade": True},
        {"hook": "postrouting", "proto": "tcp", "snat": "10.1.0.2"},
    ]
    assert policies == {}
    assert remarks == []


def test_ufw_stays_as_short_as_it_is() -> None:
    """Its three returns for what is addressed to this machine cost no rule."""
    rules, policies, _ = convert({"nftables": tables(UFW)}, CARDS)

    assert {"hook": "input", "proto": "tcp", "dport": 22, "verdict": "accept"} in rules
    assert len(rules) == 15
    assert policies == {"input": "drop", "forward": "drop"}


def test_only_what_nft_cannot_tell_is_taken_from_iptables() -> None:
    """A rule with parts of iptables is replaced if both list as many; others stay."""
    plain = {"rule": {"family": "ip", "table": "filter", "chain": "INPUT", "expr": [{"drop": None}]}}
    hidden = {"rule": {**plain["rule"], "expr": [{"xt": {"type": "match", "name": "conntrack"}}, {"accept": None}]}}
    saved = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\n-A INPUT -m conntrack --ctstate NEW -j ACCEPT\n"

    _, replaced = merge([plain, hidden], saved)
    assert replaced["rule"]["expr"] == expressions("-m conntrack --ctstate NEW -j ACCEPT")
    assert merge([plain, hidden], saved)[0] == plain
    assert merge([plain, hidden, plain], saved) == [plain, hidden, plain]


def test_older_iptables_are_said_where_they_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that nft does not list are not forgotten silently."""
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "nat\nfilter\n")
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert snapshot_iptables.legacy() == (
        [],
        ["rules of iptables-legacy are not read (nat, filter): no iptables-legacy-save here"],
    )

    done = subprocess.CompletedProcess([], 0, NAT, "")
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "iptables-legacy-save")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert snapshot_iptables.legacy() == (tables(NAT), [])
