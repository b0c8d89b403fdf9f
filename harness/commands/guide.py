"""``canet guide``: the troubleshooting guide, made from the scenario files and from the results of a run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from canet.harness.commands.show import measures
from canet.harness.verdict.differences import differences, happening
from canet.scenarios import library
from canet.scenarios.errors import ScenarioError
from canet.scenarios.model import Expectation, Outcome, Scenario


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("guide", epilog=EPILOG)(write)


EPILOG = """\b
Examples:
  canet guide > troubleshooting.md
  canet run --all --json > results.json; canet guide --run results.json --out docs/troubleshooting.md"""

Results = Mapping[str, Sequence[Mapping[str, Any]]]
"""Key of a variant → its verdicts, one for each subject."""


def write(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write it; printed if not given.")] = None,
    run: Annotated[
        Path | None, typer.Option("--run", "-r", help="JSON results of a run, or the folder that it left.")
    ] = None,
) -> None:
    """Write the troubleshooting guide: every problem with symptom, cause and fix."""
    text = "\n".join(guide(library.all_scenarios(), read(run) if run else {})) + "\n"
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        typer.echo(f"{out} is written")


def read(path: Path) -> Results:
    """Read verdicts from a JSON file, or from every JSON file in a folder.

    Raises:
        ScenarioError: if there is none, or it is no JSON.
    """
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    found: dict[str, list[Mapping[str, Any]]] = {}
    for file in files:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ScenarioError(
                str(file), "", f"no JSON ({error})", "the results that `canet run --json` writes"
            ) from None
        for verdict in _verdicts(content):
            found.setdefault(str(verdict["scenario"]), []).append(verdict)
    if not found:
        raise ScenarioError(str(path), "", "without verdicts", "what `canet run --json` writes")
    return found


def _verdicts(content: object) -> Iterator[Mapping[str, Any]]:
    """Yield every table that looks like a verdict, at any depth."""
    if isinstance(content, dict):
        if "scenario" in content and "outcome" in content:
            yield content
        else:
            for each in content.values():
                yield from _verdicts(each)
    elif isinstance(content, list):
        for each in content:
            yield from _verdicts(each)


HEAD = """\
# Channel Access troubleshooting guide

This page is made from canet's scenario files by `canet guide`: do not edit it, edit those.

Every problem here was rebuilt from real parts: computers, switches, routers and firewalls made by the Linux kernel,
real Channel Access servers, and real clients. Each entry says what people see, what causes it and what helps, and shows
which packets arrive and which PVs a client can read, before and after. Try any of them yourself, without touching
a real network:

    canet show NAME      the whole story
    canet run NAME       see it happen
    canet lab NAME       walk around in it

