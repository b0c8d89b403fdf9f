"""Dotted paths: what they reach, make and remove."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canet.scenarios import override
from canet.scenarios.errors import MistakeError


def test_names_below_free_tables_may_have_dots() -> None:
    """A sysctl, a PV or a path is one key, whatever dots it has."""
    changed = override.apply(
        {"hosts": {"a": {}}}, {"hosts.a.sysctls.net.ipv4.ip_forward": 1, "hosts.a.files./etc/a.b": "x"}
    )
    assert changed == {"hosts": {"a": {"sysctls": {"net.ipv4.ip_forward": 1}, "files": {"/etc/a.b": "x"}}}}


def test_the_document_is_not_touched() -> None:
    """The changed document is a copy, and so is each new value."""
    document, value = {"a": {"b": [1]}}, [2]
    changed = override.apply(document, {"a.c": value, "a.b.0": 5})
    changed["a"]["c"].append(3)
    assert (document, value, changed["a"]["b"]) == ({"a": {"b": [1]}}, [2], [5])


def test_what_is_not_there_cannot_be_removed() -> None:
    """A misspelt path in ``unset`` is a mistake, with the nearest spelling."""
    with pytest.raises(MistakeError) as caught:
        override.apply({"servers": {"ioc1": {}}}, {}, ["servers.ioc"])
    assert caught.value.nearest == "ioc1"


@pytest.mark.parametrize("path", ["a.b.c", "l.7", "l.x"])
def test_a_path_through_a_value_is_a_mistake(path: str) -> None:
    """A path must lead through tables, and to items that exist."""
    with pytest.raises(MistakeError):
        override.apply({"a": {"b": 1}, "l": [1]}, {path: 2})


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=1", 1), ("a=[1, 2]", [1, 2]), ("a=10.1.0.2", "10.1.0.2"), ("a=", ""), ('a="1"', "1"), ("a=NO", "NO")],
)
def test_a_value_is_toml_or_text(text: str, value: object) -> None:
    """The command line need not quote text twice."""
    assert override.read(text) == ("a", value)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,3}(\.[a-z]{1,3}){0,3}", fullmatch=True), st.integers(), max_size=6))
def test_what_is_set_can_be_removed(values: dict[str, int]) -> None:
    """Every path either is a mistake or can be taken back."""
    for path, value in values.items():
        changed = override.apply({}, {path: value})
        assert str(value) not in str(override.apply(changed, {}, [path]))
