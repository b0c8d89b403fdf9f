"""What nftables rules, translations and connection tracking do to a packet (netfilter hooks of one host).

One :class:`State` holds the connection tables of all hosts for one story: a probe's datagram, its replies, and the
connections that follow. Nothing else in the model remembers anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from canet.harness.predict.network import Device, HostTables
from canet.harness.predict.trace import Trace
from canet.netns.topology import Rule

UDP, TCP = 17, 6
PROTOCOLS = {"udp": UDP, "tcp": TCP, "icmp": 1}
ANY_PORT = 1
"""Stands for a port that the kernel chooses at random."""
Flow = tuple[int, int, int, int, int]
"""Protocol, source address, source port, destination address, destination port."""


@dataclass(slots=True, eq=False)
class Packet:
    """One IPv4 packet on its way."""

    proto: int
    source: int
    sport: int
    to: int
    dport: int
    size: int = 100
    """Octets from the IP header on."""
    ttl: int = 64
    uid: int = 0
    whole: bool = True
    """It is not in fragments now."""
    piece: int = 0
    """Octets of its largest fragment, once it has been in fragments; a host that joins them splits them again."""
    may_fragment: bool = False
    """The don't-fragment bit is clear."""
    chance: bool = False
    """It got here only by luck (a rule that applies to a fraction of packets, a lossy cable)."""
    track: Entry | None = None
    replying: bool = False

    def copy(self) -> Packet:
        """Return a copy that can be changed."""
        return Packet(
            self.proto, self.source, self.sport, self.to, self.dport, self.size, self.ttl, self.uid, self.whole,
            self.piece, self.may_fragment, self.chance,
        )  # fmt: skip

    @property
    def flow(self) -> Flow:
        """The five-tuple."""
        return self.proto, self.source, self.sport, self.to, self.dport


@dataclass(slots=True, eq=False)
class Entry:
    """One tracked connection: the first packet's flow, the flow that answers are expected to have."""

    original: Flow
    reply: Flow
    answered: bool = False
    confirmed: bool = False


@dataclass(slots=True, eq=False)
class State:
    """What hosts remember in the course of one story."""

    tables: dict[int, dict[Flow, Entry]] = field(default_factory=dict)
    """Connection tables by host index."""
    neighbours: dict[tuple[Device, int], Device] = field(default_factory=dict)
    """(device, address) → who was found to have it, by asking or by being asked (ARP tables)."""
    waiting: set[tuple[Device, int]] = field(default_factory=set)
    """Addresses that were asked for in vain; overhearing their owner resolves them."""
    mappings: dict[tuple[int, int, int, int, int], int] = field(default_factory=dict)
    """(host, protocol, source, its port, translated source) → translated port: reused for what comes from there."""


def inverted(flow: Flow) -> Flow:
    """Return the flow of an answer."""
    return flow[0], flow[3], flow[4], flow[1], flow[2]


def track(host: HostTables, state: State, packet: Packet) -> None:
    """Attach the packet's connection, an existing or a new one (nf_conntrack_in)."""
    table = state.tables.setdefault(host.index, {})
    flow = packet.flow
    entry = table.get(flow)
    if entry is None:
        packet.track, packet.replying = Entry(flow, inverted(flow)), False
        return
    packet.track, packet.replying = entry, flow != entry.original
    if packet.replying:
        entry.answered = True


def confirm(host: HostTables, state: State, packet: Packet) -> None:
    """Remember the connection once the packet has passed the last hook (nf_conntrack_confirm)."""
    entry = packet.track
    if entry is None or entry.confirmed:
        return
    table = state.tables.setdefault(host.index, {})
    if entry.original in table or entry.reply in table:
        return
    entry.confirmed = True
    table[entry.original] = table[entry.reply] = entry


def ct_state(packet: Packet) -> str:
    """Return ``new``, ``established`` or ``untracked``."""
    entry = packet.track
    if entry is None:
        return "untracked"
    return "established" if packet.replying or (entry.answered and entry.confirmed) else "new"


