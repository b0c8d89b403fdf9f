"""CALC expressions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.server.core.calc import Calc, CalcError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1+2*3", 7),
        ("(1+2)*3", 9),
        ("2^3^2", 64),
        ("-2^2", 4),
        ("2**3", 8),
        ("7%4", 3),
        ("7-2-1", 4),
        ("a+B+c", 6),
        ("A=1", 1),
        ("A==1&&B#3", 1),
        ("A>1||B<=2", 1),
        ("!A", 0),
        ("~0", -1),
        ("NOT 5", -6),
        ("6&3|8", 10),
        ("6 XOR 3", 5),
        ("6 AND 3 OR 1", 3),
        ("1<<4>>2", 4),
        ("-1>>>28", 15),
        ("A?B:C", 2),
        ("A<0?1:B<0?2:3", 3),
        ("ABS(-3)+SQRT(16)", 7),
        ("MAX(A,B,C)-MIN(A,B)", 2),
        ("NINT(2.5)+NINT(-2.5)", 0),
        ("FLOOR(2.7)+CEIL(2.1)", 5),
        ("LOG(1000)", 3),
        ("LN(EXP(2))", 2),
        ("SIN(PI/2)", 1),
        ("180*D2R*R2D", 180),
        ("ATAN2(2,0)", 0),
        ("ISNAN(0/0)", 1),
        ("ISINF(1/0)", 1),
        ("FINITE(1,2)", 1),
        ("SQRT(-1)", math.nan),
        ("0x10+.5e1", 21),
        ("1;2", 2),
        ("1;", 1),
        ("D", 0),
    ],
)
def test_expressions_are_evaluated(text: str, expected: float) -> None:
    """Operators, their precedence, functions and constants are those of EPICS."""
    found = Calc(text)([1.0, 2.0, 3.0])

    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'': expected a number, an input A to U, a function or '(', found the end"),
        ("1+", "'1+': expected a number, an input A to U, a function or '(', found the end"),
        ("(1", "'(1': expected ')', found the end"),
        ("1 2", "'1 2': expected an operator, found 2"),
        ("A?1", "'A?1': expected ':', found the end"),
        ("A:=1", "'A:=1': expected an operator, found :="),
        ("NOPE(1)", "'NOPE(1)': expected a number, an input A to U, a function or '(', found NOPE"),
        ("MAX 1", "'MAX 1': expected '(', found 1"),
        ("1@", "'1@': unexpected '@' at character 2"),
        ("ATAN2(1)", "'ATAN2(1)': ATAN2 needs two arguments, found 1"),
    ],
)
def test_mistakes_are_told(text: str, message: str) -> None:
    """What was expected, and what was found."""
    with pytest.raises(CalcError) as caught:
        Calc(text)

    assert str(caught.value) == message


def test_the_inputs_that_occur_are_known() -> None:
    """Access security asks which inputs a condition depends on."""
    assert Calc("A+c*U").used == {0, 2, 20}


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="AB1.+-*/%^&|=<>!~?:();, ISNANMAX", max_size=16), st.floats(), st.floats())
def test_any_text_is_a_number_or_refused(text: str, a: float, b: float) -> None:
    """Whatever an expression is, it gives a number for any inputs, or is refused."""
    try:
        calc = Calc(text)
    except CalcError:
        return
    assert isinstance(calc([a, b]), float)
