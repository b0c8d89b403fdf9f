"""Read a firewall's rules from nft's own JSON as far as a site file can say them; the rest becomes remarks."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

HOOKS = ("prerouting", "input", "forward", "output", "postrouting")


def read_rules() -> tuple[list[dict[str, Any]], dict[str, str], list[str]]:
    """Return rules, policies and remarks of this machine; nothing where ``nft`` is missing or may not be asked."""
    nft = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
    if nft is None:
        return [], {}, ["firewall rules are not read: there is no program nft here"]
    done = subprocess.run([nft, "-j", "list", "ruleset"], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        return [], {}, [f"firewall rules are not read: nft says {done.stderr.strip() or done.returncode}"]
    return convert(json.loads(done.stdout))


def convert(ruleset: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str], list[str]]:
    """Turn a ruleset (libnftables-json(5)) into rules, policies and remarks on what cannot be said.

    >>> convert({"nftables": [{"chain": {"table": "t", "name": "i", "hook": "input", "policy": "drop"}}]})
    ([], {'input': 'drop'}, [])
    """
    rules: list[dict[str, Any]] = []
    policies: dict[str, str] = {}
    remarks: list[str] = []
    hooks: dict[tuple[str, str], str] = {}
    for each in ruleset.get("nftables", ()):
        chain, rule = each.get("chain"), each.get("rule")
        if chain and chain.get("hook") in HOOKS:
            hooks[chain["table"], chain["name"]] = chain["hook"]
            if chain.get("policy") == "drop" and chain["hook"] in ("input", "forward", "output"):
                policies[chain["hook"]] = "drop"
        elif rule:
            hook = hooks.get((rule["table"], rule["chain"]))
            if hook is None:
                remarks.append(f"rules of the chain {rule['chain']} are left out: it has no hook of its own")
                continue
            try:
                rules.append({"hook": hook, **dict(_parts(rule.get("expr", ())))})
            except (KeyError, ValueError, TypeError) as error:
                remarks.append(f"a rule in {rule['chain']} is left out, it cannot be said here: {error}")
    return rules, policies, list(dict.fromkeys(remarks))


def _parts(expressions: Any) -> Iterator[tuple[str, Any]]:
    for each in expressions:
        ((kind, value),) = each.items()
        if kind == "match":
            yield from _match(value)
        elif kind in ("accept", "drop"):
            yield "verdict", kind
        elif kind == "reject":
            yield "verdict", "reject"
        elif kind == "masquerade":
            yield "masquerade", True
        elif kind == "dnat":
            port = f":{value['port']}" if "port" in value else ""
            yield "dnat", f"{value['addr']}{port}"
        elif kind == "snat":
            yield "snat", str(value["addr"])
        elif kind not in ("counter", "log", "comment"):
            raise ValueError(f"{kind} is not known")


def _match(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if value.get("op", "==") not in ("==", "in"):
        raise ValueError(f"the comparison {value['op']}")
    left, right = value["left"], value["right"]
    payload, meta = left.get("payload"), left.get("meta")
    if payload and payload["field"] in ("dport", "sport"):
        yield "proto", payload["protocol"]
        yield payload["field"], _ports(right)
    elif payload and payload["field"] in ("saddr", "daddr"):
        prefix = right.get("prefix") if isinstance(right, Mapping) else None
        yield payload["field"], f"{prefix['addr']}/{prefix['len']}" if prefix else str(right)
    elif meta and meta["key"] in ("iifname", "iif", "oifname", "oif"):
        yield meta["key"][:3], str(right)
    elif meta and meta["key"] == "l4proto":
        yield "proto", str(right)
    elif left.get("ct", {}).get("key") == "state":
        states = (
            right if isinstance(right, list) else right.get("set", right) if isinstance(right, Mapping) else [right]
        )
        yield "ct", list(states)
    else:
        raise ValueError(f"a condition on {left}")


def _ports(right: Any) -> Any:
    if isinstance(right, Mapping) and "range" in right:
        first, last = right["range"]
        return f"{first}-{last}"
    return int(right)
