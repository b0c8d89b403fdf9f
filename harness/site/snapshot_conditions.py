"""What a condition of nft's JSON selects (libnftables-json(5), nft(8)), as :class:`Selection`. Pure.

A condition holds for packets of its protocol only, also with ``!=``: nft tests the protocol first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from canet.harness.site.snapshot_network import Card
from canet.harness.site.snapshot_selection import (
    ALL_PORTS,
    ALL_USERS,
    NOWHERE,
    PROTOCOLS,
    STATES,
    CannotSayError,
    Ranges,
    Selection,
    Values,
    ranges,
    without,
)
from canet.harness.site.snapshot_words import left as words_of
from canet.harness.site.snapshot_words import statement

_NUMBERS: Final = {"1": "icmp", "6": "tcp", "17": "udp"}
_FOREIGN: Final = ("ip6", "icmpv6", "igmp", "sctp", "dccp", "esp", "ah", "comp", "udplite", "arp")
"""Protocols whose fields no IPv4 packet of udp, tcp or icmp has."""
_DEVICES: Final = {"iifname": "iif", "iif": "iif", "oifname": "oif", "oif": "oif"}


def network_range(address: str, length: int) -> tuple[int, int]:
    """Return first and last address of a network, as numbers."""
    network = IPv4Network((address, length), strict=False)
    return int(network.network_address), int(network.broadcast_address)


def kinds_of_addresses(cards: Iterable[Card]) -> dict[str, Ranges]:
    """Return which addresses are of which kind to this machine, as ``fib … type`` tells them.

    From the machine's own addresses (fib_add_ifaddr in net/ipv4/fib_frontend.c, inet_addr_type). All of a
    loopback's network counts as local, its broadcast address too: what is sent there reaches this machine alone.
    """
    local, broadcast = [], [(0, 2**24 - 1), (2**32 - 1, 2**32 - 1)]
    for card in cards:
        for text in card.addresses if card.up else ():
            head, *rest = text.split()
            address, _, length = head.partition("/")
            first, last = network_range(address, int(length or 32))
            if card.loopback:
                local.append((first, last))
                continue
            local.append(network_range(address, 32))
            if int(length or 32) < 31:
                broadcast.append((last, last))
            broadcast += [
                network_range(each, 32)
                for key, each in zip(rest[::2], rest[1::2], strict=False)
                if key == "brd" and each not in ("none", "+")
            ]
    kinds: dict[str, Values] = {"broadcast": ranges(*broadcast), "multicast": (network_range("224.0.0.0", 4),)}
    kinds["local"] = without(ranges(*local), kinds["broadcast"])
    rest_of_all: Values = ((0, 2**32 - 1),)
    for each in list(kinds.values()):
        rest_of_all = without(rest_of_all, each)
    kinds["unicast"] = rest_of_all
    return {key: value for key, value in kinds.items() if not isinstance(value, frozenset)}


@dataclass(slots=True)
class Conditions:
    """Reads the conditions of one table."""

    devices: tuple[str, ...] = ("lo",)
    """The interfaces that a rule can be about."""
    kinds: Mapping[str, Ranges] = field(default_factory=dict)
    sets: dict[str, list[Any]] = field(default_factory=dict)
    """Elements of the table's named sets and maps."""
    translates: bool = True
    """Connections may have been given another destination."""
    tracked: bool = True
    """The chain comes after connection tracking has looked at a packet."""
    strangers: set[str] = field(default_factory=set)
    """Interfaces that were named and are none of ours."""
    protocols: set[str] = field(default_factory=set)
    """Protocols that were named and that a site file has no word for."""

    def narrow(self, here: Selection, match: Mapping[str, Any]) -> list[Selection]:
        """Return those packets of ``here`` for which a ``match`` holds; several selections are alternatives.

        Raises:
            CannotSayError: with what it is that a site file cannot say.
        """
        try:
            return self._narrow(here, match)
        except CannotSayError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CannotSayError(statement({"match": match})) from None

    def _narrow(self, here: Selection, match: Mapping[str, Any]) -> list[Selection]:
        left, right, operator = match["left"], match["right"], match.get("op", "==")
        if isinstance(left, Mapping) and "concat" in left:
            return self._joined(here, left["concat"], self.elements(right), operator)
        base = self.having(here, left)
        if base is None:
            return []
        known = self._constant(left, self.elements(right))
        if known is not None:
            return [base] if known == (operator != "!=") else []
        if "numgen" in left:
            return [replace(base, chance=base.chance * self._fraction(left["numgen"], operator, right))]
        if operator in ("<", ">", "<=", ">="):
            dimension, values = self._below(left, operator, right)
        else:
            elements = self.elements(right)
            if operator in ("==", "!=") and isinstance(right, list) and len(right) > 1:
                raise CannotSayError("several bits at once")
            dimension, values = self._union(left, elements)
            if operator in ("!=", "!"):
                values = without(getattr(base, dimension), values)
        found = base.only(dimension, values)
        return [found] if found else []

    def elements(self, right: Any) -> list[Any]:
        """Return the values that a condition compares with."""
        if isinstance(right, str) and right.startswith("@"):
            if right[1:] not in self.sets:
                raise CannotSayError(f"the set {right}")
            right = self.sets[right[1:]]
        elif isinstance(right, Mapping) and "set" in right:
            right = right["set"]
        return [each["elem"]["val"] if isinstance(each, Mapping) and "elem" in each else each for each in _list(right)]

    def _joined(self, here: Selection, lefts: list[Any], elements: list[Any], operator: str) -> list[Selection]:
        base = self.having(here, {"concat": lefts})
        if base is None:
            return []
        boxes = []
        for element in elements:
            box: Selection | None = base
            for left, value in zip(lefts, element["concat"], strict=True):
                known = self._constant(left, [value])
                if known is None and box is not None:
                    box = box.only(*self._union(left, [value]))
                elif known is False:
                    box = None
            if box is not None:
                boxes.append(box)
        if operator != "!=":
            return boxes
        pieces = [base]
        for box in boxes:
            pieces = [piece for each in pieces for piece in each.minus(box)]
        return pieces

    def having(self, here: Selection, left: Mapping[str, Any]) -> Selection | None:
        """Return the packets that have a field at all, or all of several; ``None`` where there are none."""
        found: Selection | None = here
        for each in left.get("concat", ()):
            found = self.having(found, each) if found else None
        if found is None:
            return None
        payload = left.get("payload", {})
        for each in left.get("&", ()):
            payload = each.get("payload", payload) if isinstance(each, Mapping) else payload
        protocol = payload.get("protocol")
        if protocol in PROTOCOLS:
            return found.only("proto", frozenset((protocol,)))
        if protocol == "th":
            return found.only("proto", frozenset(("udp", "tcp")))
        return None if protocol in _FOREIGN else found

    def _constant(self, left: Mapping[str, Any], elements: list[Any]) -> bool | None:
        """Tell whether it holds for each IPv4 packet, or for none; ``None``: that depends."""
        payload, meta, ct = left.get("payload", {}), left.get("meta", {}), left.get("ct", {})
        if meta.get("key") in ("nfproto", "protocol"):
            return any(str(each) in ("ipv4", "ip", "2", "8") for each in elements)
        if payload.get("protocol") == "ip" and payload.get("field") == "version":
            return 4 in elements
        if payload.get("protocol") == "ether" and payload.get("field") == "type":
            return "ip" in elements
        if ct.get("key") == "status" and elements == ["dnat"] and not self.translates:
            return False
        return None

    def _union(self, left: Mapping[str, Any], elements: list[Any]) -> tuple[str, Values]:
        dimension = self._dimension(left)
        if dimension in ("iif", "oif"):
            return dimension, frozenset(name for each in elements for name in self._named(str(each)))
        if dimension == "proto":
            return dimension, frozenset(name for each in elements for name in self._protocol(each))
        if dimension == "ct":
            return dimension, frozenset(str(each) for each in elements) & frozenset(STATES)
        if "fib" in left:
            unknown = [str(each) for each in elements if each not in self.kinds]
            if unknown:
                raise CannotSayError(f"addresses of the kind {', '.join(unknown)}")
            return dimension, ranges(*(pair for each in elements for pair in self.kinds[each]))
        return dimension, ranges(*(_pair(dimension, each) for each in elements))

    def _dimension(self, left: Mapping[str, Any]) -> str:
        ((kind, inner),) = left.items()
        match kind, inner:
            case "payload", {"protocol": "udp" | "tcp" | "th", "field": "sport" | "dport" as found}:
                return str(found)
            case "payload", {"protocol": "ip", "field": "saddr" | "daddr" as found}:
                return str(found)
            case "payload", {"protocol": "ip", "field": "protocol"}:
                return "proto"
            case "meta", {"key": "l4proto"}:
                return "proto"
            case "meta", {"key": "skuid"}:
                return "uid"
            case "meta", {"key": str(key)} if key in _DEVICES:
                return _DEVICES[key]
            case "ct", {"key": "state"} if self.tracked:
                return "ct"
            case "fib", {"result": "type", "flags": [("saddr" | "daddr") as found]}:
                return str(found)
            case "fib", {"result": "type", "flags": ("saddr" | "daddr") as found}:
                return str(found)
        raise CannotSayError(words_of(left))

    def _named(self, pattern: str) -> Iterator[str]:
        names = [
            each
            for each in self.devices
            if each == pattern or (pattern[-1:] == "*" and each[: len(pattern) - 1] == pattern[:-1])
        ]
        if not names and pattern != NOWHERE:
            self.strangers.add(pattern)
        yield from names or ([NOWHERE] if pattern == NOWHERE else [])

    def _protocol(self, value: Any) -> Iterator[str]:
        name = _NUMBERS.get(str(value), str(value))
        if name in PROTOCOLS:
            yield name
        elif name not in _FOREIGN and name != "ipv6-icmp":
            self.protocols.add(name)

    def _below(self, left: Mapping[str, Any], operator: str, right: Any) -> tuple[str, Values]:
        dimension = self._dimension(left)
        if dimension not in ("sport", "dport", "saddr", "daddr", "uid"):
            raise CannotSayError(f"{words_of(left)} {operator} …")
        number = _pair(dimension, right)[0]
        first, last = (ALL_PORTS if dimension in ("sport", "dport") else ALL_USERS)[0]
        return dimension, ranges(
            {
                "<": (first, number - 1),
                "<=": (first, number),
                ">": (number + 1, last),
                ">=": (number, last),
            }[operator]
        )

    @staticmethod
    def _fraction(numgen: Mapping[str, Any], operator: str, right: Any) -> float:
        if numgen["mode"] != "random" or operator not in ("<", ">=") or not isinstance(right, int):
            raise CannotSayError(f"numgen {numgen['mode']} {operator}")
        share = min(1.0, max(0, right - int(numgen.get("offset", 0))) / int(numgen["mod"]))
        return share if operator == "<" else 1 - share


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _pair(dimension: str, value: Any) -> tuple[int, int]:
    if isinstance(value, Mapping):
        if "range" in value:
            first, last = value["range"]
            return _pair(dimension, first)[0], _pair(dimension, last)[1]
        if "prefix" in value and dimension in ("saddr", "daddr"):
            return network_range(value["prefix"]["addr"], value["prefix"]["len"])
    elif isinstance(value, str) and dimension in ("saddr", "daddr"):
        number = int(IPv4Address(value))
        return number, number
    elif isinstance(value, int | str) and str(value).isdecimal():
        return int(value), int(value)
    raise CannotSayError(f"the value {value}")
