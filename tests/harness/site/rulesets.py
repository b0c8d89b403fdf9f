"""Firewalls as people have them, and a machine to load them on. Each lets TCP port 22 of 10.1.0.1 in, the sentinel."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from ipaddress import IPv4Address, IPv4Network

import pytest

from canet.netns.topology import Address, Host, Interface, Route, Segment, Topology

ARCH = """
table inet filter
delete table inet filter
table inet filter {
  chain input {
    type filter hook input priority filter
    policy drop

    ct state invalid drop comment "early drop of invalid connections"
    ct state {established, related} accept comment "allow tracked connections"
    iifname lo accept comment "allow from loopback"
    ip protocol icmp accept comment "allow icmp"
    meta l4proto ipv6-icmp accept comment "allow icmp v6"
    tcp dport ssh accept comment "allow sshd"
    tcp dport { 5064, 5065 } counter accept
    udp dport { 5064, 5065 } ip saddr 10.1.0.0/16 accept
    counter
  }
  chain forward {
    type filter hook forward priority filter
    policy drop
  }
}
"""

DEBIAN = """
table inet filter {
  set controls { type ipv4_addr; flags interval; elements = { 10.1.0.0/25, 10.2.0.0-10.2.3.255 }; }
  set access { type inet_service; elements = { 22, 5064 }; }
  map verdicts { type inet_proto : verdict; elements = { tcp : jump tcp_in, udp : goto udp_in }; }
  chain tcp_in {
    tcp dport != @access return
    ip saddr @controls accept
    reject with tcp reset
  }
  chain udp_in {
    udp dport vmap { 5064 : accept, 5065-5070 : jump beacons }
    ip saddr 10.9.0.1 udp dport 6000-7000 accept
  }
  chain beacons {
    ip saddr != 10.1.0.0/16 drop
    fib daddr type broadcast accept
  }
  chain input {
    type filter hook input priority 0; policy drop;
    ct state vmap { established : accept, related : accept, invalid : drop }
    iif "lo" accept
    meta l4proto vmap @verdicts
    tcp dport 5065 accept
  }
  chain output { type filter hook output priority 0; policy accept; }
}
table inet night {
  chain input {
    type filter hook input priority 10; policy accept;
    ip saddr . udp dport { 10.1.0.1 . 5066, 10.9.0.1 . 5064 } drop
  }
}
table ip6 other {
  chain input { type filter hook input priority 0; policy drop; }
}
"""

FIREWALLD = """
table inet firewalld {
  chain mangle_PREROUTING { type filter hook prerouting priority -140; policy accept; jump mangle_PREROUTING_ZONES; }
  chain mangle_PREROUTING_ZONES { iifname "eth0" goto mangle_PRE_public; goto mangle_PRE_public; }
  chain mangle_PRE_public { jump mangle_PRE_public_allow; }
  chain mangle_PRE_public_allow { }
  chain nat_PREROUTING { type nat hook prerouting priority -90; policy accept; jump nat_PREROUTING_ZONES; }
  chain nat_PREROUTING_ZONES { iifname "eth0" goto nat_PRE_public; goto nat_PRE_public; }
  chain nat_PRE_public { jump nat_PRE_public_allow; }
  chain nat_PRE_public_allow { }
  chain nat_POSTROUTING { type nat hook postrouting priority 110; policy accept; jump nat_POSTROUTING_ZONES; }
  chain nat_POSTROUTING_ZONES { oifname "eth0" goto nat_POST_public; }
  chain nat_POST_public { }
  chain filter_INPUT {
    type filter hook input priority 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    jump filter_INPUT_ZONES
    ct state { invalid } drop
    reject with icmpx type admin-prohibited
  }
  chain filter_OUTPUT {
    type filter hook output priority 10; policy accept;
    oifname "lo" accept
    ip6 daddr { ::/96, ::ffff:0.0.0.0/96 } reject with icmpv6 type addr-unreachable
  }
  chain filter_INPUT_ZONES {
    ip saddr 10.9.0.0/16 goto filter_IN_internal
    iifname "eth0" goto filter_IN_public
    goto filter_IN_public
  }
  chain filter_IN_public {
    jump filter_IN_public_pre
    jump filter_IN_public_log
    jump filter_IN_public_deny
    jump filter_IN_public_allow
    meta l4proto { icmp, ipv6-icmp } accept
  }
  chain filter_IN_public_pre { }
  chain filter_IN_public_log { }
  chain filter_IN_public_deny { ip saddr 10.1.0.9 tcp dport 5065 drop; }
  chain filter_IN_public_allow {
    tcp dport 22 ct state { new, untracked } accept
    ip6 daddr fe80::/64 udp dport 546 ct state { new, untracked } accept
    udp dport 5064-5065 ct state { new, untracked } accept
    tcp dport 5064 ct state { new, untracked } accept
  }
  chain filter_IN_internal { jump filter_IN_internal_allow; meta l4proto { icmp, ipv6-icmp } accept; }
  chain filter_IN_internal_allow { udp dport 5064 accept; tcp dport { 22, 5065-5070 } accept; }
}
"""

UFW = """
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ufw-before-logging-input - [0:0]
:ufw-before-input - [0:0]
:ufw-after-input - [0:0]
:ufw-not-local - [0:0]
:ufw-user-input - [0:0]
:ufw-user-limit - [0:0]
:ufw-skip-to-policy-input - [0:0]
:ufw-logging-deny - [0:0]
-A INPUT -j ufw-before-logging-input
-A INPUT -j ufw-before-input
-A INPUT -j ufw-after-input
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -m conntrack --ctstate INVALID -j ufw-logging-deny
-A ufw-before-input -m conntrack --ctstate INVALID -j DROP
-A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT
-A ufw-before-input -j ufw-not-local
-A ufw-before-input -d 224.0.0.251/32 -p udp -m udp --dport 5353 -j ACCEPT
-A ufw-before-input -j ufw-user-input
-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN
-A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN
-A ufw-not-local -m addrtype --dst-type BROADCAST -j RETURN
-A ufw-not-local -m limit --limit 3/min --limit-burst 10 -j ufw-logging-deny
-A ufw-not-local -j DROP
-A ufw-logging-deny -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
-A ufw-user-input -p tcp -m tcp --dport 22 -m comment --comment "ssh" -j ACCEPT
-A ufw-user-input -s 10.1.0.0/16 -p udp -m multiport --dports 5064,5065 -j ACCEPT
-A ufw-user-input ! -s 10.1.0.0/16 -p tcp -m tcp --dport 5066 -j REJECT --reject-with tcp-reset
-A ufw-user-input -p tcp -m multiport --dports 5064,5066:5070 -j ACCEPT
-A ufw-after-input -p udp -m udp --dport 5066 -m addrtype --dst-type BROADCAST -j ufw-skip-to-policy-input
-A ufw-after-input -s 10.9.0.0/16 -p udp -m udp --dport 5066 -j ACCEPT
-A ufw-skip-to-policy-input -j DROP
COMMIT
"""

DOCKER = """
table ip nat {
  chain DOCKER {
    iifname "docker0" counter return
    iifname != "docker0" tcp dport 5064 counter dnat to 172.17.0.2:5065
    iifname != "docker0" udp dport 5066 counter dnat to 172.17.0.2
  }
  chain PREROUTING {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local counter jump DOCKER
  }
  chain OUTPUT {
    type nat hook output priority -100; policy accept;
    ip daddr != 127.0.0.0/8 fib daddr type local counter jump DOCKER
  }
  chain POSTROUTING {
    type nat hook postrouting priority srcnat; policy accept;
    oifname != "docker0" ip saddr 172.17.0.0/16 counter masquerade
  }
}
table ip filter {
  chain DOCKER {
    iifname != "docker0" oifname "docker0" ip daddr 172.17.0.2 tcp dport 5065 counter accept
    iifname != "docker0" oifname "docker0" ip daddr 172.17.0.2 udp dport 5066 counter accept
  }
  chain DOCKER-ISOLATION-STAGE-1 {
    iifname "docker0" oifname != "docker0" counter jump DOCKER-ISOLATION-STAGE-2
    counter return
  }
  chain DOCKER-ISOLATION-STAGE-2 { oifname "docker0" counter drop; counter return; }
  chain DOCKER-USER { ip saddr 10.9.0.1 udp dport 5066 drop; counter return; }
  chain FORWARD {
    type filter hook forward priority filter; policy drop;
    counter jump DOCKER-USER
    counter jump DOCKER-ISOLATION-STAGE-1
    oifname "docker0" ct state established,related counter accept
    oifname "docker0" counter jump DOCKER
    iifname "docker0" oifname != "docker0" counter accept
    iifname "docker0" oifname "docker0" counter accept
  }
}
"""

REDIRECT = """
table ip nat {
  map targets {
    type inet_service : ipv4_addr . inet_service
    elements = { 5066 : 172.17.0.2 . 5064, 5067 : 10.1.0.2 . 5065 }
  }
  chain earlier {
    type nat hook prerouting priority -110; policy accept;
    ip saddr 10.9.0.1 tcp dport 5064 accept
    udp dport 5064 ip saddr 10.1.0.9 dnat to 10.1.0.2:5067
  }
  chain pre {
    type nat hook prerouting priority dstnat; policy accept;
    udp dport 5064 redirect to :5065
    tcp dport 22 return
    ip saddr 10.1.0.9 return
    tcp dport 5064-5065 redirect to :5067
    dnat to tcp dport map @targets
  }
}
"""

PRIORITIES = """
table ip first {
  chain pre { type nat hook prerouting priority dstnat; udp dport 5064 dnat to 10.1.0.2:5065; }
  chain in { type filter hook input priority 5; udp dport 5067 ip saddr 10.1.0.9 drop; }
}
table ip second {
  chain pre { type nat hook prerouting priority dstnat; udp dport 5064 dnat to 10.1.0.2:5067; }
  chain in { type filter hook input priority -5; udp dport 5067 accept; }
}
"""
NOTHING = {
    "nft": "",
    "iptables-nft-restore": "",
    "iptables-legacy-restore": "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n",
}
"""What each program takes for no rules at all; nft's are always flushed before."""

