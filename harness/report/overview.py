"""One table of several scenarios: a row for each probe and client, a column for those who saw the same throughout."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from canet.harness.observation import ClientSeen
from canet.harness.participants.recipe import all_pvs
from canet.harness.report.comparison import PICKS
from canet.harness.run.run import Result
from canet.harness.verdict import wording

if TYPE_CHECKING:
    from rich.text import Text

LEGEND: Final = (
    "Of each probe: who received / answered / was reached, or one word where all three are the same;"
    " of each client: the PVs that it read. ≠: not all see the same."
)


def cells(result: Result) -> dict[str, str]:
    """Return what one implementation saw, by probe and client, in as few words as fit a table.

    Returns:
        For example ``{"remote 10.1.0.2:5064": "one of 3", "libca": "1 of 3"}``. Shares that chance decides are left
        out, so that two runs of the same differ in nothing.
    """
    observation = result.observation
    if observation is None:
        return {"run": result.verdict.outcome}
    scenario = result.case.scenario
    servers = [each.name for each in scenario.servers]
    found: dict[str, str] = {}
    for probe in observation.probes:
        target = next((f" {each.to}:{each.port}" for each in scenario.probes if each.name == probe.name), "")
        words = [wording.probe_word(probe, servers, functools.partial(pick, probe)) for _, pick, _ in PICKS]
        found[probe.name + target] = words[0] if len(set(words)) == 1 else " / ".join(words)
    for client in observation.clients:
        plan = next((each for each in scenario.clients if each.name == client.name), None)
        wanted = plan.pvs if plan is not None and plan.pvs else all_pvs(scenario.servers)
        found[client.name] = _read(client, len(wanted))
    if ended := ", ".join(each.name for each in observation.participants if each.died):
        found["servers that ended"] = ended
    return found


def columns(results: Iterable[Result]) -> tuple[tuple[str, ...], ...]:
    """Return the implementations in order, those together that saw the same in all their scenarios."""
    seen: dict[str, dict[str, dict[str, str]]] = {}
    for each in results:
        seen.setdefault(each.case.subject, {})[each.case.scenario.key] = cells(each)
    groups: list[list[str]] = []
    for subject, found in seen.items():
        same = next((group for group in groups if seen[group[0]] == found), None)
        if same is None:
            groups.append([subject])
        else:
            same.append(subject)
    return tuple(map(tuple, groups))


def table(groups: Mapping[str, Sequence[Result]]) -> Text:
    """Return the table, which is as wide as its words, so that a pipe gets whole names.

    Args:
        groups: results by the scenario's key, each with its implementations.
    """
    from rich.text import Text

    heads = columns(each for group in groups.values() for each in group)
    found = {key: tuple(_rows(heads, group)) for key, group in groups.items()}
    every = [row for rows in found.values() for row in rows]
    first = max((len(name) for name, _ in every), default=0)
    widths = [max(map(len, (*names, *(row[n] for _, row in every)))) for n, names in enumerate(heads)]

    def line(name: str, row: Sequence[str], mark: str = "") -> str:
        cells = "".join(f"  {each:<{width}}" for each, width in zip(row, widths, strict=True))
        return f"{mark:<2}{name:<{first}}{cells}".rstrip() + "\n"

    drawn = Text()
    for names in zip_longest(*heads, fillvalue=""):
        drawn.append(line("", names), "bright_black")
    for key, rows in found.items():
        drawn.append(f"{key}\n", "bold")
        for name, row in rows:
            differs = len(set(row)) > 1
            drawn.append(line(name, row, "≠" if differs else ""), "" if differs else "bright_black")
    drawn.rstrip()
    return drawn


def _rows(heads: Sequence[Sequence[str]], group: Sequence[Result]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the rows of a scenario; clients of one name that saw the same share one: ``archiver by libca, caproto``."""
    found = {each.case.subject: cells(each) for each in group}
    rows: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name in dict.fromkeys(name for row in found.values() for name in row):
        stem, by, kind = name.partition(" by ")
        rows.setdefault((stem + by, tuple(found.get(names[0], {}).get(name, "") for names in heads)), []).append(kind)
    for (stem, row), kinds in rows.items():
        yield stem + ", ".join(kinds), row


def _read(client: ClientSeen, total: int) -> str:
    counts = sorted({len(each.values) for each in client.tries})
    if not counts:
        return "not run"
    return f"{counts[0]} of {total}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} of {total}"
