"""Python values and what PVs make of them."""

from __future__ import annotations

from enum import Enum, IntEnum

import pytest

from canet.server.ioc.kinds import kind_of
from canet.server.protocol.dbr import Native


class Colour(Enum):
    """States called by their texts."""

    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    """States called by their names."""

    LOW = 5
    HIGH = 9


def test_members_of_an_enum() -> None:
    """Members come out and go in; the states are called by texts, or by names."""
    kind = kind_of(Colour.BLUE)

    assert (kind.native, kind.states) == (Native.ENUM, ("red", "blue"))
    assert (kind.read(1), kind.write(Colour.BLUE), kind.write("blue")) == (Colour.BLUE, 1, 1)
    assert kind_of(Level.LOW).states == ("LOW", "HIGH")
    assert kind_of(Level.LOW).write(Level.HIGH) == 1


def test_bools_and_named_states() -> None:
    """A bool is Off or On; text with states is one of them, and an index beyond them is shown as it is."""
    assert kind_of(True).states == ("Off", "On")
    assert kind_of(True).read(1) is True
    named = kind_of("a", ("a", "b"))
    assert (named.read(1), named.read(7), named.write("b")) == ("b", "7", "b")


def test_types_may_be_given() -> None:
    """A type overrules what the value suggests."""
    assert kind_of(1, native="short").native == Native.SHORT
    assert kind_of(True, native="char").native == Native.CHAR
    assert kind_of(1.5).native is None


def test_what_clients_cannot_see_is_refused() -> None:
    """Types that do not exist, and more states than there can be."""
    with pytest.raises(ValueError, match="type 'int' is none of char, double, enum, float, long, short, string"):
        kind_of(1, native="int")
    with pytest.raises(ValueError, match="17 states, at most 16 reach a client"):
        kind_of("0", [str(i) for i in range(17)])
    many = Enum("many", {f"m{i}": i for i in range(17)})  # type: ignore[misc]  # made on the spot
    with pytest.raises(ValueError, match="many has 17 members"):
        kind_of(many(0))
