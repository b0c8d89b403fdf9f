"""The chains of one hook as a plain list of rules, of which the first that matches decides.

What a jump asks for is asked of each rule of the chain it leads to. A packet that leaves a chain early (``return``,
``goto``, ``accept`` with more base chains behind) takes with it, as rules of its own, all that it meets afterwards;
so nothing needs to be told by "all others". The rules of the walk are those of nft(8) and nf_tables_core.c. Pure.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from canet.harness.site.snapshot_conditions import Conditions
from canet.harness.site.snapshot_effects import LIMITING, VERDICTS, Chain, Expression, Tables, alters, kind_of
from canet.harness.site.snapshot_network import Card
from canet.harness.site.snapshot_selection import ALL_ADDRESSES, CannotSayError, Ranges, Selection, without
from canet.harness.site.snapshot_translations import TRANSLATIONS, Translated, translate
from canet.harness.site.snapshot_words import rule_words

_MORE_OPEN: Final = "the snapshot is more open than this machine"
MOST_RULES: Final = 2000
"""A site file with more rules of one hook than this is no description."""
_FEW: Final = 16
"""With so many rules it is better to say who stays than to follow those who leave."""
MOST_STEPS: Final = 20_000
_TRACKING: Final = -200
"""Priority of connection tracking (NF_IP_PRI_CONNTRACK)."""


class TooManyRulesError(ValueError):
    """The chains of a hook need more rules than anyone would read."""


@dataclass(frozen=True, slots=True)
class Place:
    """A rule that comes next; then ``after``, which is the number of a base chain at the bottom."""

    chain: Chain
    index: int
    after: Place | int


@dataclass(slots=True)
class Walk:
    """Follows packets through the base chains of a hook and writes down what decides them."""

    hook: str
    bases: Sequence[Chain]
    tables: Tables
    everything: Selection
    cards: Sequence[Card] = ()
    ours: Ranges = ALL_ADDRESSES
    """Addresses that packets have which this machine takes in."""
    translating: bool = False
    rules: list[dict[str, Any]] = field(default_factory=list)
    policy: str = "accept"
    remarks: list[str] = field(default_factory=list)
    _spared: list[Selection] = field(default_factory=list)
    """What a nat chain lets alone: later translations do not mean it."""
    _shadows: list[Selection] = field(default_factory=list)
    """What the rules until now decide for sure."""
    _steps: int = 0

    def run(self) -> Walk:
        """Follow all packets.

        Raises:
            TooManyRulesError: it would be more than :data:`MOST_RULES`.
        """
        self._enter(self.everything, 0)
        return self

    def _enter(self, here: Selection, base: int) -> None:
        if base == len(self.bases):
            self._end(here, "accept")
        else:
            self._settle(here, Place(self.bases[base], 0, base))

    def _settle(self, here: Selection, place: Place | int) -> None:
        """Decide these packets for good, from a place on."""
        while isinstance(place, Place):
            if self._pass(here, place):
                return
            place = place.after
        if self.bases[place].policy == "drop":
            if self.translating:
                self._say(f"{self.bases[place].name}: its policy drop is left out: {_MORE_OPEN}")
            self._end(here, "drop")
        else:
            self._enter(here, place + 1)

    def _pass(self, here: Selection, place: Place) -> bool:
        """Follow packets to the end of a chain; tell whether all are decided before it."""
        chain, left_early = place.chain, False
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise TooManyRulesError(f"what more than {MOST_STEPS} ways through the chains lead to")
        for index in range(place.index, len(chain.rules)):
            following = Place(chain, index + 1, place.after)
            try:
                outcomes = list(self._outcomes(here, following, chain.rules[index]))
            except CannotSayError as error:
                self._leave_out(chain, chain.rules[index], error)
                continue
            for number, (piece, action) in enumerate(outcomes, 1):
                ((kind, value),) = action.items()
                if any(piece.inside(shadow) for shadow in self._shadows):
                    continue  # decided before
                if kind == "return" and len(outcomes) == 1 and piece.chance == 1:
                    staying = self._staying(here, piece)
                    if not staying:
                        return False
                    if len(staying) == 1 and staying[0].size(self.everything) <= _FEW:
                        here, left_early = staying[0], True
                        continue
                with self._whole_or_not(following):
                    if len(outcomes) == 1:
                        piece = self._simpler(piece, here, following)
                    if kind == "continue" and piece == here:
                        break
                    if kind == "return" and piece == here:
                        return False
                    if self._act(piece, kind, value, following):
                        if piece == here:
                            return not left_early
                        continue
                if any(piece.meet(other) for other, _ in outcomes[number:]):
                    with self._whole_or_not(following):
                        self._settle(piece, following)  # what a map has for all others is not for these
        return False

    @contextlib.contextmanager
    def _whole_or_not(self, following: Place) -> Iterator[None]:
        """Write what a rule leads to, or nothing of it and a remark."""
        written = len(self.rules), len(self._spared), len(self._shadows)
        try:
            yield
        except CannotSayError as error:
            del self.rules[written[0] :], self._spared[written[1] :], self._shadows[written[2] :]
            self._leave_out(following.chain, following.chain.rules[following.index - 1], error)

    def _staying(self, here: Selection, leaving: Selection) -> list[Selection]:
        """Return the packets that do not leave the chain, of those that can come here at all."""
        return self._possible(here.minus(leaving))

    def _possible(self, pieces: Iterable[Selection]) -> list[Selection]:
        """Leave out what never comes to this hook, where that makes it shorter: other machines' packets at input."""
        found = []
        for each in pieces:
            possible = each.only("daddr", self.ours) if self.hook == "input" else each
            if possible is not None:
                found.append(min(each, possible, key=lambda one: one.size(self.everything)))
        return found

    def _simpler(self, piece: Selection, here: Selection, following: Place) -> Selection:
        """Decide those that a condition with ``!=`` excludes, where few rules say it, and return all others with them.

        So "not from 10.1.0.0/16" need not be the twenty networks besides.
        """
        if self.translating or piece.chance < 1:
            return piece
        for dimension in ("saddr", "daddr", "iif", "oif"):
            all_of_them = getattr(here, dimension)
            excluded = without(all_of_them, getattr(piece, dimension))
            hole = replace(piece, **{dimension: excluded})  # type: ignore[arg-type]  # by name
            if excluded and hole.size(self.everything) + 1 < piece.size(self.everything):
                self._settle(hole, following)
                piece = replace(piece, **{dimension: all_of_them})
        return piece

    def _act(self, piece: Selection, kind: str, value: Any, following: Place) -> bool:
        """Do what a rule says with the packets it is about; tell whether that decides them."""
        chain, last = following.chain, _base(following) + 1 == len(self.bases)
        if piece.chance < 1 and kind not in ("drop", "reject", *TRANSLATIONS) and not (kind == "accept" and last):
            raise CannotSayError("a chance on the way to other rules")
        if kind == "accept":
            self._enter(piece, _base(following) + 1)
        elif kind == "return":
            self._settle(piece, following.after)
        elif kind == "continue":
            self._settle(piece, following)
        elif kind in ("jump", "goto"):
            target = self.tables.target(chain, value["target"])
            after: Place | int = following if kind == "jump" else following.after
            decided = self._pass(piece, Place(target, 0, after))
            if kind == "jump" or decided:
                return decided
            self._settle(piece, following.after)
        elif kind in ("drop", "reject"):
            if self.translating:
                raise CannotSayError("a verdict among translations")
            if kind == "reject" and value and value.get("expr") != "port-unreachable":
                answer = value.get("expr", value.get("type"))
                self._say(f"{chain.name}: it rejects with {answer}, the snapshot with port-unreachable")
            self._write(piece, {"verdict": kind})
        else:
            for narrower, table in self._translated(piece, kind, value or {}, following):
                self._write(narrower, table)
        return True

    def _end(self, here: Selection, verdict: str) -> None:
        if self.translating:
            if here.chance < 1:
                raise CannotSayError("a chance not to be translated")
            if here != self.everything:
                self._spared.append(here)
        elif here == self.everything and self.hook in ("input", "forward", "output"):
            self.policy = verdict
        elif here != self.everything or verdict != "accept":
            self._write(here, {"verdict": verdict})

    def _write(self, here: Selection, action: dict[str, Any]) -> None:
        pieces = [here]
        for spared in self._spared:
            pieces = [piece for each in pieces for piece in each.minus(spared)]
        for each in pieces:
            if any(each.inside(shadow) for shadow in self._shadows):
                continue
            tables = list(each.tables(self.everything))
            if self.hook != "output" and any("uid" in table for table in tables):
                raise CannotSayError("users of what is not just being sent")
            if len(self.rules) + len(tables) > MOST_RULES:
                raise TooManyRulesError(f"more than {MOST_RULES} rules")
            self.rules += [{"hook": self.hook, **table, **action} for table in tables]
            if each.chance == 1:
                self._shadows.append(each)

    def _outcomes(
        self, here: Selection, following: Place, rule: Sequence[Expression]
    ) -> Iterator[tuple[Selection, Expression]]:
        """Yield what a rule does with which of these packets, first come, first served."""
        number = next((n for n, each in enumerate(rule) if kind_of(each) in VERDICTS or alters(each)), None)
        if number is None:
            return
        conditions = self._conditions(following)
        pieces, unsaid = [here], [statement for statement in rule[:number] if kind_of(statement) in LIMITING]
        reasons = [rule_words([each]) for each in unsaid if kind_of(each) != "xt" or each["xt"]["name"] != "comment"]
        for each in rule[:number]:
            if kind_of(each) != "match":
                continue
            try:
                pieces = [found for piece in pieces for found in conditions.narrow(piece, each["match"])]
            except CannotSayError as error:
                reasons.append(str(error))
        pieces = self._possible(each for each in pieces if each.chance > 0)
        if not pieces or not self.tables.effects(following.chain, rule[number:]):
            return
        if alters(rule[number]):
            reasons.append(rule_words(rule[number:]))
        if reasons:
            raise CannotSayError(" and ".join(dict.fromkeys(reasons)))
        if kind_of(rule[number]) != "vmap":
            yield from ((piece, rule[number]) for piece in pieces)
            return
        key, data = rule[number]["vmap"]["key"], rule[number]["vmap"]["data"]
        present = [found for piece in pieces if (found := conditions.having(piece, key))]
        for value, verdict in conditions.elements(data):
            match = {"op": "==", "left": key, "right": {"set": [value]}}
            for piece in present:
                narrower = [piece] if value == "*" else conditions.narrow(piece, match)
                yield from ((each, verdict) for each in narrower)

    def _translated(self, piece: Selection, kind: str, value: Mapping[str, Any], following: Place) -> Translated:
        cards = None if self.hook == "output" else self.cards
        return translate(piece, kind, value, self._conditions(following), cards)

    def _conditions(self, place: Place) -> Conditions:
        """Return the reader for a place: before connection tracking a packet has no state yet."""
        found = self.tables.reader(place.chain)
        return found if self.bases[_base(place)].priority > _TRACKING else replace(found, tracked=False)

    def _leave_out(self, chain: Chain, rule: Sequence[Expression], error: CannotSayError) -> None:
        self._say(self.tables.left_out(chain, rule, str(error), translating=self.translating))

    def _say(self, remark: str) -> None:
        if remark not in self.remarks:
            self.remarks.append(remark)


def _base(place: Place | int) -> int:
    while isinstance(place, Place):
        place = place.after
    return place