def judge(
    host: HostTables, hook: str, packet: Packet, iif: Device | None, oif: Device | None, trace: Trace
) -> tuple[str, Trace]:
    """Let the filter rules of a hook decide: ``accept``, ``drop`` or ``reject``, and the trace with the rule named.

    A rule with a chance below 1 makes what follows luck: the packet is let through and marked.
    """
    verdict, told = _verdict(host, hook, packet, iif, oif, trace)
    if all(rule.chance == 1 for rule in host.rules.get(hook, ())):
        return verdict, told
    odds = [each for each in _odds(host, hook, packet, iif, oif) if each[1] != verdict]
    if not odds:
        return verdict, told
    packet.chance = True
    number, _, chance = odds[0]
    return "accept", (trace if verdict != "accept" else told, "firewall-chance", (host.name, hook, number, chance))


def _odds(
    host: HostTables, hook: str, packet: Packet, iif: Device | None, oif: Device | None
) -> Iterator[tuple[int, str, float]]:
    """Yield number, verdict and chance of the rules that may decide, before the one that does."""
    for number, rule in enumerate(host.rules.get(hook, ()), 1):
        if not matches(rule, packet, iif, oif):
            continue
        if rule.chance == 1:
            if not _misses(host, hook, packet, rule):
                return
        elif rule.chance > 0:
            yield number, "accept" if rule.verdict == "accept" else "drop", rule.chance


def _misses(host: HostTables, hook: str, packet: Packet, rule: Rule) -> bool:
    """Tell whether later fragments pass a rule by that lets the first one through: they carry no ports.

    Hooks see fragments on the way through a router only: what a host sends is cut after its hooks, and what it gets is
    joined before ``input`` (ip_local_deliver), or before all hooks where connections are tracked (nf_defrag_ipv4).
    """
    cut = not packet.whole and not host.tracked and hook in ("prerouting", "forward", "postrouting")
    return cut and rule.verdict == "accept" and bool(rule.dport or rule.sport)


def _verdict(
    host: HostTables, hook: str, packet: Packet, iif: Device | None, oif: Device | None, trace: Trace
) -> tuple[str, Trace]:
    """Let the rules that always apply decide."""
    for number, rule in enumerate(host.rules.get(hook, ()), 1):
        if rule.chance < 1 or not matches(rule, packet, iif, oif):
            continue
        if _misses(host, hook, packet, rule):
            trace = (trace, "firewall-fragment", (host.name, hook, number))
            continue
        verdict = rule.verdict or "accept"
        if verdict == "accept":
            if rule.ct and ct_state(packet) == "established":
                return "accept", (trace, "firewall-established", (host.name, hook, packet.source, packet.sport))
            return "accept", (trace, "firewall-accept", (host.name, hook, number, describe(rule)))
        return verdict, (trace, f"firewall-{verdict}", (host.name, hook, number, describe(rule)))
    if host.policies.get(hook) == "drop":
        seen = "a new connection" if ct_state(packet) == "new" else "no tracked connection"
        return "drop", (trace, "firewall-policy", (host.name, hook, seen, packet.source, packet.sport))
    return "accept", trace


def matches(rule: Rule, packet: Packet, iif: Device | None, oif: Device | None) -> bool:
    """Tell whether all conditions of a rule hold for a packet."""
    if rule.proto is not None and PROTOCOLS[rule.proto] != packet.proto:
        return False
    if rule.saddr is not None and not _inside(packet.source, rule.saddr):
        return False
    if rule.daddr is not None and not _inside(packet.to, rule.daddr):
        return False
    if rule.sport is not None and not rule.sport[0] <= packet.sport <= rule.sport[1]:
        return False
    if rule.dport is not None and not rule.dport[0] <= packet.dport <= rule.dport[1]:
        return False
    if rule.iif is not None and (iif is None or iif.name != rule.iif):
        return False
    if rule.oif is not None and (oif is None or oif.name != rule.oif):
        return False
    if rule.ct and ct_state(packet) not in rule.ct:
        return False
    return rule.uid is None or rule.uid == packet.uid


def _inside(address: int, network: object) -> bool:
    first, bits = network_numbers(network)
    return address & bits == first


_NETWORKS: dict[object, tuple[int, int]] = {}


def network_numbers(network: object) -> tuple[int, int]:
    """Return first address and mask of an ``IPv4Network`` as numbers; remembered, since the class is slow."""
    found = _NETWORKS.get(network)
    if found is None:
        if len(_NETWORKS) > 100_000:
            _NETWORKS.clear()
        found = int(network.network_address), int(network.netmask)  # type: ignore[attr-defined]  # an IPv4Network
        _NETWORKS[network] = found
    return found


