"""Tables of names and addresses: what is read, and what each mistake is called."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canet.harness.gateway.table import Table, TableError


def test_plain_names_win_over_patterns() -> None:
    """The order is: the name itself, then the first pattern that fits."""
    table = Table.parse("v:* 10.1.0.3\nv:1 10.1.0.2:5066\nv:? 10.1.0.4")
    assert table.where("v:1") == "10.1.0.2:5066"
    assert table.where("v:2") == "10.1.0.3:5064"
    assert table.where("w:1") is None
    assert len(table) == 3


def test_comments_and_separators() -> None:
    """Comments, empty lines and semicolons are allowed."""
    table = Table.parse("# all\n\na 10.1.0.2 # one\nb 10.1.0.3; c 10.1.0.4")
    assert [table.where(name) for name in "abc"] == ["10.1.0.2:5064", "10.1.0.3:5064", "10.1.0.4:5064"]


def test_brackets_are_no_patterns() -> None:
    """A name with brackets, as arrays and filters have, means itself."""
    assert Table.parse("a[1]* 10.1.0.2").where("a[1]b") == "10.1.0.2:5064"
    assert Table.parse("a[1]* 10.1.0.2").where("a1b") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a", "line 1: 'a' is not NAME HOST"),
        ("a b c", "is not NAME HOST"),
        ("ok 10.1.0.2\na 10.1.0.2:x", "line 2: 'x' is no port"),
        ("a 10.1.0.2:70000", "'70000' is no port"),
        ("a somewhere", "'somewhere' is no IPv4 address"),
    ],
)
def test_mistakes_name_the_line(text: str, words: str) -> None:
    """Each mistake says where it is and what is allowed."""
    with pytest.raises(TableError, match=words.replace("[", "\\[")):
        Table.parse(text)


def test_host_names_are_looked_up_on_demand() -> None:
    """With ``resolve`` a host name counts; one that does not exist is a mistake."""
    assert Table.parse("a localhost", resolve=True).where("a") == "127.0.0.1:5064"
    with pytest.raises(TableError, match="is not found"):
        Table.parse("a no.such.host.invalid", resolve=True)


@given(st.text())
def test_no_text_is_more_than_a_mistake(text: str) -> None:
    """Any text is a table or a :class:`TableError`."""
    with contextlib.suppress(TableError):
        Table.parse(text)
