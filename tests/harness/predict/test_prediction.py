"""What is certain and what is luck, as sets."""

from __future__ import annotations

from canet.harness.predict import Sure

AB = frozenset({"a", "b"})


def test_outcomes_in_words() -> None:
    """The nearest outcome of what is certain and what is luck."""
    assert str(Sure(always=AB).outcome()) == "all of a, b"
    assert str(Sure(maybe=AB, picks=(AB,)).outcome()) == "one of a, b, spread"
    assert str(Sure(always=frozenset({"a"}), maybe=frozenset({"b"})).outcome()) == "some of a, b"
    assert str(Sure().outcome()) == "none"


def test_exactly_one_of_a_pick_is_allowed() -> None:
    """Either name of a pick may come, both or none may not."""
    sure = Sure(maybe=AB, picks=(AB,))

    assert sure.allows({"a"}) == ""
    assert sure.allows({"b"}) == ""
    assert "only one of" in sure.allows({"a", "b"})
    assert "should have been there" in sure.allows(())


def test_what_is_certain_must_come_and_strangers_must_not() -> None:
    """A missing name and a stranger are both told."""
    sure = Sure(always=frozenset({"a"}))

    assert sure.allows({"a"}) == ""
    assert "a should have been there" in sure.allows(())
    assert "c should not have been there" in sure.allows({"a", "c"})
