"""JSON as EPICS writes it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.server.core.json5 import Json5Error, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", {}),
        ("[1, 2,]", [1, 2]),
        ('{a: 1, \'b\': "c", "d": [true, false, null]}', {"a": 1, "b": "c", "d": [True, False, None]}),
        (" { // why\n x: /* so */ -.5e1 , } ", {"x": -5.0}),
        ("+0x1F", 31),
        ("-Infinity", -math.inf),
        ("5.", 5.0),
        ("'it\\'s \\u00e9\\x41'", "it's éA"),
    ],
)
def test_values_are_read(text: str, expected: Any) -> None:
    """Bare keys, both quotes, trailing commas, comments and the numbers of JSON5."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a value at character 1, found the end"),
        ("{a 1}", "expected ':' at character 4, found '1'"),
        ("{a:1", "expected ',' or '}' at character 5, found the end"),
        ("[1 2]", "expected ',' or ']' at character 4, found '2'"),
        ("{1:2}", "expected a key at character 2, found '1'"),
        ("'x", 'expected a string with its closing quote at character 1, found "\'"'),
        ("1 2", "expected the end at character 3, found '2'"),
        ("maybe", "expected a value at character 6, found the end"),
        ("[" * 100, "expected at most 32 levels at character 34, found '['"),
        ("{", "expected a key at character 2, found the end"),
    ],
)
def test_mistakes_are_told(text: str, message: str) -> None:
    """What was expected, where, and what was found."""
    with pytest.raises(Json5Error) as caught:
        parse(text)

    assert str(caught.value) == message


@settings(deadline=None, max_examples=100)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=12,
    )
)
def test_all_json_is_json5(value: Any) -> None:
    """What the standard library writes is read as it was."""
    assert parse(json.dumps(value, ensure_ascii=False)) == value


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="{}[]:,'\"\\ax1.-+e/* \n", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else than a value or a Json5Error comes of any text."""
    try:
        parse(text)
    except Json5Error as error:
        assert "expected" in str(error)  # noqa: PT017 - both outcomes are right
