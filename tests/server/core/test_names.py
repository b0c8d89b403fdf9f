"""Channel names: PVs, fields, long strings, filters."""

import pytest

from canet.server.core.names import Directory, Names, split_filters
from canet.server.core.pv import PV


def test_alias_is_the_same_pv() -> None:
    """A PV is found under all of its names."""
    directory = Directory()
    pv = PV("x", 1.0)
    directory.add(pv, "alias")

    assert directory.find("alias") is pv
    assert len(directory) == 2


@pytest.mark.parametrize("names", [("x", "x"), ("",)])
def test_name_must_be_free_and_not_empty(names: tuple[str, ...]) -> None:
    """Two PVs cannot have one name."""
    directory = Directory()
    for name in names[:-1]:
        directory.add(PV(name, 1.0))

    with pytest.raises(ValueError, match=r"already served|needs a name"):
        directory.add(PV(names[-1], 1.0))


def test_removed_name_is_unknown() -> None:
    """A PV may be withdrawn."""
    directory = Directory([PV("x", 1.0)])
    names = Names(directory)
    directory.remove("x")

    assert not names.knows(b"x")


@pytest.mark.parametrize(
    ("name", "found", "filters"),
    [
        ("x", "x", ""),
        ("x.VAL", "x", ""),
        ("x.EGU", "x.EGU", ""),
        ("s$", "s$", ""),
        ("s.VAL$", "s$", ""),
        ("x.DESC$", "x.DESC$", ""),
        ('x.VAL{"ts":{}}', "x", '{"ts":{}}'),
        ("dotted.name", "dotted.name", ""),
        ("dotted.name.EGU", "dotted.name.EGU", ""),
        ('s$[0:2]{"dec":{"n":2}}', "s$", '[0:2]{"dec":{"n":2}}'),
    ],
)
def test_resolve(name: str, found: str, filters: str) -> None:
    """A name may end in a field, ``$`` and filters."""
    target = Names(Directory([PV("x", 1.0), PV("s", "text"), PV("dotted.name", 2.0)])).resolve(name.encode())

    assert target is not None
    assert (target.pv.name, target.filters) == (found, filters)


@pytest.mark.parametrize("name", ["", "y", "x.", "x.NOPE", "x$", "x{", 'x{"no":{}}', "x[a]", ".VAL", "$", "{}"])
def test_unknown(name: str) -> None:
    """What cannot be read as a channel is none."""
    assert Names(Directory([PV("x", 1.0)])).resolve(name.encode()) is None


def test_first_provider_wins() -> None:
    """Providers are asked in order."""
    first, second = PV("x", 1.0), PV("x", 2.0)
    names = Names(Directory([first]), Directory([second, PV("y", 3.0)]))

    target = names.resolve(b"x")

    assert target is not None
    assert target.pv is first
    assert names.knows(b"y")
    assert not names.knows(b"z")


def test_split_filters() -> None:
    """Filters begin at the first bracket that has a name before it."""
    assert split_filters("{x}") == ("{x}", "")
    assert split_filters("a[1]{}") == ("a", "[1]{}")
