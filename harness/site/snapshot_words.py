"""Expressions of nft's JSON (libnftables-json(5)) in words, as ``nft list ruleset`` writes them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SILENT = ("counter", "log", "comment", "last")
_COMPARISONS = {"==": "", "in": "", "!": "! "}


def rule_words(expressions: Sequence[Mapping[str, Any]]) -> str:
    """Write the expressions of a rule that matter.

    >>> rule_words([{"match": {"op": "!=", "left": {"ct": {"key": "mark"}}, "right": 7}}, {"accept": None}])
    'ct mark != 7 accept'
    """
    return " ".join(statement(each) for each in expressions if next(iter(each)) not in SILENT)


def statement(expression: Mapping[str, Any]) -> str:
    """Write a condition or an action."""
    ((kind, value),) = expression.items()
    match kind:
        case "match":
            operator = _COMPARISONS.get(value.get("op", "=="), f"{value.get('op')} ")
            operator = "== " if not operator and "&" in value["left"] else operator
            return f"{left(value['left'])} {operator}{right(value['right'])}"
        case "vmap":
            return f"{left(value['key'])} vmap {right(value['data'])}"
        case "jump" | "goto":
            return f"{kind} {value['target']}"
        case "limit":
            return f"limit rate {'over ' if value.get('inv') else ''}{value.get('rate')}/{value.get('per')}"
        case "mangle":
            return f"{left(value['key'])} set {right(value['value'])}"
        case "reject":
            return " ".join(["reject", *(str(value[each]) for each in ("type", "expr") if value and each in value)])
        case "dnat" | "snat" | "redirect" | "masquerade" | "tproxy":
            return f"{kind}{_target(value or {})}"
        case "xt":
            return f"{value['name']} (of iptables)" if isinstance(value, Mapping) else "a part of iptables"
        case "set":
            return f"{value.get('op', 'add')} {value.get('set')} {{ {left(value['elem'])} }}"
    return kind if not isinstance(value, str | int) else f"{kind} {value}"


def _target(value: Mapping[str, Any]) -> str:
    address = f" to {right(value['addr'])}" if "addr" in value else ""
    port = f":{right(value['port'])}" if "port" in value else ""
    return address + (port if address or not port else f" to {port}")


def left(value: Any) -> str:
    """Write what is looked at.

    >>> left({"payload": {"protocol": "udp", "field": "dport"}})
    'udp dport'
    """
    if not isinstance(value, Mapping):
        return right(value)
    kind: str
    ((kind, inner),) = value.items()
    match kind:
        case "payload":
            return f"{inner['protocol']} {inner['field']}" if "protocol" in inner else "raw bytes"
        case "meta" | "ct" | "rt" | "socket":
            direction = f" {inner['dir']}" if "dir" in inner else ""
            return f"{kind}{direction} {inner['key']}"
        case "fib":
            return f"fib {' . '.join(inner.get('flags', ()))} {inner['result']}"
        case "numgen":
            return f"numgen {inner['mode']} mod {inner['mod']}"
        case "concat":
            return " . ".join(left(each) for each in inner)
        case "&" | "|" | "^" | "<<" | ">>":
            return f" {kind} ".join(left(each) if isinstance(each, Mapping) else right(each) for each in inner)
    return kind


def right(value: Any) -> str:
    """Write what it is compared with.

    >>> right({"set": [{"range": [5064, 5065]}, {"prefix": {"addr": "10.0.0.0", "len": 8}}]})
    '{ 5064-5065, 10.0.0.0/8 }'
    """
    if isinstance(value, list):
        return ",".join(right(each) for each in value)
    if not isinstance(value, Mapping):
        return ("exists" if value else "missing") if isinstance(value, bool) else str(value)
    ((kind, inner),) = value.items()
    match kind:
        case "set":
            return "{ " + ", ".join(_element(each) for each in inner) + " }"
        case "range":
            return f"{right(inner[0])}-{right(inner[1])}"
        case "prefix":
            return f"{inner['addr']}/{inner['len']}"
        case "concat":
            return " . ".join(right(each) for each in inner)
        case "elem":
            return right(inner["val"])
        case "map":
            return f"{left(inner['key'])} map {right(inner['data'])}"
    return left(value)


def _element(value: Any) -> str:
    if isinstance(value, list):
        key, data = value
        return (
            f"{right(key)} : {statement(data) if isinstance(data, Mapping) and 'concat' not in data else right(data)}"
        )
    return right(value)
