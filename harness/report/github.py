"""Say failures to GitHub Actions, which shows them beside the line of the scenario file.

Source: "Workflow commands for GitHub Actions", with its rules for escaping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from canet.harness.observation import Verdict
from canet.harness.report.junit import check_text
from canet.harness.report.record import case_id


def commands(verdicts: Iterable[Verdict], sources: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield a workflow command for each verdict that does not hold: ``::error …`` or, for skips, ``::notice …``.

    ``sources`` gives the path of the file of a scenario's key, so that GitHub can show it.
    """
    for each in verdicts:
        if each.outcome == "holds":
            continue
        command = "notice" if each.outcome == "skipped" else "error"
        wrong = "\n".join(check_text(check) for check in each.checks if check.holds is not True)
        said = "\n".join(filter(None, (each.reason, wrong))) or each.outcome
        place = (sources or {}).get(each.scenario, "")
        file = f"file={_property(place)}," if place else ""
        title = _property(f"{case_id(each.scenario, each.subject)} {each.outcome}")
        yield f"::{command} {file}title={title}::{_data(said)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
