"""The grammar of database files, and what is said where it is not kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.server.core.problem import Problem
from canet.server.database.parser import Alias, Include, RecordBlock, SearchPath, Statement, parse


def read(text: str) -> tuple[list[Statement], list[Problem]]:
    problems: list[Problem] = []
    return list(parse(text, "x.db", problems)), problems


def block(text: str) -> RecordBlock:
    (statement,), problems = read(text)
    assert not problems
    assert isinstance(statement, RecordBlock)
    return statement


def test_a_record_has_fields_infos_and_aliases() -> None:
    """All items of a record are kept, in order, with their lines."""
    found = block('# c\nrecord(ai, "X:a") { # why\n field(VAL,"1") field(EGU , mm)\n info("k", "v")\n alias("Y")\n}\n')

    assert (found.type, found.name, found.line) == ("ai", "X:a", 2)
    assert [(name, value, found.line_of(at)) for name, value, at in found.fields] == [("VAL", "1", 3), ("EGU", "mm", 3)]
    assert found.infos == [("k", "v")]
    assert [(alias, found.line_of(at)) for alias, at in found.aliases] == [("Y", 5)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"a b"', "a b"),
        ('""', ""),
        ("bare-word:1.5[0]<x>;", "bare-word:1.5[0]<x>;"),
        ('"say \\"hi\\"\\n"', 'say "hi"\n'),
        ('"\\x41\\102"', "AB"),
        ('"# no comment"', "# no comment"),
        ("'single'", "single"),
        ('[1, 2, "]"]', '[1, 2, "]"]'),
        ('{pva:{pv:"}", n:[1]}}', '{pva:{pv:"}", n:[1]}}'),
        ('{calc:{ # comment }\n expr:"A"}}', '{calc:{ # comment }\n expr:"A"}}'),
    ],
)
def test_values_are_quoted_bare_or_json(value: str, expected: str) -> None:
    """A field value may be written in each of these ways."""
    assert [v for _, v, _ in block(f"record(ai, x) {{ field(INP, {value}) }}").fields] == [expected]


def test_other_statements_are_read() -> None:
    """Aliases, includes, paths, grecord, and records without a body; definitions of .dbd files are stepped over."""
    statements, problems = read(
        'alias("a", "b") include "f.db" path "x:y" addpath "z"\n'
        'menu(m) { choice(c, "}") }\ndevice(ai, CONSTANT, dset, "n")\nrecordtype(t) { field(VAL, DBF_X) { asl(0) } }\n'
        'breaktable(t) { 0 1\n 2 3 }\ngrecord("*", a)\n'
    )

    assert not problems
    assert statements[:4] == [
        Alias("a", "b", 1), Include("f.db", 1), SearchPath(("x", "y"), adds=False), SearchPath(("z",), adds=True),
    ]  # fmt: skip
    assert isinstance(statements[4], RecordBlock)
    assert (statements[4].type, statements[4].name) == ("*", "a")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("record(ai)", 1, "expected ',', found ')'"),
        ("record(ai, \n\"x) {\n}", 2, 'expected a record name, found "x) { without its closing quote'),
        ("record(ai, x) {\n field(VAL \"1\")\n}", 2, "expected ',', found '\"'"),
        ("record(ai, x) {\n feild(VAL, 1)\n}", 2, "expected 'field', 'info', 'alias' or '}', found 'feild'"),
        ("record(ai, x) {\n\n", 3, "expected '}' to close record 'x' of line 1, found the end of the file"),
        ("\nrecrd(ai, x)", 2, "expected 'record', 'grecord', 'alias' or 'include', found 'recrd'"),
        ("record(ai, x) { field(INP, {a:1) }", 1, "expected ')', found the end of the file"),
        ("record(ai, x) { field(INP, {a:1) ", 1, "expected '}' for the '{' of line 1, found the end of the file"),
        ("record(ai, x) { alias(x, y) }", 1, "expected ')', found ','"),
        ("?", 1, "expected a statement: 'record', 'alias', 'include' …, found '?'"),
    ],
)  # fmt: skip
def test_mistakes_say_what_was_expected(text: str, line: int, message: str) -> None:
    """Each mistake has its line, what was expected and what was found."""
    assert read(text)[1] == [Problem("x.db", line, message)]


def test_reading_goes_on_after_a_mistake() -> None:
    """Good records around bad ones are read, and each bad one is told once."""
    statements, problems = read(
        "record(ai, a) { }\nrecord(ai b) { field(VAL, 1) }\nrecord(ai, c) { field(VAL) }\nrecord(ai, d) { }\n"
    )

    assert [s.name for s in statements if isinstance(s, RecordBlock)] == ["a", "d"]
    assert [p.line for p in problems] == [2, 3]


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet='record(ai,"x") {field\n#[]}\'\\:', max_size=60))
def test_any_text_ends(text: str) -> None:
    """Whatever a file holds, reading it ends, in statements and problems."""
    statements, problems = read(text)

    assert all(p.line >= 1 for p in problems)
    assert isinstance(statements, list)


@settings(deadline=None, max_examples=100)
@given(
    st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\x85\u2028\u2029"), max_size=30)
)
def test_quoted_text_comes_back(text: str) -> None:
    """A text with its quotes, backslashes and newlines escaped is read as it was."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    assert block(f'record(ai, x) {{ field(DESC, "{escaped}") }}').fields[0][1] == text