def translate_destination(
    host: HostTables, hook: str, packet: Packet, iif: Device | None, oif: Device | None, trace: Trace
) -> Trace:
    """Rewrite the destination (prerouting, output): by the connection's mapping, or for a new one by the rules."""
    entry = packet.track
    if entry is None:
        return trace
    if entry.confirmed:
        return _apply_destination(packet, entry, host, trace)
    for rule in host.nat.get(hook, ()):
        if rule.dnat is None and rule.dnat_port is None:
            continue
        if not matches(rule, packet, iif, oif):
            continue
        to = packet.to if rule.dnat is None else int(rule.dnat)
        port = rule.dnat_port or packet.dport
        trace = (trace, f"nat-{hook}", (host.name, packet.to, packet.dport, to, port))
        entry.reply = (entry.reply[0], to, port, entry.reply[3], entry.reply[4])
        packet.to, packet.dport = to, port
        break
    return trace


def _apply_destination(packet: Packet, entry: Entry, host: HostTables, trace: Trace) -> Trace:
    expected = inverted(entry.original) if packet.replying else inverted(entry.reply)
    if (packet.to, packet.dport) != (expected[3], expected[4]):
        trace = (trace, "nat-known", (host.name, packet.to, packet.dport, expected[3], expected[4]))
        packet.to, packet.dport = expected[3], expected[4]
    return trace


def translate_source(
    host: HostTables, packet: Packet, iif: Device | None, oif: Device, hop: int, state: State, trace: Trace
) -> Trace:
    """Rewrite the source (postrouting): by the connection's mapping, or for a new one by the rules."""
    entry = packet.track
    if entry is None or not host.nat:
        return trace
    if entry.confirmed:
        expected = inverted(entry.original) if packet.replying else inverted(entry.reply)
        if (packet.source, packet.sport) != (expected[1], expected[2]):
            trace = (trace, "nat-known-source", (host.name, packet.source, packet.sport, expected[1], expected[2]))
            packet.source, packet.sport = expected[1], expected[2]
        return trace
    for rule in host.nat.get("postrouting", ()):
        if not (rule.masquerade or rule.snat is not None) or not matches(rule, packet, iif, oif):
            continue
        to = host.select_source(oif, hop) if rule.snat is None else int(rule.snat)
        if not to:
            trace = (trace, "nat-no-address", (host.name, oif.name))
            packet.source = 0
            return trace
        trace = (trace, "nat-source", (host.name, packet.source, to))
        key = (host.index, packet.proto, packet.source, packet.sport, to)
        if to != packet.source:
            packet.sport = state.mappings.get(key, packet.sport)  # find_appropriate_src
        entry.reply = (*entry.reply[:3], to, packet.sport)
        packet.source = to
        trace = _unclash(host, state, packet, entry, trace)
        state.mappings[key] = packet.sport
        return trace
    return _unclash(host, state, packet, entry, trace)


def _unclash(host: HostTables, state: State, packet: Packet, entry: Entry, trace: Trace) -> Trace:
    """Choose another source port where the flow would clash with a translated one (nf_nat_used_tuple_new)."""
    other = state.tables.get(host.index, {}).get(entry.reply)
    if other is None or other is entry:
        return trace
    port = ANY_PORT
    trace = (trace, "nat-clash", (host.name, packet.sport))
    entry.reply = (*entry.reply[:4], port)
    packet.sport = port
    return trace


def describe(rule: Rule) -> str:
    """Write a rule in few words, close to nft's own."""
    words: list[str] = []
    if rule.iif:
        words.append(f"iif {rule.iif}")
    if rule.oif:
        words.append(f"oif {rule.oif}")
    if rule.saddr is not None:
        words.append(f"saddr {rule.saddr}")
    if rule.daddr is not None:
        words.append(f"daddr {rule.daddr}")
    proto = rule.proto or ""
    if rule.sport:
        words.append(f"{proto} sport {_ports(rule.sport)}")
    if rule.dport:
        words.append(f"{proto} dport {_ports(rule.dport)}")
    if proto and not rule.sport and not rule.dport:
        words.append(proto)
    if rule.ct:
        words.append(f"ct {','.join(rule.ct)}")
    if rule.uid is not None:
        words.append(f"uid {rule.uid}")
    return " ".join((*words, rule.verdict or "")).strip()


def _ports(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}-{pair[1]}"
