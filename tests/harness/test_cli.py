"""The command line: help at once, exit codes, versions, completion."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import canet
from canet.harness import cli


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``canet`` as a user does."""
    command = [sys.executable, "-c", "from canet.harness.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, check=False, timeout=60)


def test_help_lists_every_command_that_is_installed() -> None:
    """The help names each command, the examples and the exit codes."""
    done = run("--help")
    assert done.returncode == 0
    for name in cli.available():
        assert f"  {name} " in done.stdout
    assert "130  interrupted" in done.stdout


def test_help_imports_nothing_heavy() -> None:
    """What only some commands need is not paid for by all."""
    code = (
        "import sys\n"
        "from canet.harness.cli import application\n"
        "application(['--help'])\n"
        "heavy = {'scapy', 'numpy', 'rich', 'msgspec', 'pyroute2', 'asyncio', 'trio', 'jinja2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_every_command_has_a_module_a_summary_and_examples() -> None:
    """Each module registers its command under the name in the table, and its help has examples."""
    for name in cli.available():
        done = run(name, "--help")
        assert done.returncode == 0, done.stderr
        assert f"canet {name}" in done.stdout
        assert "Example" in done.stdout, name


def test_version() -> None:
    """The version is the package's."""
    assert run("--version").stdout == f"canet {canet.__version__}\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("no-such-command",), "No such command"),
        (("list", "--no-such-option"), "No such option"),
        (("show", "no_such_scenario"), "is no scenario"),
        (("check", "/no/such/file.toml"), "not readable"),
        (("list", "--tag", "unicats"), "did you mean 'unicast'?"),
    ],
)
def test_bad_input_ends_with_2_and_one_sentence(words: tuple[str, ...], says: str) -> None:
    """A mistake is said on stderr, without a traceback."""
    done = run(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "offered"), [("canet sh", "show"), ("canet show multi_ioc_l", "multi_ioc_localhost_127")]
)
def test_a_shell_completes_commands_and_scenarios(words: str, offered: str) -> None:
    """The completion of bash offers the names."""
    done = run(_CANET_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    assert offered in done.stdout.split()


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Control-C is no traceback."""

    def interrupted(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "application", lambda _words: interrupted)
    with pytest.raises(SystemExit) as caught:
        cli.main(["list"])
    assert caught.value.code == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_machine_without_namespaces_ends_with_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is missing and the remedy are said."""
    from canet.netns.errors import Unavailable

    def unable(*_args: object, **_options: object) -> None:
        raise Unavailable("no user namespaces here", "set kernel.unprivileged_userns_clone=1")

    monkeypatch.setattr(cli, "application", lambda _words: unable)
    with pytest.raises(SystemExit) as caught:
        cli.main(["run"])
    assert caught.value.code == 3
    assert "unprivileged_userns_clone" in capsys.readouterr().err
