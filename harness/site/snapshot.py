"""A machine, or several, as a site file: read what is there, and write it so that it can be predicted and linted.

Networks become segments by their address range, so that snapshots of several machines fit together.
"""

from __future__ import annotations

import json
import re
import socket
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from canet.harness.site.snapshot_network import Machine, read_machine
from canet.harness.site.snapshot_processes import Speaker, speakers
from canet.harness.site.snapshot_rules import read_rules
from canet.scenarios.errors import ScenarioError

CLIENT_KEYS = ("EPICS_CA_ADDR_LIST", "EPICS_CA_AUTO_ADDR_LIST", "EPICS_CA_NAME_SERVERS", "EPICS_CA_SERVER_PORT")


def take(name: str | None = None) -> dict[str, Any]:
    """Read this machine into the tables of a site file; nothing is sent, nothing is changed."""
    machine = read_machine(name or socket.gethostname().partition(".")[0] or "machine")
    rules, policies, remarks = read_rules(machine.cards)
    machine.remarks += remarks
    return describe(machine, speakers(), rules, policies)


def describe(
    machine: Machine, processes: Iterable[Speaker], rules: list[dict[str, Any]], policies: Mapping[str, str]
) -> dict[str, Any]:
    """Turn what was read into the tables of a site file. Pure."""
    host = _word(machine.name)
    segments: dict[str, dict[str, Any]] = {}
    interfaces: dict[str, Any] = {}
    for card in machine.cards:
        if card.loopback or not card.addresses:
            continue
        names = [segment_name(str(each)) for each in card.networks]
        segments[names[0]] = {}
        interfaces[card.name] = {"segment": names[0], "addresses": card.addresses}
        if not card.up:
            interfaces[card.name]["up"] = False
        if card.mtu != 1500:
            interfaces[card.name]["mtu"] = card.mtu
    known = set(interfaces) | {"lo"}
    table: dict[str, Any] = {"interfaces": interfaces}
    routes = [each for each in machine.routes if each.get("dev", "lo") in known]
    sysctls = {key: value for key, value in machine.sysctls.items() if _applies(key, known)}
    others = {"routes": routes, "sysctls": sysctls, "rules": rules, "policies": dict(policies)}
    table |= {key: value for key, value in others.items() if value}
    document: dict[str, Any] = {
        "title": f"Snapshot of {machine.name}",
        "story": "\n".join(["Read from the running machine.", *machine.remarks]),
        "segments": segments,
        "hosts": {host: table},
        "iocs": {},
        "clients": {},
    }
    for each in processes:
        _process(document, host, each)
    return document


def _applies(key: str, known: set[str]) -> bool:
    parts = key.split(".")
    return len(parts) < 5 or parts[3] in known | {"all"}


def _process(document: dict[str, Any], host: str, speaker: Speaker) -> None:
    name = _word(f"{host}-{speaker.name}-{speaker.pid}")
    env = {key: value for key, value in speaker.env.items() if key.startswith(("EPICS_CA", "EPICS_CAS"))}
    if speaker.serves:
        ioc: dict[str, Any] = {"host": host, "prefixes": [f"{name}:"]}
        if env:
            ioc["env"] = env
        if speaker.uid:
            ioc["uid"] = speaker.uid
        if speaker.reuse not in (None, "both"):
            ioc["reuse"], ioc["implementation"], ioc["layout"] = speaker.reuse, "canet", "rsrv"
        document["iocs"][name] = ioc
    elif any(key in env for key in CLIENT_KEYS):
        same = [each for each in document["clients"].values() if each["host"] == host and each.get("env") == env]
        if not same:
            document["clients"][name] = {"host": host, "env": env}


def segment_name(network: str) -> str:
    """Return a segment's name for a network.

    >>> segment_name("10.1.0.0/24")
    'net-10-1-0-0-24'
    """
    return "net-" + re.sub(r"[^0-9]+", "-", network)


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:58] or "x"


def merge(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Join several snapshots into one site; what is named the same must be of the same host.

    Two networks that overlap, because a mask is wrong somewhere, are one segment: the one that more hosts are on.
    """
    whole: dict[str, Any] = {"title": "Site", "story": "", "segments": {}, "hosts": {}, "iocs": {}, "clients": {}}
    stories = []
    for each in documents:
        stories.append(str(each.get("story", "")))
        for key in ("segments", "hosts", "iocs", "clients"):
            whole[key].update(each.get(key, {}))
    whole["title"] = f"Site of {len(whole['hosts'])} machines"
    whole["story"] = "\n".join(dict.fromkeys(line for story in stories for line in story.splitlines() if line))
    _join_overlapping(whole)
    return whole


def _join_overlapping(whole: dict[str, Any]) -> None:
    from ipaddress import IPv4Network

    count: dict[str, int] = dict.fromkeys(whole["segments"], 0)
    interfaces = [each for host in whole["hosts"].values() for each in host.get("interfaces", {}).values()]
    for each in interfaces:
        if each.get("segment") in count:
            count[each["segment"]] += 1
    networks = {}
    for name in whole["segments"]:
        match = re.fullmatch(r"net-(\d+)-(\d+)-(\d+)-(\d+)-(\d+)", name)
        if match is not None:
            networks[name] = IPv4Network("{}.{}.{}.{}/{}".format(*match.groups()))
    into: dict[str, str] = {}
    for name, network in networks.items():
        mates = [other for other, theirs in networks.items() if other != name and theirs.overlaps(network)]
        best = max([name, *mates], key=lambda each: (count[each], networks[each].prefixlen))
        if best != name:
            into[name] = best
    for each in interfaces:
        each["segment"] = into.get(each.get("segment"), each.get("segment"))
    for name in into:
        del whole["segments"][name]


def read(path: Path) -> dict[str, Any]:
    """Read a snapshot that was written before.

    Raises:
        ScenarioError: it is not there, or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(str(path), "", f"cannot be read ({error.strerror})", "a snapshot") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(str(path), "", f"not TOML ({error})", "what `canet snapshot` writes") from None


def to_toml(document: Mapping[str, Any]) -> str:
    """Write the tables of a site file as TOML."""
    lines = [f"{key} = {_value(value)}" for key, value in document.items() if not isinstance(value, Mapping)]
    for kind in ("segments", "hosts", "iocs", "clients"):
        for name, table in document.get(kind, {}).items():
            lines += ["", f"[{kind}.{_key(name)}]"]
            plain = {key: value for key, value in table.items() if key != "interfaces"}
            lines += [f"{key} = {_value(value)}" for key, value in plain.items()]
            for card, inner in table.get("interfaces", {}).items():
                lines += ["", f"[{kind}.{_key(name)}.interfaces.{_key(card)}]"]
                lines += [f"{key} = {_value(value)}" for key, value in inner.items()]
    return "\n".join(lines) + "\n"


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else json.dumps(text)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping) for item in value):
            return "[\n" + "".join(f"    {_value(item)},\n" for item in value) + "]"
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, str) and "\n" in value:
        lines = [json.dumps(line, ensure_ascii=False)[1:-1] for line in value.split("\n")]
        return '"""\n' + "\n".join(lines) + '"""'
    return json.dumps(value, ensure_ascii=False)
