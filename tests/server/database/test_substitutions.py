"""Substitution files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.server.core.problem import Problem
from canet.server.database import DatabaseError, load
from canet.server.database.substitutions import Use, parse

TEMPLATES = Path(__file__).parents[2] / "data" / "templates"


def test_both_styles_and_globals() -> None:
    """Patterns and sets, with commas or without; globals hold from where they stand."""
    problems: list[Problem] = []
    text = 'file a.db { pattern {X,Y} {1,2} {3 "4 5"} }\nglobal {Z=0}\nfile "b.db" { {X=1, Y=} {} }\n'

    assert parse(text, "x.subs", problems) == [
        Use("a.db", (("X", "1"), ("Y", "2")), 1),
        Use("a.db", (("X", "3"), ("Y", "4 5")), 1),
        Use("b.db", (("Z", "0"), ("X", "1"), ("Y", "")), 3),
        Use("b.db", (("Z", "0"),), 3),
    ]
    assert problems == []


def test_templates_are_loaded_with_their_macros() -> None:
    """Each row loads the template once; defaults of the template hold where a row says nothing."""
    database = load(TEMPLATES / "gauges.substitutions", macros={"SITE": "sr"})

    assert {name: (r.fields["EGU"], r.fields["HIHI"]) for name, r in database.records.items()} == {
        "sr:vac1:g1:pressure": ("Pa", "1e-3"),
        "sr:vac1:g2:pressure": ("Pa", "1e-5"),
        "sr:vac1:g3:pressure": ("Pa", "1e-5"),
        "sr:vac2:g1:pressure": ("mbar", "1e-5"),
        "sr:vac2:g2:pressure": ("Pa", "1e-5"),
    }
    assert database.records["sr:vac2:g2:pressure"].infos == {"archive": " s"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("fiel a {}", 1, "expected 'file' or 'global', found 'fiel'"),
        ("file a {\n{X 1} }", 2, "expected '=', found '1'"),
        ("file a {\n{X=1}", 2, "expected '{', found the end of the file"),
        ("file a { pattern {X}\n{1,2} }", 2, "expected 1 values, one for each name, found 2"),
        ("file a { pattern X }", 1, "expected '{', found 'X'"),
        ('file "a', 1, "expected a word or a bracket, found a quote that is not closed"),
        ("file {", 1, "expected the name of a template, found '{'"),
        (
            "file a { {X=$(NONE)} }",
            1,
            "macro NONE has no value: define it with -m NONE=…, or give a default, $(NONE=…)",
        ),
        ("file a.db { {} }", 1, "cannot read a.db: No such file or directory"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, line: int, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """File, line, what was expected, what was found."""
    monkeypatch.chdir(tmp_path)
    Path("x.subs").write_text(text)
    with pytest.raises(DatabaseError) as caught:
        load("x.subs")

    assert str(caught.value) == f"x.subs:{line}: {message}"


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(["file", "global", "pattern", "{", "}", "=", ",", "a", '"b"', "\n", "?", '"'])))
def test_any_text_ends(words: list[str]) -> None:
    """Any sequence of words gives uses, or a problem."""
    problems: list[Problem] = []
    uses = parse(" ".join(words), "x.subs", problems)

    assert len(problems) <= 1
    assert all(use.line >= 1 for use in uses)
