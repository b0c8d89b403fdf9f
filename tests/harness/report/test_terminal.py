"""Verdicts on a terminal and in a pipe."""

from __future__ import annotations

import io

from canet.harness.report import terminal
from tests.harness import talk


def shown(what: object, *, colours: bool = False) -> str:
    from rich.console import Console

    file = io.StringIO()
    Console(file=file, force_terminal=colours, width=100, highlight=False).print(what)
    return file.getvalue()


def test_failing_verdict() -> None:
    """What does not hold is shown with expected, seen and why; what holds only on request."""
    text = shown(terminal.verdict(talk.verdict()))

    assert text.startswith("✗ statements/unicast[plain]@trio  fails in 0.12 s\n")
    assert "  ✗ broadcast answered\n      expected  all of ioc1, ioc2\n      seen      only ioc1\n" in text
    assert "      why       ioc2 <dropped> it\n" in text
    assert "  ! broadcast connects" in text
    assert "replies" not in text
    assert "  ✓ broadcast replies" in shown(terminal.verdict(talk.verdict(), verbose=True))


def test_pipe_has_no_colours_and_terminal_has() -> None:
    """The words are the same; escape sequences are for terminals."""
    plain = shown(terminal.verdict(talk.verdict()))
    coloured = shown(terminal.verdict(talk.verdict()), colours=True)

    assert "\x1b" not in plain
    assert "\x1b[1;31m✗ \x1b[0m" in coloured


def test_reason_and_chart() -> None:
    """A skip says what is missing; a chart stands below."""
    text = shown(terminal.verdict(talk.verdict("rsrv", "skipped"), chart="a ──▶ b"))

    assert text.splitlines() == [
        "– statements/unicast[plain]@rsrv  skipped",
        "    rsrv is not installed: pip install canet[peers]",
        "",
        "    a ──▶ b",
    ]


def test_marks_without_unicode() -> None:
    """Terminals that know only ASCII get letters."""
    assert shown(terminal.verdict(talk.verdict("trio", "holds"), encoding="ascii")).startswith("ok statements")


def test_matrix_and_summary() -> None:
    """Rows are variants, columns are implementations; the summary counts."""
    verdicts = [talk.verdict("asyncio", "holds"), talk.verdict(), talk.verdict("asyncio", "error", "x")]
    lines = shown(terminal.matrix(verdicts)).splitlines()

    assert lines[0].split() == ["scenario", "asyncio", "trio"]
    assert lines[1].split() == ["statements/unicast[plain]", "✓", "✗"]
    assert lines[2].split() == ["statements/unicast[x]", "!"]
    assert terminal.summary(verdicts) == "3 cases: 1 holds, 1 fails, 1 cannot be judged"


def test_the_worst_of_several_runs_is_marked() -> None:
    """A case that failed once does not look as if it held, whatever came later."""
    failed, held = talk.verdict("trio", "fails"), talk.verdict("trio", "holds")
    for runs in ([failed, held], [held, failed], [failed, talk.verdict("trio", "error")]):
        lines = shown(terminal.matrix(runs)).splitlines()
        assert lines[1].split() == ["statements/unicast[plain]", "✗"]


def test_console_is_plain_in_a_pipe() -> None:
    """Names in square brackets are no markup."""
    file = io.StringIO()
    terminal.console(file).print(terminal.verdict(talk.verdict("trio", "holds")))

    assert "statements/unicast[plain]@trio" in file.getvalue()
