"""Test your own IOC in a lab: fixtures, markers and scenario files for pytest.

Installed with the package (entry point ``pytest11``). It imports next to nothing until a test needs a lab.

* ``lab`` builds a network (:class:`canet.harness.lab.workbench.Workbench`), ``ioc`` starts any server in it,
  ``ca_probe`` searches and collects the answers;
* files that are called ``*.canet.toml`` are scenarios, each variant with each implementation a test of its own;
* ``@pytest.mark.canet_needs("rsrv", "root")`` skips a test with the sentence that says how to get what is missing.

An ordinary user needs a user namespace, which a process can only enter while it has a single thread. So the
controlling process enters before pytest-xdist starts its workers, which inherit it: when the ini option
``canet_lab`` is ``always``, or is ``auto`` (the default) and there are scenario files below the root directory.
"""

from __future__ import annotations

import getpass
import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from canet.harness.lab.workbench import Ioc, Seen, Workbench
    from canet.harness.observation import Verdict
    from canet.harness.run.cases import Case
    from canet.harness.run.run import Result

SUFFIX = ".canet.toml"
SKIPPED_FOLDERS = frozenset({"node_modules", "site-packages", "__pycache__", "build", "dist"})
DEPTH = 5
"""How deep scenario files are looked for, to decide whether a lab is needed."""

_unavailable: pytest.StashKey[str] = pytest.StashKey()
_kept: list[Workbench] = []
_unsteady: list[str] = []
"""Cases of the running test that held only when they were repeated."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("canet", "Channel Access in a lab of network namespaces")
    group.addoption("--canet-pcap", metavar="DIR", type=Path, help="write the frames of each test with a lab here")
    group.addoption("--canet-report", metavar="DIR", type=Path, help="leave a directory for each scenario here")
    group.addoption(
        "--canet-backend",
        metavar="NAME",
        action="append",
        help="who plays servers that do not say: asyncio, curio, trio, mix, rsrv …; may be repeated for scenarios",
    )
    group.addoption(
        "--canet-keep", action="store_true", help="keep the lab of a failed test up, and print how to enter it"
    )
    group.addoption(
        "--canet-retries",
        metavar="N",
        type=int,
        default=0,
        help="run a scenario that does not hold up to N times more; those that then hold are named at the end",
    )
    parser.addini("canet_lab", "enter a user namespace at the start: auto, always or never", default="auto")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Enter the namespaces before anything starts a thread."""
    wish = str(early_config.getini("canet_lab"))
    if wish not in ("auto", "always", "never"):
        raise pytest.UsageError(f"canet_lab = {wish!r} is none of auto, always, never")
    if wish == "never" or (wish == "auto" and not has_scenarios(early_config.rootpath)):
        return
    _enter(early_config)


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest about the marker.

    Raises:
        UsageError: workers cannot keep labs: nobody sees what they print.
    """
    if config.getoption("--canet-keep") and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("--canet-keep needs a run without workers: -n 0")
    config.addinivalue_line(
        "markers", "canet_needs(*parts): skip where this machine lacks rsrv, caproto, pcaspy, libca, root or uids"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose needs are not met."""
    needs = [str(part) for mark in item.iter_markers("canet_needs") for part in mark.args]
    if needs:
        from canet.harness.run.cases import need

        for part in needs:
            sentence = need(part)
            if sentence is not None:
                pytest.skip(sentence)


def has_scenarios(root: Path) -> bool:
    """Look for a scenario file below a directory, not too deep."""
    for folder, folders, files in os.walk(root):
        if any(name.endswith(SUFFIX) for name in files):
            return True
        deep = len(Path(folder).relative_to(root).parts) >= DEPTH
        folders[:] = [] if deep else [f for f in folders if not f.startswith(".") and f not in SKIPPED_FOLDERS]
    return False


def _enter(config: pytest.Config) -> str:
    """Enter the namespaces; return why that cannot be, or nothing."""
    if _unavailable not in config.stash:
        from canet.netns import Unavailable, enter

        # pytest names its temporary directory after the user, who is called root in a user namespace.
        os.environ.setdefault("LOGNAME", _user())
        try:
            enter()
            config.stash[_unavailable] = ""
        except Unavailable as error:
            config.stash[_unavailable] = str(error)
    return config.stash[_unavailable]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name is known for this user id
        return f"uid{os.getuid()}"


def _need_namespaces(config: pytest.Config) -> None:
    reason = _enter(config)
    if reason:
        if hasattr(config, "workerinput") and "thread" in reason:
            reason += "; set canet_lab = always in the settings of pytest, so that its workers inherit the namespace"
        pytest.skip(reason)


# -- fixtures --------------------------------------------------------------------------------------------------------


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """Build a network, and start servers and clients in it; everything ends with the test.

    ``lab.segment("lan", "client", "ioc")`` makes two hosts on a segment; ``ioc`` and ``ca_probe`` do the rest.
    """
    _need_namespaces(request.config)
    from canet.harness.lab.workbench import Workbench

    bench = Workbench((request.config.getoption("--canet-backend") or ["asyncio"])[0])
    yield bench
    failed = bool(getattr(request.node, "canet_failed", False))
    if bench.is_up:
        _save(request, bench)
        if failed and request.config.getoption("--canet-keep"):
            _kept.append(bench)
            return
    bench.close()


@pytest.fixture
def ioc(lab: Workbench) -> Callable[..., Ioc]:
    """Start a server in the lab: ``ioc("rsrv", host="ioc", pvs={"a": 1.0})``, or your own by ``command=[…]``."""
    return lab.start


