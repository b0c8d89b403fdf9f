"""Make one self-contained HTML page from stored runs: a matrix, and for each scenario everything that explains it.

No network and no build step: the style sheet and the few lines of script stand in the page, drawings are SVG.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any, Final

import canet
from canet.harness.observation import Observation, ProbeSeen
from canet.harness.report import chart_svg, drawing_svg, record
from canet.harness.report.model import foretell
from canet.harness.report.record import Record
from canet.harness.wire.conversation import conversation
from canet.scenarios.model import Scenario

OUTCOMES: Final = ("holds", "fails", "error", "skipped")
MARKS: Final = {"holds": "✓", "fails": "✗", "error": "!", "skipped": "–"}
ORDER: Final = ("asyncio", "curio", "trio", "mix", "rsrv", "caproto-asyncio", "caproto-curio", "caproto-trio", "pcaspy")
"""Columns of the matrix; others follow."""
ROWS: Final = {"holds": 30}
"""Most rows of a sequence chart, by outcome; what needs a look gets :data:`MORE`."""
MORE: Final = 80
MESSAGES: Final = 400
"""Most messages that are read for it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One variant of a scenario, with its runs by subject."""

    scenario: Scenario
    runs: Mapping[str, Record]

    @property
    def anchor(self) -> str:
        """The id in the page."""
        return re.sub(r"[^a-z0-9]+", "-", self.scenario.key.lower()).strip("-")

    @property
    def worst(self) -> str:
        """The outcome that deserves attention first."""
        found = {each.verdict.outcome for each in self.runs.values()}
        return next(each for each in ("fails", "error", "holds", "skipped") if each in found)


def rows(records: Iterable[Record]) -> tuple[Row, ...]:
    """Group runs by scenario and variant; the last of two runs of a case counts."""
    grouped: dict[str, dict[str, Record]] = {}
    for each in records:
        grouped.setdefault(each.scenario.key, {})[each.verdict.subject] = each
    return tuple(
        Row(next(iter(runs.values())).scenario, dict(sorted(runs.items(), key=lambda item: _rank(item[0]))))
        for runs in sorted(grouped.values(), key=_file_order)
    )


def _file_order(runs: Mapping[str, Record]) -> tuple[str, bool, str]:
    """Order by id; what is wrong (or the only variant) stands before what cures it."""
    scenario = next(iter(runs.values())).scenario
    return (scenario.id, scenario.variant not in ("broken", "plain"), scenario.variant)


def _rank(subject: str) -> tuple[int, str]:
    return (ORDER.index(subject) if subject in ORDER else len(ORDER), subject)


def page(records: Iterable[Record], base: Path | None = None, now: datetime | None = None) -> str:
    """Return the page.

    Args:
        records: The runs (:func:`canet.harness.report.record.load`).
        base: The folder that the page will stand in; links to captures and logs are relative to it.
        now: When the page is made.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    grouped = rows(records)
    subjects = sorted({subject for row in grouped for subject in row.runs}, key=_rank)
    runs = [run for row in grouped for run in row.runs.values()]
    environment = Environment(
        loader=PackageLoader("canet.harness.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": prose, "case": lambda run: record.case_id(run.scenario.key, run.verdict.subject)}
    return environment.get_template("page.html.j2").render(
        rows=grouped,
        subjects=subjects,
        counts={name: sum(run.verdict.outcome == name for run in runs) for name in OUTCOMES},
        total=len(runs),
        seconds=sum(run.verdict.seconds for run in runs),
        marks=MARKS,
        tags=sorted({tag for row in grouped for tag in row.scenario.tags}),
        version=canet.__version__,
        made=(now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        drawing=lambda row: drawing_svg.svg(row.scenario),
        sequence=sequence,
        probes=probes,
        foretell=foretell,
        link=lambda run, name: link(run, name, base),
        themes=_themes(grouped),
    )


def _themes(grouped: Sequence[Row]) -> list[tuple[str, list[list[Row]]]]:
    """Group rows by theme, and within a theme by scenario."""
    found: dict[str, dict[str, list[Row]]] = {}
    for row in grouped:
        theme = row.scenario.id.rpartition("/")[0].replace("_", " ")
        found.setdefault(theme, {}).setdefault(row.scenario.id, []).append(row)
    return [(theme, list(scenarios.values())) for theme, scenarios in found.items()]


def write(path: Path, records: Iterable[Record]) -> None:
    """Write the page into a file."""
    path.write_text(page(records, path.resolve().parent), encoding="utf-8")


def sequence(run: Record) -> str:
    """Draw the messages of a run."""
    order = [host.name for host in run.scenario.topology.hosts]
    return chart_svg.svg(
        conversation(run.observation.frames, most=MESSAGES), order, ROWS.get(run.verdict.outcome, MORE)
    )


def probes(observation: Observation) -> list[dict[str, Any]]:
    """Sum up each probe: who received and who answered how many datagrams, who was connected."""
    return [_probe(each) for each in observation.probes]


def _probe(seen: ProbeSeen) -> dict[str, Any]:
    received = _count(server for shot in seen.shots for server in shot.received)
    answered = _count(
        server for shot in seen.shots for server in dict.fromkeys(reply.server or "?" for reply in shot.replies)
    )
    return {
        "name": seen.name,
        "shots": len(seen.shots),
        "received": received,
        "answered": answered,
        "connected": _count(each.server or "?" for each in seen.connections if each.error is None),
        "errors": _count(shot.error for shot in seen.shots if shot.error),
        "sentinel": seen.sentinel,
    }


def _count(names: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in names:
        found[each] = found.get(each, 0) + 1
    return dict(sorted(found.items()))


def link(run: Record, name: str, base: Path | None) -> str:
    """Return the relative link to a file of a run; empty where it is not there."""
    if run.directory is None or not (run.directory / name).exists():
        return ""
    target = (run.directory / name).resolve()
    return Path(os.path.relpath(target, base)).as_posix() if base is not None else target.as_uri()


def prose(text: str) -> Any:
    """Turn a story into paragraphs, lists and indented code; code within a line stands in back quotes."""
    from markupsafe import Markup

    parts = []
    for block in re.split(r"\n\s*\n", textwrap.dedent(text).strip("\n")):
        lines = block.strip("\n").splitlines()
        if lines and all(each.startswith("  ") for each in lines):
            parts.append(f"<pre>{escape(textwrap.dedent(block))}</pre>")
        elif all(re.match(r"\s*[*-] ", each) for each in lines):
            items = "".join(f"<li>{_inline(each.lstrip()[2:])}</li>" for each in lines)
            parts.append(f"<ul>{items}</ul>")
        else:
            parts.append(f"<p>{_inline(' '.join(each.strip() for each in lines))}</p>")
    return Markup("".join(parts))


def _inline(text: str) -> str:
    coded = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"(?<![\"'=])(https?://[^\s<>()]+[^\s<>().,;:])", r'<a href="\1">\1</a>', coded)
