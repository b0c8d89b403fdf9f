"""The command line of an IOC that is written as a class."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from canet.server.ioc import Group, main, pv, startup, stop
from canet.server.ioc.background import LOOPBACK


@pytest.fixture(autouse=True)
def _logging_stays_as_it_is() -> Iterator[None]:
    """The command line sets up the log of the whole process; tests undo that."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


class Short(Group):
    """Ends as soon as it has begun."""

    value = pv(1.0, name="$(N=value)")

    @startup
    def begin(self) -> None:
        """End when the server answers."""
        threading.Timer(0.05, stop, [self]).start()


def code_of(*arguments: str, group: type[Group] = Short, **options: Any) -> object:
    with pytest.raises(SystemExit) as left:
        main(group, prefix="s:", arguments=arguments, environment=LOOPBACK, **options)
    return left.value.code


def test_it_serves_and_ends(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It says where it serves, lists its PVs if asked to, and leaves with 0."""
    assert code_of("--backend", backend, "--list-pvs", "-m", "N=x") == 0

    names, where = capsys.readouterr().out.splitlines()
    assert names == "s:x"
    assert where.startswith("1 PVs served on 127.0.0.1:")
    assert where.endswith(f"by {backend}")


def test_the_known_switches(capsys: pytest.CaptureFixture[str]) -> None:
    """Names that other tools have for these switches work too."""
    code = code_of(
        "--async-lib", "trio", "--prefix", "q:", "--interfaces", "127.0.0.1", "--list-pvs", "-v", "--stats", "st:"
    )

    said = capsys.readouterr().out
    assert code == 0
    assert "q:value\n" in said
    assert "st:clients\n" in said


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is said without need."""
    assert code_of("-q") == 0
    assert capsys.readouterr() == ("", "")


class Wrong(Group):
    """Cannot be."""

    value = pv([1.0, 2.0], max_count=1)


@pytest.mark.parametrize(
    ("arguments", "group", "part"),
    [
        (["--backend", "twisted"], Short, "invalid choice: 'twisted'"),
        (["--macros", "=1"], Short, "expected NAME=value"),
        (["--port", "x"], Short, "invalid int value: 'x'"),
        (["--acf", "/does/not/exist"], Short, "/does/not/exist: No such file or directory"),
        (["--what"], Short, "unrecognized arguments: --what"),
        ([], Wrong, "s:value: "),
        (["--interfaces", "0.0.0.0", "127.0.0.1"], Short, "EPICS_CAS_INTF_ADDR_LIST names 0.0.0.0"),
    ],
)
def test_bad_input(arguments: list[str], group: type[Group], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, and exit code 2."""
    assert code_of(*arguments, group=group) == 2

    said = capsys.readouterr().err
    assert part in said
    assert said.count("\n") == 1


def test_addresses_that_are_not_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing can be bound: exit code 1."""
    assert code_of("--interfaces", "192.0.2.1") == 1
    assert capsys.readouterr().err
