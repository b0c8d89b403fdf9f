"""Find scenarios: those that ship with canet, by place, id, tag or words, and a user's own by path."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from canet.scenarios.errors import ScenarioError, nearest
from canet.scenarios.load import ROOT, identity, load
from canet.scenarios.model import Scenario

THEMES: Mapping[str, str] = {
    "several_servers_on_one_host": "Several servers on one host",
    "interfaces_addresses_routes": "Interfaces, addresses and routes",
    "environment_variables": "Environment variables that do not do what people think",
    "containers_and_nat": "Containers, NAT and Kubernetes",
    "firewalls": "Firewalls",
    "beacons_and_reconnection": "Beacons, the repeater and reconnection",
    "gateways_and_name_servers": "Gateways and name servers",
    "protocol_robustness": "Robustness against bad messages and old peers",
}
"""Folders of the library in the order in which a newcomer reads them, and what they are about."""


def files(theme: str | None = None) -> tuple[Path, ...]:
    """Return the shipped files, in the order of :data:`THEMES` and then by name."""
    return tuple(path for each in ([theme] if theme else THEMES) for path in sorted((ROOT / each).glob("*.toml")))


@cache
def all_scenarios() -> tuple[Scenario, ...]:
    """Return every variant of every shipped file.

    Raises:
        ScenarioError: if a file is wrong, which a test of canet excludes.
    """
    return tuple(scenario for path in files() for scenario in load(path))


def tags(scenarios: Iterable[Scenario] | None = None) -> dict[str, int]:
    """Return each tag and how many files bear it, the most frequent first."""
    every = all_scenarios() if scenarios is None else scenarios
    counts = Counter(tag for each in {one.id: one for one in every}.values() for tag in each.tags)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def tagged(tag: str, scenarios: Iterable[Scenario] | None = None) -> tuple[Scenario, ...]:
    """Return the variants that bear a tag; a theme's folder name counts as one.

    Raises:
        ScenarioError: if no scenario has this tag.
    """
    every = tuple(all_scenarios() if scenarios is None else scenarios)
    found = tuple(each for each in every if tag in each.tags or tag == each.id.partition("/")[0])
    if not found:
        known = [*tags(every), *THEMES]
        raise ScenarioError("--tag", "", repr(tag), f"one of {', '.join(known)}", nearest(tag, known))
    return found


def find(text: str) -> tuple[Scenario, ...]:
    """Return the variants that ``text`` names.

    Args:
        text: ``theme/name``, ``name``, the same with ``[variant]``, a theme's folder, or the path of a file.

    Raises:
        ScenarioError: if there is no such scenario or variant; the nearest name is given.
    """
    head, variant = _split(text)
    if head.endswith(".toml") or Path(head).is_file():
        found = load(head)
    else:
        paths = [path for path in files() if head in (identity(path), path.stem, path.stem.replace("_", "-"))]
        if not paths and head.rstrip("/") in THEMES:
            paths = list(files(head.rstrip("/")))
        if not paths:
            known = [path.stem for path in files()]
            raise ScenarioError(
                head,
                "",
                "no scenario",
                "a path, or a name that `canet list` prints",
                nearest(head.split("/")[-1], known),
            )
        found = tuple(scenario for path in paths for scenario in load(path))
    if variant is None:
        return found
    chosen = tuple(each for each in found if each.variant == variant)
    if not chosen:
        known = list(dict.fromkeys(each.variant for each in found))
        raise ScenarioError(
            head, "variants", f"{variant!r}, which is no variant", ", ".join(known), nearest(variant, known)
        )
    return chosen


def _split(text: str) -> tuple[str, str | None]:
    match = re.fullmatch(r"(.*)\[([^\[\]]*)\]", text)
    return (match[1], match[2]) if match else (text, None)


@dataclass(frozen=True, slots=True)
class Hit:
    """A scenario that a search found: the base of its file, and how well it fits."""

    scenario: Scenario
    score: float
    words: tuple[str, ...]
    """The words of the query that occur in it."""


WEIGHTS: Mapping[str, float] = {"title": 4.0, "tags": 4.0, "id": 3.0, "cause": 3.0, "variants": 2.0, "story": 1.0}
"""How much a word in each part of a scenario counts."""

STOP = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be but by can cannot do does find for from has have how i if in into is it its me my no
        not of on one only or our that the their them then there they this through to via was we what when where which
        while why will with work working works you your""",
    )
)
"""Words that say nothing about a problem."""

ALIKE: Mapping[str, str] = {
    "kubernetes": "k8s",
    "podman": "docker",
    "compose": "docker",
    "iptables": "nat",
    "nftables": "nat",
    "dnat": "nat",
    "wifi": "wireless",
    "ioc": "server",
    "iocs": "server",
    "softioc": "server",
    "caget": "client",
    "camonitor": "client",
    "disconnected": "connect",
    "timeout": "connect",
    "duplicate": "twice",
}
"""Words that people use for one that a story may use instead; both are searched."""


def search(text: str, scenarios: Sequence[Scenario] | None = None, most: int = 10) -> tuple[Hit, ...]:
    """Return the scenarios whose titles, tags and stories speak about ``text``, the best first.

    A word counts more the rarer it is in the library, and more in a title than in a story. Endings are ignored.

    Args:
        text: words, as a user would describe a problem.
        scenarios: where to look; all shipped ones if not given.
        most: how many hits at most.
    """
    every = all_scenarios() if scenarios is None else scenarios
    by_file: dict[str, list[Scenario]] = {}
    for each in every:
        by_file.setdefault(each.id, []).append(each)
    indexes = {name: _index(group) for name, group in by_file.items()}
    rarity = Counter(stem for index in indexes.values() for stem in index)
    hits = []
    for name, index in indexes.items():
        score, words = 0.0, []
        for word in _words(text):
            stems = {_stem(word), _stem(ALIKE.get(word, word))} & index.keys()
            best = max((index[stem] * math.log(1 + len(indexes) / rarity[stem]) for stem in stems), default=0.0)
            if best:
                score += best
                words.append(word)
        if words:
            hits.append(Hit(by_file[name][0], round(score * len(words), 3), tuple(words)))
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.scenario.id))[:most])


def _index(group: Sequence[Scenario]) -> dict[str, float]:
    base = group[0]
    parts = {
        "title": base.title,
        "tags": " ".join(base.tags),
        "id": base.id.replace("_", " "),
        "cause": " ".join(each.cause for each in group),
        "variants": " ".join(each.variant_title for each in group),
        "story": base.story,
    }
    index: dict[str, float] = {}
    for part, text in parts.items():
        for stem, count in Counter(map(_stem, _words(text))).items():
            index[stem] = index.get(stem, 0.0) + WEIGHTS[part] * (1 + math.log(count))
    return index


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[a-z0-9][a-z0-9_.:]*[a-z0-9]|[a-z0-9]", text.lower()) if word not in STOP]


def _stem(word: str) -> str:
    """Cut the usual English endings.

    >>> [_stem(each) for each in ("broadcasts", "connecting", "connected", "replies", "docker", "address")]
    ['broadcast', 'connect', 'connect', 'reply', 'docker', 'address']
    """
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    for ending in ("ings", "ing", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith(("ss", "us", "is")):
            return word[: -len(ending)]
    return word
