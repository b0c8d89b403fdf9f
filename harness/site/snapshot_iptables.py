"""Rules that iptables wrote, in the form of nft's JSON: which names the extensions of iptables, not what they ask for.

iptables-save(8) prints them in full and in the same order, for both of its kinds: the one whose rules nft lists too
(``nf_tables``), and the older one whose rules only the kernel's ``ip_tables`` knows.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

Expression = dict[str, Any]

_PRIORITIES: Final = {"raw": -300, "mangle": -150, "filter": 0, "security": 50}
_STATES: Final = ("NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED")
_SILENT: Final = (
    *("--log-prefix", "--log-level", "--log-tcp-options", "--log-ip-options", "--comment", "--mode", "--limit-burst"),
    *("--random", "--random-fully", "--persistent"),
)
"""Options after which nothing is different."""
_TOLD_BY_OPTIONS: Final = (
    *("tcp", "udp", "icmp", "comment", "conntrack", "state", "multiport", "addrtype", "iprange", "owner"),
    *("statistic", "limit"),
)
"""Extensions that ask for nothing without options."""
_TARGETS: Final = ("ACCEPT", "DROP", "RETURN", "MASQUERADE", "REDIRECT", "DNAT", "SNAT", "REJECT")


def fill_in(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return what nft lists, with the rules that have parts of iptables as iptables itself tells them."""
    if not any("xt" in part for each in entries for part in each.get("rule", {}).get("expr", ())):
        return list(entries)
    return merge(entries, _run("iptables-nft-save"))


def merge(entries: Sequence[Mapping[str, Any]], saved: str) -> list[Mapping[str, Any]]:
    """Put the rules of ``iptables-save`` in place of those that nft cannot tell, where both list as many. Pure."""
    names = {each["chain"]["name"] for each in entries if each.get("chain", {}).get("family") == "ip"}
    lines: dict[tuple[str, str], list[str]] = {}
    for table, chain, line in _lines(saved):
        lines.setdefault((table, chain), []).append(line)
    count: dict[tuple[str, str], int] = {}
    for each in entries:
        if each.get("rule", {}).get("family") == "ip":
            key = each["rule"]["table"], each["rule"]["chain"]
            count[key] = count.get(key, 0) + 1
    seen: dict[tuple[str, str], int] = {}
    found = []
    for each in entries:
        rule = each.get("rule")
        if rule and rule.get("family") == "ip":
            key = rule["table"], rule["chain"]
            seen[key] = seen.get(key, 0) + 1
            told = lines.get(key, [])
            if len(told) == count[key] and any("xt" in part for part in rule["expr"]):
                each = {"rule": {**rule, "expr": expressions(told[seen[key] - 1], names)}}
        found.append(each)
    return found


def legacy() -> tuple[list[Mapping[str, Any]], list[str]]:
    """Return the tables of the older iptables as nft would list them, and a remark where they cannot be read."""
    try:
        names = Path("/proc/thread-self/net/ip_tables_names").read_text(encoding="ascii").split()
    except OSError:
        return [], []  # no such module, or no right to know
    if not names:
        return [], []
    saved = _run("iptables-legacy-save")
    if not saved:
        return [], [f"rules of iptables-legacy are not read ({', '.join(names)}): no iptables-legacy-save here"]
    return tables(saved), []


def tables(saved: str) -> list[Mapping[str, Any]]:
    """Turn the output of ``iptables-save`` into the entries that nft would list. Pure."""
    found: list[Mapping[str, Any]] = []
    table, names = "", set()
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
            found.append({"table": {"family": "ip", "name": f"legacy {table}"}})
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            names.add(name)
            chain: dict[str, Any] = {"family": "ip", "table": f"legacy {table}", "name": name}
            if policy != "-":
                late = 100 if name == "POSTROUTING" else -100
                priority = late if table == "nat" else _PRIORITIES.get(table, 0)
                kind = "nat" if table == "nat" else "filter"
                chain |= {"hook": name.lower(), "type": kind, "prio": priority, "policy": policy.lower()}
            found.append({"chain": chain})
    for table, name, line in _lines(saved):
        expr = expressions(line, names)
        found.append({"rule": {"family": "ip", "table": f"legacy {table}", "chain": name, "expr": expr}})
    return found


def _run(program: str) -> str:
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        return ""
    done = subprocess.run([path], capture_output=True, text=True, timeout=20, check=False)
    return done.stdout if done.returncode == 0 else ""


def _lines(saved: str) -> Iterator[tuple[str, str, str]]:
    """Yield table, chain and the rest of each rule."""
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith("-A "):
            _, chain, *rest = line.split(" ", 2)
            yield table, chain, rest[0] if rest else ""


