"""What a rule can do to packets, and what it means to leave it out (nft(8), iptables-extensions(8)). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from canet.harness.site.snapshot_conditions import Conditions
from canet.harness.site.snapshot_translations import TRANSLATIONS
from canet.harness.site.snapshot_words import rule_words

VERDICTS: Final = ("accept", "drop", "reject", "return", "continue", "jump", "goto", "vmap", *TRANSLATIONS)
LIMITING: Final = ("limit", "quota", "ct count", "meter", "xt")
"""Statements after which a rule goes on for some packets only."""
_ALTERING: Final = ("notrack", "queue", "tproxy", "dup", "fwd", "synproxy")
_ENDS: Final = {"accept": "closed", "drop": "open", "reject": "open"}
_HARMLESS: Final = (
    *("LOG", "NFLOG", "MARK", "CONNMARK", "TRACE", "CHECKSUM", "CLASSIFY", "AUDIT", "SECMARK", "CONNSECMARK"),
)
"""Targets of iptables after which a packet is the same, and goes on to the next rule."""
_WHAT_THEN: Final = {
    frozenset(("closed",)): "the snapshot is more closed than this machine, unless what follows accepts too",
    frozenset(("open",)): "the snapshot is more open than this machine, unless what follows drops too",
    frozenset(("closed", "open")): "the snapshot may be more open or more closed than this machine",
    frozenset(("change",)): "packets stay as they are in the snapshot",
    frozenset(("translation",)): "what it translates here is not translated in the snapshot",
}
_NO_SAYING: Final = "the snapshot may be more open or more closed than this machine, or translate otherwise"

Key = tuple[str, str, str]
"""Family, table and chain."""
Expression = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain and its rules, each a list of expressions."""

    key: Key
    rules: list[list[Expression]] = field(default_factory=list)
    policy: str = "accept"
    priority: int = 0

    @property
    def name(self) -> str:
        """The chain in words."""
        return f"table {self.key[0]} {self.key[1]}, chain {self.key[2]}"


@dataclass(frozen=True, slots=True)
class Tables:
    """All chains, and what reads the conditions of a table: its key has no chain."""

    chains: Mapping[Key, Chain]
    conditions: Mapping[Key, Conditions]

    def reader(self, chain: Chain) -> Conditions:
        """Return what reads the conditions in a chain."""
        return self.conditions[(*chain.key[:2], "")]

    def target(self, chain: Chain, name: str) -> Chain:
        """Return the chain of the same table that a jump leads to."""
        return self.chains[(*chain.key[:2], name)]

    def effects(self, chain: Chain, rule: Iterable[Expression], seen: frozenset[str] = frozenset()) -> frozenset[str]:
        """Return what a rule can do, or what a snapshot is without it.

        That is ``closed`` for letting packets pass, ``open`` for stopping them, ``translation``, ``change`` of
        packets, ``other``; nothing for a jump to where nothing is done.
        """
        found: set[str] = set()
        for each in rule:
            ((kind, value),) = each.items()
            if kind in ("jump", "goto"):
                name = value["target"]
                inner = self.target(chain, name).rules if name not in seen else []
                found = found.union(*(self.effects(chain, one, seen | {name}) for one in inner))
                found |= {"other"} if kind == "goto" else set()
            elif kind == "vmap":
                found = found.union(*(self.effects(chain, [one], seen) for _, one in self._entries(chain, value)))
            elif kind in TRANSLATIONS:
                found.add("translation")
            elif kind == "mangle":
                found |= {"change"} if alters(each) else set()
            elif kind in _ENDS:
                found.add(_ENDS[kind])
            elif (kind == "return" and not seen) or alters(each):
                found.add("other")
        return frozenset(found)

    def _entries(self, chain: Chain, vmap: Mapping[str, Any]) -> list[Any]:
        return self.reader(chain).elements(vmap["data"])

    def left_out(self, chain: Chain, rule: Sequence[Expression], reason: str, *, translating: bool) -> str:
        """Return the remark on a rule that cannot be said."""
        effects = self.effects(chain, rule)
        then = _NO_SAYING if translating and effects == {"closed"} else _WHAT_THEN.get(effects, _NO_SAYING)
        return f"{chain.name}: `{rule_words(rule)}` is left out, a site file cannot say {reason}: {then}"


def kind_of(expression: Expression) -> str:
    """Return what an expression is."""
    return next(iter(expression))


def alters(expression: Expression) -> bool:
    """Tell whether a statement changes a packet or its way, apart from verdicts and translations."""
    ((kind, value),) = expression.items()
    if kind == "mangle":
        return not {"meta", "ct"} & set(value["key"])
    if kind == "xt":
        return not isinstance(value, Mapping) or (value["type"] == "target" and value["name"] not in _HARMLESS)
    return kind in _ALTERING
