"""Firewall and translation rules as messages to nftables: pure, values in, values out.

A rule becomes a list of expressions: each loads a register and compares it, the last one acts (nf_tables_api.c;
``nft --debug=netlink`` prints the same lists). Names and numbers are those of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from typing import Any, Final

from canet.netns.netlink import NLM_F_APPEND, NLM_F_CREATE, Attribute, Message, nest
from canet.netns.topology import Rule

TABLE: Final = "canet"
_IPV4, _NETDEV = 2, 5
_VERDICT_REGISTER, _REGISTER, _PORT_REGISTER = 0, 1, 2
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_EQUAL, _NOT_EQUAL, _LESS, _AT_MOST, _AT_LEAST = 0, 1, 2, 3, 5
_DROP, _ACCEPT = 0, 1
_CHANCE_STEPS: Final = 1_000_000

_HOOKS: Final = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
_FILTER_PRIORITY: Final = {"prerouting": -150, "input": 0, "forward": 0, "output": 0, "postrouting": 0}
_NAT_PRIORITY: Final = {"prerouting": -100, "output": -100, "postrouting": 100}
_PROTOCOLS: Final = {"udp": socket.IPPROTO_UDP, "tcp": socket.IPPROTO_TCP, "icmp": socket.IPPROTO_ICMP}
_META: Final = {"IIFNAME": 6, "OIFNAME": 7, "SKUID": 10, "L4PROTO": 16}
_CT_STATES: Final = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}

Expression = dict[str, Any]


def _expression(name: str, *attributes: tuple[str, object]) -> Expression:
    prefix = f"NFTA_{name.upper()}_" if name != "numgen" else "NFTA_NG_"
    data = nest(*((prefix + key, value) for key, value in attributes))
    return nest(("NFTA_EXPR_NAME", name), ("NFTA_EXPR_DATA", data))


def _data(value: bytes) -> dict[str, Any]:
    return nest(("NFTA_DATA_VALUE", value))


def _native(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)


def _compare(operator: int, value: bytes) -> Expression:
    return _expression("cmp", ("SREG", _REGISTER), ("OP", operator), ("DATA", _data(value)))


def _load(key: str) -> Expression:
    return _expression("meta", ("KEY", _META[key]), ("DREG", _REGISTER))


def _payload(base: int, offset: int, length: int) -> Expression:
    return _expression("payload", ("DREG", _REGISTER), ("BASE", base), ("OFFSET", offset), ("LEN", length))


def _mask(mask: bytes) -> Expression:
    return _expression(
        "bitwise",
        ("SREG", _REGISTER),
        ("DREG", _REGISTER),
        ("LEN", len(mask)),
        ("MASK", _data(mask)),
        ("XOR", _data(bytes(len(mask)))),
    )


def _address(offset: int, network: IPv4Network) -> Iterator[Expression]:
    yield _payload(_NETWORK_HEADER, offset, 4)
    if network.prefixlen < 32:
        yield _mask(network.netmask.packed)
    yield _compare(_EQUAL, network.network_address.packed)


def _ports(offset: int, ports: tuple[int, int]) -> Iterator[Expression]:
    yield _payload(_TRANSPORT_HEADER, offset, 2)
    if ports[0] == ports[1]:
        yield _compare(_EQUAL, struct.pack("!H", ports[0]))
    else:
        yield _compare(_AT_LEAST, struct.pack("!H", ports[0]))
        yield _compare(_AT_MOST, struct.pack("!H", ports[1]))


def _interface(key: str, name: str) -> Iterator[Expression]:
    yield _load(key)
    raw = name.encode()
    yield _compare(_EQUAL, raw[:-1] if raw.endswith(b"*") else raw.ljust(16, b"\0"))


def chance(fraction: float) -> Iterator[Expression]:
    """Match this fraction of packets at random."""
    yield _expression("numgen", ("DREG", _REGISTER), ("MODULUS", _CHANCE_STEPS), ("TYPE", 1), ("OFFSET", 0))
    # Comparison is by bytes, so the number has to be in network order first.
    yield _expression("byteorder", ("SREG", _REGISTER), ("DREG", _REGISTER), ("OP", 1), ("LEN", 4), ("SIZE", 4))
    yield _compare(_LESS, struct.pack("!I", round(fraction * _CHANCE_STEPS)))


def verdict(code: int) -> Expression:
    """End with a verdict: 0 drops, 1 accepts."""
    value = nest(("NFTA_DATA_VERDICT", nest(("NFTA_VERDICT_CODE", code))))
    return _expression("immediate", ("DREG", _VERDICT_REGISTER), ("DATA", value))


def _set(register: int, value: bytes) -> Expression:
    return _expression("immediate", ("DREG", register), ("DATA", _data(value)))


def conditions(rule: Rule) -> Iterator[Expression]:
    """Yield the expressions that must all match."""
    if rule.iif is not None:
        yield from _interface("IIFNAME", rule.iif)
    if rule.oif is not None:
        yield from _interface("OIFNAME", rule.oif)
    if rule.proto is not None:
        yield _load("L4PROTO")
        yield _compare(_EQUAL, bytes([_PROTOCOLS[rule.proto]]))
    if rule.saddr is not None:
        yield from _address(12, rule.saddr)
    if rule.daddr is not None:
        yield from _address(16, rule.daddr)
    if rule.sport is not None:
        yield from _ports(0, rule.sport)
    if rule.dport is not None:
        yield from _ports(2, rule.dport)
    if rule.uid is not None:
        yield _load("SKUID")
        yield _compare(_EQUAL, _native(rule.uid))
    if rule.ct:
        yield _expression("ct", ("KEY", 0), ("DREG", _REGISTER))
        yield _mask(_native(sum(_CT_STATES[state] for state in set(rule.ct))))
        yield _compare(_NOT_EQUAL, bytes(4))
    if rule.chance < 1:
        yield from chance(rule.chance)


def action(rule: Rule) -> Iterator[Expression]:
    """Yield the expressions that act."""
    if rule.masquerade:
        yield _expression("masq")
    elif rule.dnat is not None or rule.snat is not None or rule.dnat_port is not None:
        address = rule.snat or rule.dnat
        registers: list[tuple[str, object]] = []
        if address is not None:
            yield _set(_REGISTER, address.packed)
            registers += [("REG_ADDR_MIN", _REGISTER), ("REG_ADDR_MAX", _REGISTER)]
        if rule.dnat_port is not None:
            yield _set(_PORT_REGISTER, struct.pack("!H", rule.dnat_port))
            registers += [("REG_PROTO_MIN", _PORT_REGISTER), ("REG_PROTO_MAX", _PORT_REGISTER)]
        yield _expression("nat", ("TYPE", 0 if rule.snat else 1), ("FAMILY", _IPV4), *registers)
    elif rule.verdict == "reject":
        yield _expression("reject", ("TYPE", 0), ("ICMP_CODE", 3))  # port unreachable, as nft and iptables do
    else:
        yield verdict(_ACCEPT if rule.verdict == "accept" else _DROP)


def is_translation(rule: Rule) -> bool:
    """Say whether a rule belongs into a nat chain."""
    return rule.verdict is None


class Batch:
    """The messages of a transaction: all of them take effect, or none."""

    def __init__(self, family: int, table: str = TABLE) -> None:
        self._family = family
        self._table = table
        self.messages: list[Message] = []

    def add(self, purpose: str, kind: str, attributes: Sequence[Attribute], flags: int) -> None:
        """Append a message."""
        self.messages.append(Message(kind, purpose, {"nfgen_family": self._family}, attributes, flags))

    def fresh_table(self, *, empty: bool = False) -> None:
        """Drop the table if there is one; and make it anew, unless it shall stay away."""
        name: list[Attribute] = [("NFTA_TABLE_NAME", self._table)]
        self.add("make the table", "NFT_MSG_NEWTABLE", name, NLM_F_CREATE)
        self.add("drop the old table", "NFT_MSG_DELTABLE", name, 0)
        if not empty:
            self.add("make the table", "NFT_MSG_NEWTABLE", name, NLM_F_CREATE)

    def chain(self, name: str, kind: str, hook: dict[str, Any], policy: int) -> None:
        """Make a base chain."""
        attributes: list[Attribute] = [
            ("NFTA_CHAIN_TABLE", self._table),
            ("NFTA_CHAIN_NAME", name),
            ("NFTA_CHAIN_HOOK", hook),
            ("NFTA_CHAIN_POLICY", policy),
            ("NFTA_CHAIN_TYPE", kind),
        ]
        self.add(f"make chain {name}", "NFT_MSG_NEWCHAIN", attributes, NLM_F_CREATE)

    def rule(self, purpose: str, chain_name: str, expressions: Sequence[Expression]) -> None:
        """Append a rule to a chain."""
        attributes: list[Attribute] = [
            ("NFTA_RULE_TABLE", self._table),
            ("NFTA_RULE_CHAIN", chain_name),
            ("NFTA_RULE_EXPRESSIONS", list(expressions)),
        ]
        self.add(purpose, "NFT_MSG_NEWRULE", attributes, NLM_F_CREATE | NLM_F_APPEND)


def _hook(number: int, priority: int, device: str | None = None) -> dict[str, Any]:
    attributes: list[Attribute] = [("NFTA_HOOK_HOOKNUM", number), ("NFTA_HOOK_PRIORITY", priority)]
    if device is not None:
        attributes.append(("NFTA_HOOK_DEV", device))
    return nest(*attributes)


def replace_rules(rules: Sequence[Rule], policies: Sequence[tuple[str, str]]) -> list[Message]:
    """Return the transaction that makes these the only rules of a host."""
    batch = Batch(_IPV4)
    batch.fresh_table(empty=not rules and not policies)
    policy_of = dict(policies)
    for hook in dict.fromkeys([*policy_of, *(rule.hook for rule in rules if not is_translation(rule))]):
        policy = _DROP if policy_of.get(hook) == "drop" else _ACCEPT
        batch.chain(hook, "filter", _hook(_HOOKS[hook], _FILTER_PRIORITY[hook]), policy)
    for hook in dict.fromkeys(rule.hook for rule in rules if is_translation(rule)):
        batch.chain(f"nat-{hook}", "nat", _hook(_HOOKS[hook], _NAT_PRIORITY[hook]), _ACCEPT)
    for number, rule in enumerate(rules, 1):
        name = f"nat-{rule.hook}" if is_translation(rule) else rule.hook
        batch.rule(f"rule {number} ({rule.hook})", name, [*conditions(rule), *action(rule)])
    return batch.messages


_NETDEV_HOOKS: Final = {"ingress": 0, "egress": 1}


def drop_at(device: str, hook: str, loss: float | None) -> list[Message]:
    """Return the transaction that drops a fraction of all frames at an interface; ``None`` lets all pass again.

    ``ingress`` is behind the packet sockets that see arriving frames, ``egress`` before those that see leaving ones.
    """
    batch = Batch(_NETDEV, f"{TABLE}-{device}-{hook}")
    batch.fresh_table(empty=loss is None)
    if loss is not None:
        batch.chain(hook, "filter", _hook(_NETDEV_HOOKS[hook], 0, device), _ACCEPT)
        batch.rule(f"drop at {device}", hook, [*(chance(loss) if loss < 1 else ()), verdict(_DROP)])
    return batch.messages
