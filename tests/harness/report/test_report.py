"""Reports for machines and people."""

from __future__ import annotations

import html
import html.parser
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from canet.harness.observation import Check, Verdict
from canet.harness.report import github, junit, model, page, record, results
from canet.netns.topology import Topology
from tests.harness import talk

OUTCOMES = {"asyncio": "holds", "trio": "fails", "rsrv": "error", "pcaspy": "skipped"}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def verdicts() -> list[Verdict]:
    return [talk.verdict(subject, outcome) for subject, outcome in OUTCOMES.items()]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of stored runs: two variants, four implementations."""
    folder = tmp_path_factory.mktemp("stored")
    for variant in ("directed", "broken"):
        for each in verdicts():
            scenario = talk.scenario(variant)
            verdict = talk.verdict(each.subject, each.outcome, variant)
            name = record.directory_name(scenario.key, each.subject)
            record.save(folder / name, scenario, talk.observation(each.subject, variant), verdict)
    return folder


@pytest.fixture
def runs(stored: Path, tmp_path: Path) -> Path:
    """The same as a copy that a test may spoil."""
    return Path(shutil.copytree(stored, tmp_path / "runs"))


def loaded(runs: Path) -> list[record.Record]:
    return [record.load(each) for each in record.find(runs)]


def test_junit() -> None:
    """Each verdict is a case with a stable id; outcomes are told apart, and counted."""
    root = ET.fromstring(junit.junit(verdicts()).encode())
    cases = {case.get("name"): case for case in root.iter("testcase")}

    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == ("4", "1", "1", "1")
    assert set(cases) == {f"[plain]@{subject}" for subject in OUTCOMES}
    assert {case.get("classname") for case in cases.values()} == {"canet.statements.unicast"}
    failure = cases["[plain]@trio"].find("failure")
    assert failure is not None
    assert "expected: all of ioc1, ioc2" in (failure.text or "")
    assert [each.tag for each in cases["[plain]@asyncio"]] == []
    skipped = cases["[plain]@pcaspy"].find("skipped")
    assert skipped is not None
    assert "pip install" in (skipped.get("message") or "")


def test_junit_survives_what_programs_print() -> None:
    """Control characters, which XML cannot hold, are replaced."""
    check = Check(subject="p", measure="m", expected="\x1b[0m", seen="\x00\ud800", holds=False)
    text = junit.junit([Verdict(scenario="a/b[c]", subject="x", outcome="fails", checks=(check,))])

    assert ET.fromstring(text.encode()).tag == "testsuites"


def test_json_obeys_its_schema() -> None:
    """The document is valid by the published schema, which itself is valid."""
    jsonschema.Draft202012Validator.check_schema(results.schema())
    document = json.loads(results.results(verdicts()))

    jsonschema.validate(document, results.schema())
    assert [each["id"] for each in document] == [f"statements/unicast[plain]@{subject}" for subject in OUTCOMES]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([{**document[0], "outcome": "maybe"}], results.schema())


def test_github() -> None:
    """Failures are errors at the scenario's file, skips are notices, and newlines are escaped."""
    lines = list(github.commands(verdicts(), {"statements/unicast[plain]": "scenarios/a,b.toml"}))

    assert [line.split(" ", 1)[0] for line in lines] == ["::error", "::error", "::notice"]
    assert lines[0].startswith(
        "::error file=scenarios/a%2Cb.toml,title=statements/unicast[plain]@trio fails::broadcast"
    )
    assert all("\n" not in line for line in lines)


class Parser(html.parser.HTMLParser):
    """Collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element in."""
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        if tag == "a":
            self.links.append(found.get("href") or "")
        elif value := found.get("src") or found.get("href"):
            self.outside.append(value)


def test_page_is_self_contained(runs: Path) -> None:
    """Nothing is loaded from elsewhere; ids are unique; every local link leads somewhere."""
    page.write(runs / "report.html", loaded(runs))
    parser = Parser()
    parser.feed((runs / "report.html").read_text(encoding="utf-8"))

    assert parser.outside == ["data:,"]
    assert sorted(set(parser.ids)) == sorted(parser.ids)
    for each in parser.links:
        if each.startswith("#"):
            assert each[1:] in parser.ids
        elif not each.startswith("http"):
            assert (runs / each).exists()
    assert "statements.unicast.broken@trio/capture.pcapng" in parser.links


def test_page_tells_everything(runs: Path) -> None:
    """Story, cause, expectations, sockets, settings, reasons and history are in the page, escaped."""
    text = page.page(loaded(runs), runs, datetime(2026, 1, 2, 3, 4, tzinfo=UTC))

    for words in (
        "A broadcast search reaches &lt;every&gt; server",
        "<code>EPICS_CA_ADDR_LIST</code> &amp; a broadcast",
        "a firewall drops searches",
        "ioc2 &lt;dropped&gt; it",
        "0.0.0.0:45001",
        "<dt>EPICS_CAS_INTF_ADDR_LIST</dt><dd>10.1.0.2</dd>",
        "client sends to 10.1.0.255:5064.",
        "<i>answered by</i>",
        "serving &lt;1&gt; PV",
        "2026-01-02 03:04 UTC",
        'aria-label="2 hold, 2 fail, 2 not judged, 2 skipped"',
    ):
        assert words in text
    assert text.index('id="statements-unicast-broken"') < text.index('id="statements-unicast-directed"')


