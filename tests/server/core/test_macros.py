"""Macros of database files."""

from __future__ import annotations

import pytest

from canet.server.core.macros import MacroError, expand, parse_macros


@pytest.mark.parametrize(
    ("text", "macros", "expected"),
    [
        ("nothing", "", "nothing"),
        ("$(A)${B}", "A=1,B=2", "12"),
        ("$(A=x)", "", "x"),
        ("$(A=)", "", ""),
        ("$(A=x)", "A=", ""),
        ("$(A=$(B=$(C=deep)))", "", "deep"),
        ("$(A=$(B))", "B=b", "b"),
        ("$($(A))", "A=B,B=2", "2"),
        ("$(S$(N)=none)", "N=3,S3=three", "three"),
        ("$(A)", "A=$(B)-,B=b", "b-"),
        ("$(A,B=5)", "A=<$(B)>", "<5>"),
        ("\\$(A) '$(A)' \"$(A)\"", "A=1", "\\$(A) '$(A)' \"1\""),
        ("it costs 5$ (really)", "A=1", "it costs 5$ (really)"),
        ("$(A=(x))", "", "(x)"),
        ("${A=$(B)}", "B=1", "1"),
    ],
)
def test_references_are_replaced(text: str, macros: str, expected: str) -> None:
    """Each form of reference gives what macLib gives."""
    if text == "$(A=(x))":  # a bracket in a default is not counted: macLib ends the reference at the first one
        expected = "(x)"
    assert expand(text, parse_macros(macros)) == expected


@pytest.mark.parametrize(
    ("text", "macros", "part"),
    [
        ("$(A)", {}, "macro A has no value"),
        ("$(A", {"A": "1"}, "is not closed"),
        ("$(A)", {"A": "$(B)", "B": "$(A)"}, "refers to itself"),
    ],
)
def test_bad_references_are_told(text: str, macros: dict[str, str], part: str) -> None:
    """What cannot be expanded says why, and how to help."""
    with pytest.raises(MacroError, match=part):
        expand(text, macros)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("A=1", {"A": "1"}),
        ("A=1,B=2", {"A": "1", "B": "2"}),
        (" A = 1 , B=2 ", {"A": "1", "B": "2"}),
        ("A=1 B=2", {"A": "1", "B": "2"}),
        ("A='x,y', B=\"p q\"", {"A": "x,y", "B": "p q"}),
        ("A=x\\,y", {"A": "x,y"}),
        ("A=,B=2", {"A": "", "B": "2"}),
        ("A=$(B=1,C=2)", {"A": "$(B=1,C=2)"}),
    ],
)
def test_definitions_are_read(text: str, expected: dict[str, str]) -> None:
    """Commas and white space part definitions; quotes and backslashes protect them."""
    assert parse_macros(text) == expected


@pytest.mark.parametrize("text", ["=1", "A='x"])
def test_bad_definitions_are_told(text: str) -> None:
    """A value without a name and an open quote are errors."""
    with pytest.raises(MacroError):
        parse_macros(text)
