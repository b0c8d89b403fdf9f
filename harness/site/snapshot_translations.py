"""What nft's ``dnat``, ``snat``, ``masquerade`` and ``redirect`` are in a site file (libnftables-json(5)). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from canet.harness.site.snapshot_conditions import Conditions
from canet.harness.site.snapshot_network import Card
from canet.harness.site.snapshot_selection import CannotSayError, Selection
from canet.harness.site.snapshot_words import rule_words

TRANSLATIONS: Final = ("dnat", "snat", "masquerade", "redirect")
_MEANINGLESS: Final = frozenset(("flags", "type_flags"))
"""How a source port is chosen, which nothing here depends on."""

Translated = Iterator[tuple[Selection, dict[str, Any]]]


def translate(
    here: Selection,
    kind: str,
    value: Mapping[str, Any],
    conditions: Conditions,
    cards: Sequence[Card] | None,
) -> Translated:
    """Yield which of these packets get which action of a rule's table.

    ``cards`` are the interfaces that packets come in by; ``None`` for packets that are sent here.

    Raises:
        CannotSayError: a site file has no such translation.
    """
    value = {key: each for key, each in value.items() if key not in _MEANINGLESS}
    family = value.pop("family", "ip")
    if family == "ip6" or (":" in str(value.get("addr", "")) and isinstance(value["addr"], str)):
        return
    address, port = value.get("addr", ""), value.get("port", "")
    match kind, address, port:
        case "masquerade", "", "":
            yield here, {"masquerade": True}
        case "snat", str(), "" if address:
            yield here, {"snat": address}
        case "dnat", str(), int() | "" if address or port:
            yield here, {"dnat": _target(address, port)}
        case "dnat", {"map": mapped}, "":
            yield from _mapped(here, mapped, conditions)
        case "redirect", "", int() | "":
            yield from _redirected(here, port, cards)
        case _:
            raise CannotSayError(rule_words([{kind: value}]))


def _target(address: str, port: int | str) -> str:
    return address if port == "" else f"{address}:{port}"


def _mapped(here: Selection, mapped: Mapping[str, Any], conditions: Conditions) -> Translated:
    for key, to in conditions.elements(mapped["data"]):
        parts = to["concat"] if isinstance(to, Mapping) else [to]
        match = {"op": "==", "left": mapped["key"], "right": {"set": [key]}}
        for each in conditions.narrow(here, match):
            yield each, {"dnat": ":".join(str(part) for part in parts)}


def _redirected(here: Selection, port: int | str, cards: Sequence[Card] | None) -> Translated:
    """Redirect to this machine: the first address of the interface, or the loopback's (nf_nat_redirect_ipv4)."""
    if cards is None:
        yield here, {"dnat": _target("127.0.0.1", port)}
        return
    for card in cards:
        one = here.only("iif", frozenset((card.name,)))
        if one is not None and card.addresses:
            yield one, {"dnat": _target(card.addresses[0].partition("/")[0], port)}
