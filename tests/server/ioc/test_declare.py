"""Declarations: what a class holds, what its instances give, and what types they have."""

from __future__ import annotations

from enum import Enum
from typing import Any, assert_type

import numpy as np
import pytest
from numpy.typing import NDArray

from canet.server.core.macros import MacroError
from canet.server.ioc import Array, ArrayVariable, Declaration, Group, Variable, pv, subgroup
from canet.server.ioc.group import host_of
from canet.server.protocol.dbr import Native


class Mode(Enum):
    """Two states."""

    AUTO = "auto"
    MANUAL = "manual"


class Inner(Group):
    """One PV."""

    depth = pv(1, description="depth of $(WHERE=nowhere)")


class Everything(Group):
    """One PV of each kind."""

    number = pv(1.5)
    whole = pv(3)
    text = pv("hello", name="Text-$(N)")
    long_text = pv("x", max_length=200)
    switch = pv(False)
    mode = pv(Mode.MANUAL)
    state = pv("b", states=("a", "b"))
    listed = pv([1.0, 2.0], max_count=5)
    array = pv(np.arange(3, dtype=np.int16))
    image = pv(b"abc", max_count=10)
    texts = pv(["a", "b"], max_count=4)
    small = pv(7, type="short")
    inner = subgroup(Inner, WHERE="here")
    other = subgroup(Inner, "other.")


def everything() -> Everything:
    return Everything("p:", {"N": "5"})


def test_values_have_their_types() -> None:
    """What a type checker knows of declarations, variables and values (it fails there, not here)."""
    group = everything()
    assert_type(Everything.number, Declaration[float])
    assert_type(Everything.listed, Array)
    assert_type(group.number, Variable[float])
    assert_type(group.whole.value, int)
    assert_type(group.text.value, str)
    assert_type(group.switch.value, bool)
    assert_type(group.mode.value, Mode)
    assert_type(group.state.value, str)
    assert_type(group.listed, ArrayVariable)
    assert_type(group.array.value, NDArray[Any])
    assert_type(group.texts.value, tuple[str, ...])
    assert_type(group.inner, Inner)
    assert_type(group.inner.depth.value, int)


def test_values_are_what_was_declared() -> None:
    """The first values, in the author's own types."""
    group = everything()

    assert (group.number.value, group.whole.value, group.text.value) == (1.5, 3, "hello")
    assert group.switch.value is False
    assert group.mode.value is Mode.MANUAL
    assert group.state.value == "b"
    assert group.listed.value.tolist() == [1.0, 2.0]
    assert group.texts.value == ("a", "b")
    assert group.image.value.tobytes() == b"abc"


def test_pvs_have_names_and_types() -> None:
    """Names from attributes, names given, macros, prefixes of inner groups; the native types and counts."""
    found = {each.name: (each.type, each.max_count) for each in host_of(everything()).directory}

    assert found == {
        "p:number": (Native.DOUBLE, 1), "p:whole": (Native.LONG, 1), "p:Text-5": (Native.STRING, 1),
        "p:long_text": (Native.STRING, 1), "p:switch": (Native.ENUM, 1), "p:mode": (Native.ENUM, 1),
        "p:state": (Native.ENUM, 1), "p:listed": (Native.DOUBLE, 5), "p:array": (Native.SHORT, 3),
        "p:image": (Native.CHAR, 10), "p:texts": (Native.STRING, 4), "p:small": (Native.SHORT, 1),
        "p:inner:depth": (Native.LONG, 1), "p:other.depth": (Native.LONG, 1),
    }  # fmt: skip
    assert everything().inner.depth.pv.description == "depth of here"
    assert everything().other.depth.pv.description == "depth of nowhere"


def test_instances_do_not_share_values() -> None:
    """Two instances of one class have PVs of their own."""
    first, second = Inner("a:"), Inner("b:")
    first.depth.post(9)

    assert (first.depth.value, second.depth.value) == (9, 1)


def test_mistakes_name_the_pv() -> None:
    """What does not fit together is told when the group is made; a keyword that does not exist, at once."""

    class Wrong(Group):
        """Too many elements."""

        wave = pv([1.0, 2.0, 3.0], max_count=2)

    with pytest.raises(ValueError, match="x:wave: 3 elements do not fit into 2"):
        Wrong("x:")
    with pytest.raises(MacroError, match="macro N has no value"):
        Everything("p:")
    wrong: Any = {"unit": "mm"}
    with pytest.raises(TypeError, match="did you mean 'units'"):
        pv(1.0, **wrong)


def test_scans_need_a_period() -> None:
    """A period of nothing is refused where it is written."""
    with pytest.raises(ValueError, match="a scan needs a period of more than 0 seconds, not 0"):
        pv(1.0).scan(0)


def _what_type_checkers_refuse(group: Everything) -> None:
    """Each line is an error for a type checker: strict settings tell if one of them were none."""
    group.number.post("text")  # type: ignore[arg-type]
    group.mode.post("auto")  # type: ignore[arg-type]
    group.texts.post(5)  # type: ignore[arg-type]
    pv(1.0, unit="mm")  # type: ignore[call-overload]
    pv(1.0, limits=5)  # type: ignore[call-overload]

    class Wrong(Group):
        """Has hooks that do not fit their PVs."""

        number = pv(1.5)

        @number.putter  # type: ignore[arg-type]
        def put(self, value: str) -> None:
            """Take text, where a number comes."""
