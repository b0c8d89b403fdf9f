"""The pytest plugin, in a repository as a user's own would be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from canet.harness.pytest_plugin import has_scenarios
from canet.netns import Unavailable, enter

EXAMPLE = Path(__file__).resolve().parent.parent / "example_repository"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the example."""
    try:
        enter()
    except Unavailable as error:
        pytest.skip(str(error))
    return shutil.copytree(EXAMPLE, tmp_path / "repository", ignore=shutil.ignore_patterns("__pycache__"))


def run(repository: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest there, as a process of its own."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=repository, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("options", [("-p", "no:xdist"), ("-n", "2", "--dist", "loadfile")], ids=" ".join)
def test_the_example_passes(repository: Path, options: tuple[str, ...]) -> None:
    """All tests of the example pass, alone and with workers."""
    done = run(repository, *options, "--canet-backend", "trio")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_a_failing_scenario_tells_its_story(repository: Path) -> None:
    """The report of a scenario that does not hold has story, expected, seen and messages, and leaves its files."""
    file = repository / "tests" / "beamline.canet.toml"
    file.write_text(file.read_text().replace('"all of motors, vacuum"', '"only motors"'))
    done = run(
        repository, str(file), "-k", "plain", "--canet-backend", "curio", "--canet-pcap", "p", "--canet-report", "r"
    )
    assert done.returncode == 1
    for words in ("console searches by broadcast", "expected  only motors", "seen      motors, vacuum", "SEARCH"):
        assert words in done.stdout
    names = [each.name for each in (repository / "p").iterdir()]
    assert names == ["tests.beamline.plain@curio.pcapng"] or len(names) == 1
    assert list((repository / "r").glob("*/verdict.json"))


def test_a_scenario_that_holds_when_repeated_is_named(repository: Path) -> None:
    """A case is run again where that is asked for, and the end of the run says so."""
    (repository / "conftest.py").write_text(
        "from canet.harness.run import run\n"
        "from canet.harness.observation import Verdict\n"
        "from dataclasses import replace\n"
        "ran, real = [], run.run_case\n"
        "def once_wrong(case):\n"
        "    result = real(case)\n"
        "    ran.append(case)\n"
        "    verdict = replace(result.verdict, outcome='fails', reason='the first time') if len(ran) == 1 else None\n"
        "    return replace(result, verdict=verdict) if verdict else result\n"
        "run.run_case = once_wrong\n"
    )
    options = ("tests/beamline.canet.toml", "-k", "plain", "--canet-backend", "trio", "-n", "1")
    assert run(repository, *options).returncode == 1
    done = run(repository, *options, "--canet-retries", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "scenarios that held only when repeated" in done.stdout
    assert "[plain]@trio: the first time" in done.stdout


def test_a_mistake_in_a_scenario_is_said_in_a_sentence(repository: Path) -> None:
    """A wrong key stops the collection with file, key and the nearest spelling."""
    file = repository / "tests" / "beamline.canet.toml"
    file.write_text(file.read_text().replace("[servers.motors]", "[sever.motors]"))
    done = run(repository, str(file))
    assert done.returncode == 2
    assert "sever" in done.stdout
    assert "servers" in done.stdout


def test_scenarios_are_looked_for_where_they_can_be(tmp_path: Path) -> None:
    """Scenario files count, but not those in hidden folders or in installed packages."""
    (tmp_path / ".venv" / "site-packages").mkdir(parents=True)
    (tmp_path / ".venv" / "site-packages" / "x.canet.toml").touch()
    assert not has_scenarios(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.canet.toml").touch()
    assert has_scenarios(tmp_path)


def test_workers_cannot_keep_labs(repository: Path) -> None:
    """Nobody would see what a worker prints, so keeping labs is refused there."""
    done = run(repository, "--canet-keep", "-n", "1")
    assert done.returncode == 4
    assert "needs a run without workers" in done.stderr