NFT = {
    "priorities": PRIORITIES,
    "arch": ARCH,
    "debian": DEBIAN,
    "firewalld": FIREWALLD,
    "docker": DOCKER,
    "redirect": REDIRECT,
}


def _path(program: str) -> str:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin") or ""


def needs(*programs: str) -> None:
    """Skip where a program is not installed."""
    for program in programs:
        if not _path(program):
            pytest.skip(f"{program} is not installed")


def load(program: str, text: str) -> None:
    """Give a ruleset to ``nft -f -`` or a program of iptables in this network namespace, in place of all others."""
    subprocess.run([_path("nft"), "flush", "ruleset"], check=True)
    command = [_path(program), *(["-f", "-"] if program == "nft" else [])]
    with tempfile.NamedTemporaryFile() as lock:  # the machine's own lock is root's
        env = {**os.environ, "XTABLES_LOCKFILE": lock.name}
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False, env=env)
    assert done.returncode == 0, done.stderr


LAN_CLIENT = Interface(
    name="eth0",
    segment="lan",
    addresses=tuple(Address.parse(f"{each}/8") for each in ("10.1.0.1", "10.1.0.9", "10.9.0.1")),
)
LAN = Interface(name="eth0", segment="lan", addresses=(Address.parse("10.1.0.2/8"),))
BRIDGE = Interface(name="docker0", segment="docker", addresses=(Address.parse("172.17.0.1/16"),))
CONTAINER = Interface(name="eth0", segment="docker", addresses=(Address.parse("172.17.0.2/16"),))
TOPOLOGY = Topology(
    segments=(Segment(name="lan"), Segment(name="docker")),
    hosts=(
        Host(name="client", interfaces=(LAN_CLIENT,)),
        Host(
            name="server",
            interfaces=(LAN, BRIDGE),
            sysctls=(
                ("net.ipv4.ip_forward", "1"),
                ("net.ipv4.icmp_ratemask", "0"),  # each rejection is told
            ),
        ),
        Host(
            name="container",
            interfaces=(CONTAINER,),
            routes=(Route(to=IPv4Network("0.0.0.0/0"), via=IPv4Address("172.17.0.1")),),
        ),
    ),
)
"""A client with three addresses, a machine with a firewall, and one behind it."""


