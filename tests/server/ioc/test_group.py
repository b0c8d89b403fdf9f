"""Groups: hooks, inheritance, dynamic PVs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from canet.server.ioc import Group, pv, scan, shutdown, startup, subgroup
from canet.server.ioc.group import hooks_of, host_of


class Base(Group):
    """Hooks of all kinds."""

    value = pv(1.0)
    other = pv(2.0)

    @value.putter
    def put(self, value: float) -> float:
        """Double."""
        return value * 2

    @other.getter
    def get(self) -> float:
        """Count."""
        return 5.0

    @startup
    def begin(self) -> None:
        """Begin."""

    @scan(0.5)
    def tick(self) -> None:
        """Tick."""

    @value.scan(2.0)
    def poll(self) -> float:
        """Poll."""
        return 3.0

    @shutdown
    def end(self) -> None:
        """End."""


class Derived(Base):
    """Overrides hooks."""

    more = pv(0)
    value = pv(7.0)

    @Base.other.putter
    def put_other(self, value: float) -> None:
        """Refuse quietly."""

    def begin(self) -> None:
        """Begin in another way; still a hook."""

    @startup
    def begin_too(self) -> None:
        """Begin as well."""


def test_hooks_are_found() -> None:
    """Each with its name, its period and the PV that its result goes to."""
    group = Base("b:")

    assert [(h.name, h.variable) for h in hooks_of(group, "startup")] == [("Base.begin", None)]
    assert [(h.name, h.period) for h in hooks_of(group, "scan")] == [("Base.tick", 0.5), ("Base.poll", 2.0)]
    assert [h.variable for h in hooks_of(group, "scan")] == [None, group.value]
    assert [h.name for h in hooks_of(group, "shutdown")] == ["Base.end"]


def test_hooks_are_ordinary_methods() -> None:
    """They can be called."""
    group = Base()

    assert group.put(4.0) == 8.0
    assert group.value.pv.putter is not None
    assert group.value.pv.putter(group.value.pv, 4.0) == 8.0
    assert group.other.pv.getter is not None
    assert group.other.pv.getter(group.other.pv) == 5.0


def test_derived_classes_inherit_and_override() -> None:
    """PVs and hooks come along; a method that is overridden is still a hook; the base class stays as it was."""
    group, base = Derived("d:"), Base("b:")

    assert sorted(each.name for each in host_of(group).directory) == ["d:more", "d:other", "d:value"]
    assert group.value.value == 7.0
    assert [h.name for h in hooks_of(group, "startup")] == ["Derived.begin", "Derived.begin_too"]
    assert group.other.pv.putter is not None
    assert base.other.pv.putter is None


class Mixin:
    """PVs and hooks for any group."""

    extra = pv(1)

    @extra.putter
    def put_extra(self, value: int) -> int:
        """Negate."""
        return -value


class Mixed(Mixin, Base):
    """Takes a mixin, and gives up a PV."""

    other = None  # type: ignore[assignment]  # that is how a PV is given up


def test_mixins_and_pvs_that_are_given_up() -> None:
    """PVs may come from a class that is no group; one that is replaced by something else is gone, with its hooks."""
    group = Mixed("m:")

    assert sorted(each.name for each in host_of(group).directory) == ["m:extra", "m:value"]
    assert group.extra.pv.putter is not None
    assert group.extra.pv.putter(group.extra.pv, 4) == -4


class Outer(Group):
    """Has an inner group with an __init__ of its own."""

    class Inner(Group):
        """Says hello."""

        greeting = pv("")

        def __init__(self, prefix: str = "", macros: Mapping[str, str] | None = None) -> None:
            super().__init__(prefix, macros)
            self.greeting.post(f"hello {self.macros['WHO']}")

        @startup
        def begin(self) -> None:
            """Begin."""

    inner = subgroup(Inner, "i:", WHO="world")


def test_inner_groups_live_in_the_outer_one() -> None:
    """One directory for all PVs, one list of hooks; their own __init__ is called."""
    group = Outer("o:")

    assert host_of(group) is host_of(group.inner)
    assert group.inner.greeting.value == "hello world"
    assert [h.name for h in hooks_of(group, "startup")] == ["Inner.begin"]
    assert host_of(Outer.Inner("alone:", {"WHO": "me"})) is not host_of(group)


def test_groups_may_be_attached() -> None:
    """As many as a configuration asks for."""
    group = Base("b:")
    inner = [group.attach(Outer.Inner, f"b:{number}:", WHO=str(number)) for number in range(3)]

    assert [each.greeting.value for each in inner] == ["hello 0", "hello 1", "hello 2"]
    assert len(list(hooks_of(group, "startup"))) == 4
    assert host_of(group).directory.find("b:2:greeting") is not None


def test_pvs_may_be_added_and_removed() -> None:
    """With all that a declaration may say, and with hooks."""
    group = Base("b:")
    added = group.add("new", "b", states=("a", "b"), putter=lambda state: "a" if state == "b" else None)

    assert (added.name, added.value) == ("b:new", "b")
    assert added.pv.putter is not None
    assert added.pv.putter(added.pv, 1) == "a"
    with pytest.raises(ValueError, match="'b:new' is already served"):
        group.add("new", 1)
    group.remove(added)
    assert host_of(group).directory.find("b:new") is None


def test_io_is_there_while_the_ioc_runs() -> None:
    """Before, it says so."""
    with pytest.raises(RuntimeError, match="use it in hooks, not in __init__"):
        _ = Base().io


def test_names_may_not_be_taken_twice() -> None:
    """Two PVs of one name are a mistake."""

    class Twice(Group):
        """Two PVs, one name."""

        first = pv(1)
        second = pv(2, name="first")

    with pytest.raises(ValueError, match="'first' is already served"):
        Twice()


def test_names_of_a_groups_own_members_are_refused() -> None:
    """An attribute that would hide a part of the group is told at once, with the way out."""
    with pytest.raises(TypeError, match=r"Bad.add: groups have a member of this name; .* name='add'"):

        class Bad(Group):
            """Hides add()."""

            add = pv(1)  # type: ignore[assignment]  # that is the mistake

    class Good(Group):
        """Has all the names that PVs often have."""

        stop = pv(1)
        inner = pv(2)
        added = pv(3, name="add")

    assert [each.name for each in host_of(Good("g:")).directory] == ["g:stop", "g:inner", "g:add"]
