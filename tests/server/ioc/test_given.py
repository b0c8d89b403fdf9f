"""PVs that are given as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.server.core.pv import PV
from canet.server.ioc import Group
from canet.server.ioc.given import GivenError, add_argument, add_file
from canet.server.ioc.group import host_of
from canet.server.protocol.alarm import Severity
from canet.server.protocol.dbr import Native


def pv_of(text: str) -> PV:
    group = Group("p:")
    add_argument(group, text)
    return next(iter(host_of(group).directory))


@pytest.mark.parametrize(
    ("text", "name", "native", "count", "value"),
    [
        ("x=1.5", "p:x", Native.DOUBLE, 1, 1.5),
        ("x=3", "p:x", Native.LONG, 1, 3),
        ("a:b:c=hello world", "p:a:b:c", Native.STRING, 1, "hello world"),
        ("x=", "p:x", Native.STRING, 1, ""),
        ("x='5'", "p:x", Native.STRING, 1, "5"),
        ("x=true", "p:x", Native.ENUM, 1, 1),
        ("x=[1,2.5]", "p:x", Native.DOUBLE, 2, [1, 2.5]),
        ("x=['a','b']", "p:x", Native.STRING, 2, ("a", "b")),
        ("x:double=3", "p:x", Native.DOUBLE, 1, 3.0),
        ("x:double[8]=[1]", "p:x", Native.DOUBLE, 8, [1.0]),
        ("x:short=70000", "p:x", Native.SHORT, 1, 4464),
        ("x:float=0.5", "p:x", Native.FLOAT, 1, 0.5),
        ("x:char[9]=hello", "p:x", Native.CHAR, 9, list(b"hello")),
        ("x:char=7", "p:x", Native.CHAR, 1, 7),
        ("x:string=7", "p:x", Native.STRING, 1, "7"),
        ("lab:mode:enum=off,on", "p:lab:mode", Native.ENUM, 1, 0),
        ("x={a:1}", "p:x", Native.STRING, 1, "{a:1}"),
        ("x=a=b", "p:x", Native.STRING, 1, "a=b"),
    ],
)
def test_arguments(text: str, name: str, native: Native, count: int, value: Any) -> None:
    """Names may have colons; a type stands behind the last one; values are JSON, or else text."""
    pv = pv_of(text)

    assert (pv.name, pv.type, pv.max_count) == (name, native, count)
    assert np.array_equal(pv.value, value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "'x': expected NAME=VALUE or NAME:type=VALUE"),
        ("=5", "'=5': expected NAME=VALUE or NAME:type=VALUE"),
        ("x:double=a", "'a' is no double: expected a number or a list of numbers"),
        ("x:double[1]=[1,2]", "'x:double[1]=[1,2]': p:x: "),
        ("x=[1,'a']", "\"x=[1,'a']\": p:x: "),
        (f"x:enum={','.join('abcdefghijklmnopq')}", "'x:enum=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q': 17 states"),
    ],
)
def test_bad_arguments_are_told(text: str, message: str) -> None:
    """What was given, and what was expected."""
    with pytest.raises(GivenError) as caught:
        pv_of(text)

    assert str(caught.value).startswith(message)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="ax:=[]{}'\"0129.,truefalsnumdobhicg-", max_size=24))
def test_any_argument_is_served_or_refused(text: str) -> None:
    """Whatever is typed makes a PV or a GivenError."""
    try:
        pv = pv_of(text)
    except GivenError:
        return
    assert pv.name.startswith("p:")


GOOD = """
[pvs]
plain = 1.5
"a:list" = [1, 2, 3]
[pvs.mode]
value = "open"
states = ["closed", "open"]
severities = { closed = "MAJOR" }
description = "the valve"
[pvs.current]
value = 7
type = "double"
units = "mA"
warning = [1, 9]
read_only = true
"""


def test_files(tmp_path: Path) -> None:
    """A value alone, or a table with all that may be said of a PV."""
    file = tmp_path / "pvs.toml"
    file.write_text(GOOD)
    group = Group("p:")
    add_file(group, file)
    find = host_of(group).directory.pvs

    assert sorted(find) == ["p:a:list", "p:current", "p:mode", "p:plain"]
    assert (find["p:mode"].value, find["p:mode"].description) == (1, "the valve")
    assert find["p:mode"].metadata.state_severities == (Severity.MAJOR, Severity.NO_ALARM)
    current = find["p:current"]
    assert (current.type, current.read_only, current.metadata.units) == (Native.DOUBLE, True, "mA")
    assert (current.metadata.low, current.metadata.high) == (1, 9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", ": Invalid value"),
        ("[pv]", ": there is no key 'pv': expected a table 'pvs'"),
        ("", ": expected a table 'pvs' with the names of PVs"),
        ("[pvs.x]\nunits='A'", ": pvs.x: expected a key 'value'"),
        ("[pvs.x]\nvalue=1\nunit='A'", ": pvs.x: there is no key 'unit' (did you mean 'units'?)"),
        ("[pvs.x]\nvalue=1\nunits=5", ": pvs.x.units: expected text, found 5"),
        ("[pvs.x]\nvalue=1\nlimits=[1]", ": pvs.x.limits: expected two numbers, [low, high], found [1]"),
        ("[pvs.x]\nvalue=1\nread_only=1", ": pvs.x.read_only: expected true or false, found 1"),
        ("[pvs.x]\nvalue=1\ntype='int'", ": pvs.x.type: expected one of char, double, enum, float, long"),
        ("[pvs.x]\nvalue='c'\nstates=['a']", ": pvs.x: x: 'c' is none of the states 'a'"),
        ("[pvs.x]\nvalue='a'\nstates=['a']\nseverities={a='BAD'}",
         ": pvs.x.severities: expected a table of state = NO_ALARM, MINOR, MAJOR or INVALID, found {'a': 'BAD'}"),
        ("[pvs]\nx=2020-01-01", ": pvs.x: x: "),
    ],
)  # fmt: skip
def test_bad_files_are_told(tmp_path: Path, text: str, message: str) -> None:
    """File, key, what was found, what is allowed."""
    file = tmp_path / "pvs.toml"
    file.write_text(text)
    with pytest.raises(GivenError) as caught:
        add_file(Group(), file)

    assert str(caught.value).startswith(f"{file}{message}")
