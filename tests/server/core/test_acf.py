"""Access security files."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.server.core.acf import Access, Group, parse
from canet.server.core.problem import AcfError

FILE = """
# who
UAG(operators) {anna, "bert"}
UAG(nobody)
HAG(control) {Console1, console2.example.org}
ASG(DEFAULT) { RULE(1, READ) RULE(0, WRITE, TRAPWRITE) }
ASG(shutter) {
    INPA(BL7:permit) INPB("BL7:mode.VAL")
    RULE(1, READ, NOTRAPWRITE)
    RULE(1, WRITE) { UAG(operators, nobody) HAG(control) CALC("A=1 && B#2") }
}
ASG(closed)
"""


def test_a_file_is_read() -> None:
    """Groups of users and hosts, inputs, rules with all their conditions."""
    file = parse(FILE)

    assert file.users == {"operators": {"anna", "bert"}, "nobody": frozenset()}
    assert file.hosts == {"control": {"console1", "console2.example.org"}}
    assert file.groups["closed"] == Group()
    shutter = file.groups["shutter"]
    assert shutter.inputs == {0: "BL7:permit", 1: "BL7:mode.VAL"}
    read, write = shutter.rules
    assert (read.level, read.access, read.trap, read.users, read.calc) == (1, Access.READ, False, (), None)
    assert (write.access, write.users, write.hosts) == (Access.WRITE, ("operators", "nobody"), ("control",))
    assert write.calc is not None
    assert write.calc.text == "A=1 && B#2"
    assert [rule.trap for rule in file.groups["DEFAULT"].rules] == [False, True]


def test_a_file_may_be_empty_and_have_macros() -> None:
    """There is always a group DEFAULT; macros are expanded, but not in comments."""
    assert parse("").groups == {"DEFAULT": Group()}
    assert parse("# $(NONE)\nUAG(a) {$(WHO)}", macros={"WHO": "eve"}).users == {"a": {"eve"}}


def test_what_newer_versions_know_grants_nothing() -> None:
    """Unknown conditions disable their rule, unknown blocks are stepped over; both are noted."""
    file = parse('X(y) { z(1) }\nASG(a) { RULE(1,WRITE) { METHOD("x509") }\n RULE(0,READ) RULE(1,FLY) }')

    assert [rule.enabled for rule in file.groups["a"].rules] == [False, True, False]
    assert [str(warning) for warning in file.warnings] == [
        "access security:1: X is not known and ignored",
        "access security:2: a rule with METHOD grants nothing",
        "access security:3: a rule that grants 'FLY' is ignored",
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("UAG", 1, "expected '(', found the end of the file"),
        ("UAG(a", 1, "expected ')', found the end of the file"),
        ("UAG(a) {b c}", 1, "expected '}', found 'c'"),
        ("UAG(a)\nUAG(a)", 2, "the user group a is defined twice"),
        ("HAG(a) {}", 1, "expected a host name, found '}'"),
        ("\nHELLO", 2, "expected UAG, HAG or ASG, found 'HELLO'"),
        ("ASG(a) {\nINPZ(b)}", 2, "expected INPA to INPU, RULE or '}', found 'INPZ'"),
        ("ASG(a) {RULE(x,READ)}", 1, "expected a level (0 or 1), found 'x'"),
        ("ASG(a) {RULE(1,READ,LOG)}", 1, "expected TRAPWRITE or NOTRAPWRITE, found 'LOG'"),
        ("ASG(a) {RULE(1,READ) {\nUAG(q)}}", 2, "there is no user group q before this line"),
        ("ASG(a) {RULE(1,READ) {CALC(\"A+\")}}", 1,
         "CALC: 'A+': expected a number, an input A to U, a function or '(', found the end"),
        ("ASG(a) {RULE(1,READ)}\nASG(a)", 2, "the access group a is defined twice"),
        ("UAG(\"a", 1, "expected a word, '(' or '{', found a quote that is not closed"),
        ("UAG(a) {b}\n%", 2, "expected a word, '(' or '{', found '%'"),
        ("ASG(a) {", 1, "expected INPA to INPU, RULE or '}', found the end of the file"),
        ("UAG($(X))", 1, "macro X has no value: define it with -m X=…, or give a default, $(X=…)"),
        ("Q(", 1, "expected ')', found the end of the file"),
    ],
)  # fmt: skip
def test_mistakes_are_told(text: str, line: int, message: str) -> None:
    """File, line, what was expected, what was found."""
    with pytest.raises(AcfError) as caught:
        parse(text, "x.acf")

    assert str(caught.value) == f"x.acf:{line}: {message}"


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.sampled_from(["UAG", "HAG", "ASG", "RULE", "(", ")", "{", "}", ",", "1", "READ", "x", "\n", "CALC"]))
)
def test_any_text_is_read_or_refused(words: list[str]) -> None:
    """Any sequence of words gives groups or an AcfError."""
    try:
        file = parse(" ".join(words))
    except AcfError as error:
        assert error.problems  # noqa: PT017 - both outcomes are right
        return
    assert "DEFAULT" in file.groups
