"""Read a firewall's rules from nft's own JSON as far as a site file can say them; the rest becomes remarks.

What a site file says is one list of rules for each hook and one of translations (:class:`canet.netns.topology.Rule`).
What this machine has are tables with base chains of several priorities, jumps between chains, sets and maps, and
what iptables wrote: :mod:`.snapshot_chains` follows packets through them, :mod:`.snapshot_conditions` reads what a
rule asks for, :mod:`.snapshot_iptables` what nft's JSON does not tell.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from canet.harness.site.snapshot_chains import TooManyRulesError, Walk
from canet.harness.site.snapshot_conditions import Conditions, kinds_of_addresses
from canet.harness.site.snapshot_effects import Chain, Key, Tables
from canet.harness.site.snapshot_iptables import fill_in, legacy
from canet.harness.site.snapshot_network import Card
from canet.harness.site.snapshot_selection import ALL_ADDRESSES, NOWHERE, Selection, ranges

Found = tuple[list[dict[str, Any]], dict[str, str], list[str]]
"""Rules, policies and remarks."""

HOOKS: Final = ("prerouting", "input", "forward", "output", "postrouting")
_IPV4: Final = ("ip", "inet")
_OTHERS: Final = ("arp", "bridge", "netdev")
_TRANSLATION_PRIORITY: Final = {"prerouting": -100, "output": -100, "postrouting": 100}
"""Where the kernel translates, whatever the priority of the chain (nf_nat_ipv4_ops)."""
_ASIDE: Final = "the snapshot may differ from this machine in what it lets through"


def read_rules(cards: Sequence[Card]) -> Found:
    """Return rules, policies and remarks of this machine; nothing where ``nft`` is missing or may not be asked."""
    nft = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
    if nft is None:
        return [], {}, ["firewall rules are not read: there is no program nft here"]
    done = subprocess.run([nft, "-j", "list", "ruleset"], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        return [], {}, [f"firewall rules are not read: nft says {done.stderr.strip() or done.returncode}"]
    entries = fill_in(json.loads(done.stdout).get("nftables", []))
    older, remarks = legacy()
    rules, policies, others = convert({"nftables": [*entries, *older]}, cards)
    return rules, policies, [*remarks, *others]


def convert(ruleset: Mapping[str, Any], cards: Sequence[Card] = ()) -> Found:
    """Turn a ruleset (libnftables-json(5)) into rules, policies and remarks on what cannot be said.

    ``cards`` are the machine's interfaces: rules about others are about nothing that a site file has.

    >>> convert({"nftables": [{"chain": {"table": "t", "name": "i", "hook": "input", "policy": "drop"}}]})
    ([], {'input': 'drop'}, [])
    """
    ours = _Ruleset(cards=[each for each in cards if each.loopback or each.addresses])
    for each in ruleset.get("nftables", ()):
        ours.take(each)
    rules: list[dict[str, Any]] = []
    policies: dict[str, str] = {}
    for hook in HOOKS:
        for walk in ours.walks(hook):
            try:
                walk.run()
            except TooManyRulesError as error:
                ours.remarks.append(f"the rules at {hook} are left out, they would be {error}: {_ASIDE}")
                continue
            rules += walk.rules
            ours.remarks += walk.remarks
            if walk.policy == "drop":
                policies[hook] = "drop"
    return rules, policies, list(dict.fromkeys([*ours.remarks, *ours.asides()]))


@dataclass(slots=True)
class _Ruleset:
    """What nft lists, sorted."""

    cards: list[Card]
    chains: dict[Key, Chain] = field(default_factory=dict)
    bases: list[tuple[str, str, Chain]] = field(default_factory=list)
    """Hook, type and base chain, in the order of the list."""
    conditions: dict[Key, Conditions] = field(default_factory=dict)
    dormant: set[Key] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)

    def take(self, entry: Mapping[str, Any]) -> None:
        """Sort one entry in."""
        ((kind, value),) = entry.items()
        if kind not in ("table", "chain", "rule", "set", "map"):
            return
        family, name = value.get("family", "inet"), value["name"] if kind == "table" else value["table"]
        if family in _OTHERS and kind == "rule":
            self.remarks.append(f"table {family} {name} is left out, it is not about IPv4 alone: {_ASIDE}")
        if family not in _IPV4:
            return
        table = (family, name, "")
        reader = self.conditions.setdefault(table, Conditions(self.devices, kinds_of_addresses(self.cards)))
        if kind == "table" and "dormant" in value.get("flags", ()):
            self.dormant.add(table)
        elif kind == "chain":
            key = (family, name, value["name"])
            found = Chain(key, policy=value.get("policy", "accept"), priority=value.get("prio", 0))
            self.chains[key] = found
            if value.get("hook") in HOOKS:
                self.bases.append((value["hook"], value.get("type", "filter"), found))
            elif "hook" in value:
                self.remarks.append(f"{found.name} is left out, it is at {value['hook']}: {_ASIDE}")
        elif kind == "rule":
            self.chains[(family, name, value["chain"])].rules.append(list(value.get("expr", ())))
        elif kind in ("set", "map"):
            elements = value.get("elem", [])
            reader.sets[value["name"]] = elements
            if elements and {"timeout", "dynamic"} & set(value.get("flags", ())):
                self.remarks.append(f"table {family} {name}: @{value['name']} changes by itself, this is what it held")

    @property
    def devices(self) -> tuple[str, ...]:
        """The interfaces that a site file has."""
        return tuple(dict.fromkeys(["lo", *(each.name for each in self.cards)]))

    def walks(self, hook: str) -> Iterable[Walk]:
        """Yield the walk through the filters of a hook, and that through its translations."""
        for reader in self.conditions.values():
            reader.translates = self._translates("dnat", "redirect")
        # Of equal priority, what was registered last comes first (nf_hook_entries_grow).
        latest_first = self.bases[::-1]
        here = [
            (kind, chain)
            for at, kind, chain in sorted(latest_first, key=lambda each: each[2].priority)
            if at == hook and (*chain.key[:2], "") not in self.dormant
        ]
        filters = [chain for kind, chain in here if kind != "nat" and self._fits(hook, chain)]
        translations = [chain for kind, chain in here if kind == "nat"]
        yield self._walk(hook, filters, translating=False)
        if hook in _TRANSLATION_PRIORITY:
            yield self._walk(hook, translations, translating=True)
        elif any(chain.rules for chain in translations):
            self.remarks.append(f"translations at {hook} are left out, they cannot be said here")

    def _walk(self, hook: str, bases: list[Chain], *, translating: bool) -> Walk:
        devices, nowhere = frozenset(self.devices), frozenset((NOWHERE,))
        came = {"output": nowhere, "postrouting": devices | nowhere}.get(hook, devices)
        goes = nowhere if hook in ("prerouting", "input") else devices
        everything = Selection(iif=came, oif=goes)
        kinds = kinds_of_addresses(self.cards)
        ours = ranges(*kinds["local"], *kinds["broadcast"], *kinds["multicast"]) if self.cards else ALL_ADDRESSES
        tables = Tables(self.chains, self.conditions)
        return Walk(hook, bases, tables, everything, self.cards, ours, translating=translating)

    def _fits(self, hook: str, chain: Chain) -> bool:
        """Tell whether a filter is on the same side of the translations as in a site file: before, but for output."""
        turn = _TRANSLATION_PRIORITY.get(hook)
        words = ("snat", "masquerade") if hook == "postrouting" else ("dnat", "redirect")
        if turn is None or not (chain.rules or chain.policy == "drop") or not self._translates(*words):
            return True
        if (chain.priority < turn) == (hook != "output"):
            return True
        side = "before" if hook == "output" else "after"
        self.remarks.append(f"{chain.name} is left out, it sees packets {side} their translation: {_ASIDE}")
        return False

    def _translates(self, *kinds: str) -> bool:
        return any(
            kind in each for chain in self.chains.values() for rule in chain.rules for each in rule for kind in kinds
        )

    def asides(self) -> Iterable[str]:
        """Yield what the rules speak of and a site file does not know."""
        strangers = sorted({name for each in self.conditions.values() for name in each.strangers})
        if strangers:
            yield f"rules about interfaces that are not here, or without address, are left out: {', '.join(strangers)}"
        protocols = sorted({name for each in self.conditions.values() for name in each.protocols})
        if protocols:
            yield f"rules about protocols besides udp, tcp and icmp are left out: {', '.join(protocols)}"
