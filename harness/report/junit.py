"""Write verdicts as JUnit XML, the way CI systems read it: a suite for each scenario file, a case for each verdict.

``classname`` is ``canet.theme.name``, ``name`` is ``[variant]@subject``: both stay the same from run to run.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from canet.harness.observation import Check, Verdict
from canet.harness.report.record import case_id

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped; programs print them."""


def junit(verdicts: Iterable[Verdict]) -> str:
    """Return the document."""
    root = ET.Element("testsuites", name="canet")
    suites: dict[str, list[Verdict]] = {}
    for each in verdicts:
        suites.setdefault(each.scenario.partition("[")[0], []).append(each)
    for name, cases in suites.items():
        suite = ET.SubElement(root, "testsuite", {"name": name, **_counts(cases)})
        for each in cases:
            _case(suite, name, each)
    root.attrib.update(_counts([each for cases in suites.values() for each in cases]))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def write(path: Path, verdicts: Iterable[Verdict]) -> None:
    """Write the document into a file."""
    path.write_text(junit(verdicts), encoding="utf-8")


def _counts(cases: list[Verdict]) -> dict[str, str]:
    outcomes = [each.outcome for each in cases]
    return {
        "tests": str(len(cases)),
        "failures": str(outcomes.count("fails")),
        "errors": str(outcomes.count("error")),
        "skipped": str(outcomes.count("skipped")),
        "time": f"{sum(each.seconds for each in cases):.3f}",
    }


def _case(suite: ET.Element, name: str, verdict: Verdict) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=f"canet.{name.replace('/', '.')}",
        name=case_id(verdict.scenario, verdict.subject).removeprefix(name),
        time=f"{verdict.seconds:.3f}",
    )
    if verdict.outcome == "skipped":
        ET.SubElement(case, "skipped", message=_clean(verdict.reason))
    elif verdict.outcome != "holds":
        wrong = [each for each in verdict.checks if each.holds is not True]
        said = verdict.reason or "; ".join(f"{each.subject} {each.measure}" for each in wrong)
        kind = "failure" if verdict.outcome == "fails" else "error"
        ET.SubElement(case, kind, message=_clean(said)).text = _clean("\n".join(map(check_text, wrong)))


def check_text(check: Check) -> str:
    """Say one check in plain lines."""
    lines = [f"{check.subject} {check.measure}", f"  expected: {check.expected}", f"  seen:     {check.seen}"]
    return "\n".join([*lines, f"  why:      {check.why}"] if check.why else lines)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