def expressions(line: str, chains: Collection[str] = ()) -> list[Expression]:
    """Turn the words of a rule of iptables into expressions of nft; ``chains`` are those that it may jump to.

    >>> expressions("-i eth0 -j ACCEPT")
    [{'match': {'op': '==', 'left': {'meta': {'key': 'iifname'}}, 'right': 'eth0'}}, {'accept': None}]
    """
    found: list[Expression] = []
    unsaid: list[str] = []
    protocol, name, going, argument = "th", "", "", ""
    for negated, option, values in _options(shlex.split(line)):
        value = values[0] if values else ""
        operator = "!=" if negated else "=="
        match option:
            case "-m":
                if value not in _TOLD_BY_OPTIONS:
                    unsaid.append(value)
            case "-p":
                protocol = value if value in ("udp", "tcp") else protocol
                found.append(_match({"meta": {"key": "l4proto"}}, value, operator))
            case "-s" | "-d":
                found.append(_match(_field("ip", {"-s": "saddr", "-d": "daddr"}[option]), _network(value), operator))
            case "-i" | "-o":
                key = {"-i": "iifname", "-o": "oifname"}[option]
                device = f"{value[:-1]}*" if value.endswith("+") else value
                found.append(_match({"meta": {"key": key}}, device, operator))
            case "--dport" | "--sport" | "--dports" | "--sports":
                ports = {"set": [_ports(each) for each in value.split(",")]} if "," in value else _ports(value)
                found.append(_match(_field(protocol, option[2:7]), ports, operator))
            case "--ctstate" | "--state" if set(value.split(",")) <= set(_STATES):
                states = {"set": value.lower().split(",")}
                found.append(_match({"ct": {"key": "state"}}, states, operator))
            case "--dst-type" | "--src-type":
                flag = {"--dst-type": "daddr", "--src-type": "saddr"}[option]
                kinds = {"set": value.lower().split(",")}
                found.append(_match({"fib": {"result": "type", "flags": [flag]}}, kinds, operator))
            case "--src-range" | "--dst-range":
                end = {"--src-range": "saddr", "--dst-range": "daddr"}[option]
                found.append(_match(_field("ip", end), {"range": value.split("-")}, operator))
            case "--uid-owner" if value.isdecimal():
                found.append(_match({"meta": {"key": "skuid"}}, int(value), operator))
            case "--probability" if not negated:
                numgen = {"mode": "random", "mod": 2**31, "offset": 0}
                found.append(_match({"numgen": numgen}, round(float(value) * 2**31), "<"))
            case "-j" | "-g":
                name, going = value, option
            case "--to-destination" | "--to-source" | "--to-ports" | "--reject-with":
                argument = value
            case _ if option in _SILENT:
                continue
            case _:
                unsaid += [*(["!"] if negated else []), option, *values]
    if unsaid:
        found.append({"xt": {"type": "match", "name": " ".join(unsaid)}})
    if name in chains:
        found.append({"goto" if going == "-g" else "jump": {"target": name}})
    elif name in _TARGETS:
        found.append({name.lower(): _argument(name, argument)})
    elif name:
        found.append({"xt": {"type": "target", "name": name}})
    return found


def _options(words: Sequence[str]) -> Iterator[tuple[bool, str, list[str]]]:
    negated, option, values = False, "", list[str]()
    for word in [*words, "-"]:
        if word == "!" or (word.startswith("-") and not word[1:2].isdigit()):
            if option:
                yield negated, option, values
                negated, option, values = False, "", []
            negated, option = (True, option) if word == "!" else (negated, word)
        else:
            values.append(word)


def _field(protocol: str, name: str) -> Expression:
    return {"payload": {"protocol": protocol, "field": name}}


def _match(left: Expression, right: Any, operator: str) -> Expression:
    return {"match": {"op": operator, "left": left, "right": right}}


def _network(text: str) -> Any:
    address, _, length = text.partition("/")
    return {"prefix": {"addr": address, "len": int(length)}} if length.isdecimal() else text


def _ports(text: str) -> Any:
    first, colon, last = text.partition(":")
    return {"range": [int(first or 0), int(last or 65535)]} if colon else int(first)


def _argument(target: str, text: str) -> Any:
    """Return what nft's JSON says about a target; ``text`` is what follows its option."""
    if not text:
        return None
    if target == "REJECT":
        return {"type": "tcp reset"} if text == "tcp-reset" else {"type": "icmp", "expr": text.removeprefix("icmp-")}
    address, _, port = (":" + text if target in ("REDIRECT", "MASQUERADE") else text).partition(":")
    found: dict[str, Any] = {}
    if address:
        found["addr"] = {"range": address.split("-")} if "-" in address else address
    if port:
        found["port"] = int(port) if port.isdecimal() else {"range": port.split("-")}
    return found