def _agreeing(conditions: list[str]) -> list[str]:
    """Return conditions without the last where nft says that they contradict each other."""
    words = " ".join(conditions).split()
    opposed = ({"udp", "tcp"}, {"ip", "ip6"}, {"ipv4", "ip6"})
    return conditions[:1] if any(each <= set(words) for each in opposed) else conditions


def some(seed: int) -> str:
    """Return a ruleset at random: chains that jump to later ones, of all that a rule may ask and do."""
    chance = random.Random(seed)
    conditions = [
        *("ip saddr 10.1.0.0/28", "ip saddr != 10.1.0.9", "ip saddr { 10.1.0.9, 10.8.0.0/13 }", "ip protocol udp"),
        *("udp dport 5064", "udp dport != 5064", "tcp dport { 5065-5070 }", "th dport 5064-5065", "tcp dport < 5066"),
        *("iifname eth0", "iifname != lo", "ct state new", "ct state != established", "ip daddr 10.1.0.2"),
        *("fib daddr type local", "fib daddr type != local", "meta l4proto != tcp", "udp sport >= 1024"),
        *("ip saddr . udp dport { 10.1.0.1 . 5064, 10.9.0.1 . 5064-5066 }", "ip6 saddr ::1", "meta nfproto ipv4"),
        "ip saddr . udp dport != { 10.1.0.1 . 5064, 10.9.0.1 . 5065 }",
    ]
    chains = [f"c{n}" for n in range(4)]
    text = []
    for number, name in reversed(list(enumerate(chains))):
        actions = ["accept", "drop", "return", "reject", "reject with tcp reset", "continue"]
        actions += [f"{how} {each}" for each in chains[number + 1 :] for how in ("jump", "goto")]
        rules = []
        for _ in range(chance.randint(1, 4)):
            if chance.random() < 0.25:
                one, two, three = chance.choices([each for each in actions if "reject" not in each], k=3)
                rules.append(
                    chance.choice(
                        [
                            f"udp dport vmap {{ 5064 : {one}, 5065-5066 : {two}, * : {three} }}",
                            f"ip saddr vmap {{ 10.1.0.1 : {one}, 10.1.0.9 : {two}, 10.8.0.0/13 : {three} }}",
                            f"meta l4proto vmap {{ udp : {one}, tcp : {two} }}",
                        ]
                    )
                )
                continue
            asked = " ".join(_agreeing(chance.sample(conditions, chance.choice((0, 1, 1, 2)))))
            action = chance.choice([each for each in actions if "tcp" not in each or "tcp dport" in asked])
            rules.append(f"{asked} {action}")
        text.append(f"chain {name} {{\n" + "\n".join(rules) + "\n}")
    for number, priority in enumerate(chance.sample((-10, 0, 5), chance.randint(1, 2))):
        policy, first = chance.choice(("accept", "drop")), chance.choice(chains)
        rule = f"{chance.choice([*conditions, ''])} {chance.choice(('jump', 'goto'))} {first}"
        text.append(
            f"chain base{number} {{ type filter hook input priority {priority}; policy {policy};\n"
            f"tcp dport 22 ip saddr 10.1.0.1 accept\nct state established accept\n{rule}\n"
            f"jump {chance.choice(chains)}\n}}"
        )
    return "table inet site {\n" + "\n".join(text) + "\n}\n"