@pytest.fixture
def ca_probe(lab: Workbench) -> Callable[..., Seen]:
    """Search from a host: ``ca_probe("client", to="10.1.0.255", pvs=["a"])`` tells who answered."""
    return lab.probe


def _save(request: pytest.FixtureRequest, bench: Workbench) -> None:
    folder = request.config.getoption("--canet-pcap")
    if folder is not None:
        from canet.harness.wire import pcapng

        folder.mkdir(parents=True, exist_ok=True)
        pcapng.write(folder / f"{_file_name(request.node.nodeid)}.pcapng", bench.observe().frames, bench.topology)


def _file_name(nodeid: str) -> str:
    return re.sub(r"[^A-Za-z0-9._@-]+", ".", nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember whether a test failed, and show what its servers said."""
    report: Any = yield
    if report.when == "call" and report.failed:
        item.canet_failed = True  # type: ignore[attr-defined]  # for the fixture
        bench = getattr(item, "funcargs", {}).get("lab")
        if bench is not None and getattr(bench, "is_up", False):
            bench.lab.outputs.pull()
            for each in bench.lab.crew:
                report.sections.append((f"canet: {each.name} on {each.server.host}", each.stream.last(30)))
    while _unsteady:  # with the report, because it may come from a worker
        report.user_properties.append(("canet_unsteady", _unsteady.pop()))
    return report  # type: ignore[no-any-return]  # a wrapper returns what it got


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name unsteady scenarios; hold kept labs until told otherwise, now that the failures have been shown."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, ())]
    unsteady = sorted(str(v) for report in reports for key, v in report.user_properties if key == "canet_unsteady")
    if unsteady:
        terminalreporter.section("scenarios that held only when repeated")
        for line in unsteady:
            terminalreporter.write_line(line)
    if not _kept:
        return
    try:
        terminalreporter.section("labs that are still up")
        for bench in _kept:
            for line in entrance(bench):
                terminalreporter.write_line(line)
        terminalreporter.write_line(f"They are up until process {os.getpid()} gets Ctrl-C (SIGINT) or SIGTERM.")
        terminalreporter.flush()
        ending = {signal.SIGINT, signal.SIGTERM}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
        signal.sigwait(ending)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    finally:
        for bench in _kept:
            bench.close()
        _kept.clear()


def entrance(bench: Workbench) -> Iterator[str]:
    """Yield a line for each host of a lab: how to enter it."""
    for host in bench.lab.network:
        yield f"{host.name}: {' '.join(host.enter_command())}"


# -- scenario files --------------------------------------------------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect scenario files."""
    if file_path.name.endswith(SUFFIX):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


class ScenarioFile(pytest.File):
    """A scenario file: a test for each variant and implementation."""

    def collect(self) -> Iterable[pytest.Item]:
        """Yield the tests.

        Raises:
            CollectError: the file has a mistake; with the sentence that says which.
        """
        from canet.harness.run import cases
        from canet.scenarios.errors import ScenarioError
        from canet.scenarios.load import load

        try:
            scenarios = load(self.path)
            found = list(cases.cases(scenarios, self.config.getoption("--canet-backend") or ()))
        except (ScenarioError, ValueError) as error:
            raise self.CollectError(str(error)) from None
        for case in found:
            yield CaseItem.from_parent(self, name=f"[{case.scenario.variant}]@{case.subject}", case=case)


class CaseItem(pytest.Item):
    """One case: a variant of a scenario, and who plays its servers."""

    def __init__(self, *, case: Case, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case

    def runtest(self) -> None:
        """Run it and judge it."""
        run_case(self.case, self.config)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the story, what was expected and seen, and the messages."""
        if isinstance(excinfo.value, CaseFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Say where it stands."""
        return self.path, None, self.case.id


def _fault(verdict: Verdict) -> str:
    """Say in a line why a case did not hold."""
    wrong = [f"{c.subject} {c.measure}: expected {c.expected}, seen {c.seen}" for c in verdict.checks if not c.holds]
    return verdict.reason or "; ".join(wrong)


class CaseFailed(Exception):  # noqa: N818 - it is a verdict, not an error
    """A case does not hold; the text is its whole story."""

    def __init__(self, result: Result) -> None:
        from canet.harness.report.showing import story

        super().__init__(story(result))
        self.result = result


def run_case(case: Case, config: pytest.Config) -> Result:
    """Run a case as a test: skip it with the reason, fail with its story, leave its capture where asked.

    Raises:
        CaseFailed: it does not hold.
    """
    _need_namespaces(config)
    from canet.harness.report import record
    from canet.harness.run import run
    from canet.harness.wire import pcapng

    result = run.run_case(case)
    for _ in range(config.getoption("--canet-retries")):
        if result.verdict.outcome not in ("fails", "error"):
            break
        first = result.verdict
        result = run.run_case(case)
        if result.verdict.outcome == "holds":
            _unsteady.append(f"{case.id}: {_fault(first)}")
    name = record.directory_name(case.scenario.key, case.subject)
    if result.observation is not None:
        report, pcap = config.getoption("--canet-report"), config.getoption("--canet-pcap")
        if report is not None:
            record.save(report / name, case.scenario, result.observation, result.verdict, result.prediction)
        if pcap is not None:
            pcap.mkdir(parents=True, exist_ok=True)
            pcapng.write(pcap / f"{name}.pcapng", result.observation.frames, case.scenario.topology, comment=case.id)
    if result.verdict.outcome == "skipped":
        pytest.skip(result.verdict.reason)
    if result.verdict.outcome != "holds":
        raise CaseFailed(result)
    return result