def test_model_and_run(runs: Path) -> None:
    """The model tells each probe and client, and where the run differs; what it cannot do it says."""
    run = record.load(next(runs.glob("*broken@trio")))
    found = model.foretell(run)

    assert [each.name for each in found.told] == ["broadcast", "libca"]
    assert dict(found.told[1].facts)["searches"] == "10.1.0.255:5064"
    assert found.agreed
    assert model.foretell(replace(run, scenario=replace(run.scenario, topology=Topology()))).silent


def test_empty_page() -> None:
    """No runs make a page without rows."""
    assert "0 runs of 0 scenarios" in page.page([])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\ntwo\n\nthree", "<p>one two</p><p>three</p>"),
        ("* a\n* `b`", "<ul><li>a</li><li><code>b</code></li></ul>"),
        ("see:\n\n    iptables <x>\n", "<p>see:</p><pre>iptables &lt;x&gt;</pre>"),
        ("https://a.example/b.", '<p><a href="https://a.example/b">https://a.example/b</a>.</p>'),
    ],
)
def test_prose(text: str, shown: str) -> None:
    """Stories become paragraphs, lists and code."""
    assert shown == str(page.prose(text))


def test_command(runs: Path, tmp_path: Path) -> None:
    """``canet report`` writes what it is asked for, and says what it cannot read."""
    import typer

    from canet.harness.commands import report

    app = typer.Typer()
    report.register(app)
    run = CliRunner().invoke

    done = run(app, [str(runs)])
    assert (done.exit_code, done.output) == (0, f"8 runs → {runs / 'report.html'}\n")
    done = run(app, [str(runs), "--junit", str(runs / "j.xml"), "--json", str(runs / "r.json"), "--github"])
    assert done.exit_code == 0
    assert "::error" in done.output
    assert len(json.loads((runs / "r.json").read_text())) == 8
    assert ET.parse(runs / "j.xml").getroot().tag == "testsuites"
    assert json.loads(run(app, ["--schema"]).output) == results.schema()
    (tmp_path / "empty").mkdir()
    assert run(app, [str(tmp_path / "empty")]).exit_code == 2
    (next(runs.glob("*@trio")) / "scenario.json").write_text("{")
    assert run(app, [str(runs)]).exit_code == 2


@pytest.fixture
def browser(runs: Path, tmp_path: Path) -> list[str]:
    """The command line that loads a page without a network."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    page.write(runs / "report.html", loaded(runs))
    switches = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    more = "--disable-component-update --disable-sync --disable-dev-shm-usage --virtual-time-budget=2000"
    return [CHROMIUM, *switches.split(), *more.split(), f"--user-data-dir={tmp_path / 'profile'}"]


ACTIONS = """
<script>
const seen = {}, shown = () => scenarios.filter(each => !each.hidden).map(each => each.id);
const key = name => document.dispatchEvent(Object.assign(new KeyboardEvent("keydown", {key: name})));
seen.ready = document.documentElement.dataset.ready;
seen.tab = $("[role=tab][aria-selected=true]").dataset.subject;
seen.panels = $$("article:first-of-type [role=tabpanel]").filter(each => !each.hidden).length;
find.value = "FIREWALL drops"; find.oninput(); seen.words = shown();
find.value = "nowhere to be found"; find.oninput(); seen.none = shown(); seen.said = !$("#nothing").hidden;
key("Escape"); seen.all = shown().length;
$(".tag[data-tag=udp]").click(); seen.tagged = shown().length; seen.pressed = $(".tag[data-tag=udp]").ariaPressed;
key("j"); key("j"); seen.current = $("article.current").id;
$("a.cell.holds").click(); seen.chosen = $("article [role=tab][aria-selected=true]").dataset.subject;
$("#theme").click(); seen.theme = document.documentElement.dataset.theme;
document.title = "SEEN " + JSON.stringify(seen);
</script></body>"""


def test_page_in_a_browser(runs: Path, browser: list[str]) -> None:
    """In a real browser filters, tabs, keys and themes do what they say, without a network."""
    path = runs / "report.html"
    path.write_text(path.read_text(encoding="utf-8").replace("</body>", ACTIONS), encoding="utf-8")
    done = subprocess.run(
        [*browser, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    title = re.search(r"<title>SEEN (.*?)</title>", done.stdout)

    assert title is not None
    seen = json.loads(html.unescape(title[1]))
    both = ["statements-unicast-broken", "statements-unicast-directed"]
    assert (seen["ready"], seen["tab"], seen["panels"]) == ("2", "trio", 1)
    assert (both, [], True, 2) == (seen["words"], seen["none"], seen["said"], seen["all"])
    assert (2, "true", both[1]) == (seen["tagged"], seen["pressed"], seen["current"])
    assert (seen["chosen"], seen["theme"]) == ("asyncio", "dark")