The words: a *server* (IOC) serves *PVs* (process variables). A client finds a PV by a *search*, a UDP datagram to port
5064; the server that has it answers, and the client then makes a TCP connection, the *circuit*, to it. *Broadcast*
means to every computer of a subnet, *unicast* to one address. Servers send *beacons* to say that they are alive.
"""


def guide(scenarios: Sequence[Scenario], results: Results) -> Iterator[str]:
    """Yield the lines of the guide in Markdown.

    Args:
        scenarios: every variant, as :func:`canet.scenarios.library.all_scenarios` gives them.
        results: what was measured; where there is nothing, only what is expected is said.
    """
    themes: dict[str, dict[str, list[Scenario]]] = {}
    for each in scenarios:
        themes.setdefault(each.id.partition("/")[0], {}).setdefault(each.id, []).append(each)
    yield HEAD
    yield "## What do you see?"
    for theme, files in themes.items():
        yield ""
        yield f"**{library.THEMES.get(theme, theme)}**"
        yield ""
        yield from (f"- [{group[0].title}](#{anchor(name)})" for name, group in files.items())
    for theme, files in themes.items():
        yield ""
        yield f"## {library.THEMES.get(theme, theme)}"
        for group in files.values():
            yield ""
            yield from entry(group, results)


ASIDE = re.compile(r"(^|with |without )probe |: (tries|timeout) = ")
"""Changes of how a variant is looked at, which are no part of its cure."""


def anchor(name: str) -> str:
    """Return the anchor of an entry: the name of its file."""
    return name.rpartition("/")[2]


def entry(variants: Sequence[Scenario], results: Results) -> Iterator[str]:
    """Yield one problem with its cause and each fix."""
    base = variants[0]
    yield f'<a id="{anchor(base.id)}"></a>'
    yield ""
    yield f"### {base.title}"
    yield ""
    yield base.story
    if base.drawing:
        yield ""
        yield "```text"
        yield base.drawing
        yield "```"
    if base.steps:
        yield ""
        yield f"What happens: {'; '.join(map(happening, base.steps))}."
    for each in variants:
        yield ""
        yield f"**{_role(each, base)}**"
        yield ""
        if each is not base:
            changes = [line for line in differences(base, each) if not ASIDE.search(line)]
            yield from (f"- {'' if line.startswith('what happens') else 'set up with '}{line}" for line in changes)
        verdicts = [verdict for verdict in results.get(each.key, ()) if verdict.get("subject") in each.subjects]
        for expectation in each.expectations:
            if each is base or expectation not in base.expectations:
                yield from _expected(each, expectation, _checks(each, expectation, verdicts))
        yield from _outcomes(verdicts)
    if base.references:
        yield ""
        yield "See also: " + " · ".join(base.references)
    yield ""
    yield f"Try it: `canet run {anchor(base.id)}`" + (f" · tags: {', '.join(base.tags)}" if base.tags else "")


def _checks(
    scenario: Scenario, expectation: Expectation, verdicts: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    """Return the checks of a run to which this expectation applies, not another one for its implementation."""
    for verdict in verdicts:
        if verdict["outcome"] == "holds" and expectation in scenario.expected(str(verdict["subject"])):
            return list(verdict.get("checks", ()))
    return ()


def _role(scenario: Scenario, base: Scenario) -> str:
    title = scenario.variant_title.removeprefix("near miss: ")
    if scenario is base:
        return f"The cause: {scenario.cause}." if scenario.cause else "As it should be."
    if scenario.variant_title.startswith("near miss"):
        return f"Does not help – {title}" + (f": {scenario.cause}." if scenario.cause else ".")
    if scenario.cause:
        return f"The same in another form – {title}: {scenario.cause}."
    return f"{'What helps' if base.cause else 'Also'}: {title}."


def _expected(scenario: Scenario, expectation: Expectation, checks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what one expectation says, in words, and what a run measured of it."""
    where = f", with {' and '.join(expectation.when)} as server" if expectation.when else ""
    reason = f", because {expectation.because}" if expectation.because else ""
    words = "; ".join(spoken(expectation)) or "is looked at"
    yield f"- {subject(scenario, expectation.subject)}{where}: {words}{reason}."
    figures = [
        f"{check['measure'].replace('_', ' ')} {check['seen']}"
        for check in checks
        if check["subject"] == expectation.subject and check["measure"] in FIGURES
    ]
    if figures:
        yield f"  Measured: {'; '.join(figures)}."


FIGURES = ("received", "answered", "connects", "reads", "reply_from", "searches_to", "beacons_from", "within", "after")
"""Measures whose figures tell a reader something."""


def subject(scenario: Scenario, name: str) -> str:
    """Return what an expectation speaks of, for somebody who does not know the file."""
    for probe in scenario.probes:
        if probe.name == name:
            port = "" if probe.port == 5064 else f":{probe.port}"
            many = f" (from {probe.sources} source ports)" if probe.sources > 1 else ""
            return f"A search from {probe.host} to {probe.to}{port}{many}"
    for client in scenario.clients:
        if client.name == name:
            env = ", ".join(f"`{key}={value}`" for key, value in client.env.items())
            return f"The client {client.implementation} on {client.host}" + (f" with {env}" if env else "")
    if any(server.name == name for server in scenario.servers):
        return f"The server {name}"
    return f"Then, {name.replace('-', ' ')}"


def spoken(expectation: Expectation) -> Iterator[str]:
    """Yield each measure in words."""
    verbs = {"received": "received by", "answered": "answered by", "connects": "connection to", "reads": "reads"}
    for field, verb in verbs.items():
        outcome = getattr(expectation, field)
        if outcome is not None:
            yield f"{verb} {'nothing' if field == 'reads' and outcome.kind == 'none' else people(outcome)}"
    yield from measures(replace(expectation, received=None, answered=None, connects=None, reads=None))


def people(outcome: Outcome) -> str:
    """Say a set of acceptable results.

    >>> people(Outcome.parse("one of a, b, spread"))
    'exactly one of a, b (another one for another source port)'
    """
    members = ", ".join(outcome.members)
    if outcome.kind == "none":
        return "nobody"
    if outcome.kind == "all":
        return f"only {members}" if len(outcome.members) == 1 else f"all of {members}"
    if outcome.kind == "some":
        return f"at least one of {members}"
    return f"exactly one of {members}" + (" (another one for another source port)" if outcome.spread else "")


MARKS = {"holds": "as said", "fails": "NOT as said", "skipped": "not run", "error": "could not be judged"}


def _outcomes(verdicts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for verdict in verdicts:
        groups.setdefault(str(verdict["outcome"]), []).append(str(verdict.get("subject", "")))
    if groups:
        words = [f"{MARKS.get(name, name)} with {', '.join(who)}" for name, who in groups.items()]
        yield f"- Last run: {'; '.join(words)}."
