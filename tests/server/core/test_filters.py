"""Channel filters: what clients add to a name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.server.core.filter_kinds import States, set_state
from canet.server.core.filters import FilterError, parse
from canet.server.core.pv import PV
from canet.server.core.update import Update


def update(value: Any, stamp: int = 0) -> Update:
    return Update(value, 0, 0, stamp, 1)


def passed(filters: str, values: list[Any], states: States | None = None) -> list[Any]:
    chain = parse(filters, states or States())
    return [found.value for value in values if (found := chain.apply(update(value))) is not None]


@pytest.mark.parametrize(
    ("filters", "values", "expected"),
    [
        ('{"dbnd":{"abs":1.5}}', [0.0, 1.0, 1.5, 1.6, 3.1, 3.2], [0.0, 1.6, 3.2]),
        ("{dbnd:{d:1.5,m:'abs'}}", [0.0, 1.5, 2.0], [0.0, 2.0]),
        ("{dbnd:{abs:'1.5'}}", [0, 1, 2], [0, 2]),
        ('{"dbnd":{"rel":10}}', [100.0, 105.0, 111.0, 122.0, 123.0], [100.0, 111.0, 123.0]),
        ("{dbnd:{d:10,m:'rel'}}", [-100.0, -105.0, -111.0], [-100.0, -111.0]),
        ("{dbnd:{}}", [1.0, 1.0, 1.1], [1.0, 1.1]),
        ("{dbnd:{abs:1}}", [math.nan, math.nan, 1.0, math.inf, math.inf, -math.inf], [1.0, math.inf, -math.inf]),
        ("{dbnd:{abs:1}}", ["a", "a"], ["a", "a"]),
        ("{dec:{n:3}}", list(range(8)), [0, 3, 6]),
        ("{dec:{n:1}}", [1, 2], [1, 2]),
        ("{dbnd:{abs:1},dec:{n:2}}", [0, 1, 2, 4, 6, 8], [0, 4, 8]),
        ("{dec:{n:2},dbnd:{abs:1}}", [0, 1, 2, 4, 6, 8], [0, 2, 6]),
    ],
)  # fmt: skip
def test_updates_pass_or_not(filters: str, values: list[Any], expected: list[Any]) -> None:
    """Dead bands and decimation, in both spellings, alone and one after the other."""
    assert passed(filters, values) == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("[2:5]", [2, 3, 4, 5]),
        ("[2:3:9]", [2, 5, 8]),
        ("[3]", [3]),
        ("[-1]", [9]),
        ("[-3:]", [7, 8, 9]),
        ("[:-8]", [0, 1, 2]),
        ("[:4:]", [0, 4, 8]),
        ("[]", [0]),
        ("[8:20]", [8, 9]),
        ("[5:2]", []),
        ("[-20:1]", [0, 1]),
        ('{"arr":{"s":2,"i":3,"e":8}}', [2, 5, 8]),
        ("{arr:{}}", list(range(10))),
        ("{arr:{i:0}}", list(range(10))),
        ("[2:8]{arr:{s:-2}}", [7, 8]),
    ],
)
def test_arrays_are_sliced(filters: str, expected: list[int]) -> None:
    """Start, step and end, from either end of the array; the announced count is that of the full array."""
    chain = parse(filters)

    assert list(chain.read(update(np.arange(10))).value) == expected
    assert list(passed(filters, [np.arange(10)])[0]) == expected
    assert chain.count(10) == max(1, len(expected))
    assert chain.count(1) == 1


def test_text_arrays_and_scalars() -> None:
    """Arrays of text are sliced too; scalars stay."""
    assert parse("[1:2]").read(update(("a", "b", "c"))).value == ("b", "c")
    assert parse("[1:2]").read(update("abc")).value == "abc"
    assert parse("[1:2]").read(update(1.5)).value == 1.5


@pytest.fixture
def clock() -> Iterator[None]:
    before = PV.clock
    PV.clock = staticmethod(lambda: 42)
    yield
    PV.clock = before


@pytest.mark.usefixtures("clock")
def test_the_time_is_that_of_the_filter() -> None:
    """``ts`` gives updates and reads the time of now."""
    chain = parse('{"ts":{}}')
    sent = chain.apply(update(1.0, 7))

    assert sent is not None
    assert (sent.stamp, chain.read(update(1.0, 7)).stamp) == (42, 42)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("before", [1, 5]),
        ("first", [2, 6]),
        ("last", [3, 6]),
        ("after", [4, 7]),
        ("while", [2, 3, 6]),
        ("unless", [0, 1, 4, 5, 7]),
    ],
)
@pytest.mark.parametrize("spelling", ['{{"sync":{{"m":"{0}","s":"beam"}}}}', "{{sync:{{{0}:'beam'}}}}"])
def test_updates_follow_a_state(mode: str, spelling: str, expected: list[int]) -> None:
    """Which updates pass while a state goes off, on, on, off, off, on, off."""
    states = States()
    states.set("beam", False)
    chain = parse(spelling.format(mode), states)
    seen = []
    for number, flag in enumerate((False, False, True, True, False, False, True, False)):
        states.set("beam", flag)
        if (found := chain.apply(update(number))) is not None:
            seen.append(found.value)

    assert seen == expected


def test_states_of_the_process() -> None:
    """A filter may name a state as soon as it was set."""
    with pytest.raises(FilterError, match="there is no state 'test of states'"):
        parse("{sync:{while:'test of states'}}")
    set_state("test of states", True)

    assert parse("{sync:{while:'test of states'}}").apply(update(1)) is not None


def test_reads_pass_what_drops_updates() -> None:
    """A read is never dropped."""
    chain = parse("{dbnd:{abs:9},dec:{n:9}}")

    assert [chain.read(update(v)).value for v in (1.0, 1.1)] == [1.0, 1.1]


def test_each_subscription_remembers_for_itself() -> None:
    """Two chains do not disturb each other."""
    first, second = parse("{dec:{n:2}}"), parse("{dec:{n:2}}")

    assert [c.apply(update(1)) is None for c in (first, second, first, second)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ("{", "filter '{': expected a key at character 2, found the end"),
        ("{nope:{}}", "there is no filter 'nope': expected one of dbnd, arr, ts, sync, dec"),
        ("{dbnd:5}", "filter dbnd: expected {…}, found 5"),
        ("{dbnd:{abs:'x'}}", "filter dbnd: expected a number for 'abs', found 'x'"),
        ("{dbnd:{abs:true}}", "filter dbnd: expected a number for 'abs', found True"),
        ("{dbnd:{m:'so'}}", "filter dbnd: expected one of abs, rel for 'm', found 'so'"),
        ("{dbnd:{abs:1,q:1}}", "filter dbnd has no argument 'q'"),
        ("{arr:{s:1.5}}", "filter arr: expected a whole number for 's', found 1.5"),
        ("{dec:{}}", "filter dec: expected 'n' of at least 1"),
        ("{dec:{n:0}}", "filter dec: expected 'n' of at least 1"),
        ("{dec:{n:'2'}}", "filter dec: expected a number for 'n', found '2'"),
        (
            "{sync:{m:'while'}}",
            "filter sync: expected 'm' (one of before, first, last, after, while, unless) and 's' (a state)",
        ),
        ("{sync:{while:'dark'}}", "filter sync: there is no state 'dark'"),
        ("{ts:{x:1}}", "filter ts has no argument 'x'"),
        ("[a]", "expected [start:step:end], found '[a]'"),
        ("[1:2:3:4]", "expected [start:step:end], found '[1:2:3:4]'"),
        ("[1]x", "filter 'x': expected a value at character 2, found the end"),
        ("5", "expected {filter: {…}}, found '5'"),
    ],
)  # fmt: skip
def test_mistakes_are_told(filters: str, message: str) -> None:
    """What is wrong, and what was expected."""
    with pytest.raises(FilterError) as caught:
        parse(filters)

    assert str(caught.value) == message


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="{}[]:,'dbndarrtsyncdecabsrelmen0123456789.-", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever a client writes gives filters or a FilterError."""
    try:
        chain = parse(text)
    except FilterError:
        return
    assert chain.count(10) >= 1


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 12), st.integers(-15, 15), st.integers(1, 5), st.integers(-15, 15))
def test_slices_are_those_of_python(length: int, first: int, step: int, last: int) -> None:
    """A slice is what Python's slices give, with the end included."""
    values = list(range(length))
    after = None if last == -1 else last + 1

    assert list(parse(f"[{first}:{step}:{last}]").read(update(np.arange(length))).value) == values[first:after:step]
