"""Authors' methods as the core calls them."""

from __future__ import annotations

import asyncio
from enum import Enum

import pytest

from canet.server.core.pv import PV, Refused
from canet.server.ioc.bind import bind_getter, bind_putter, keep
from canet.server.ioc.kinds import kind_of
from canet.server.protocol import eca


class Mode(Enum):
    """Two states."""

    OFF = "off"
    ON = "on"


KIND = kind_of(Mode.OFF)
SOME = PV("x", 0)


def test_values_are_brought_into_the_authors_form_and_back() -> None:
    """A putter is given a member and returns one; the core gives and gets an index."""
    seen: list[Mode] = []
    putter = bind_putter(KIND, lambda mode: seen.append(mode) or Mode.OFF)  # type: ignore[func-returns-value]

    assert putter(SOME, 1) == 0
    assert seen == [Mode.ON]
    assert bind_getter(KIND, lambda: Mode.ON)(SOME) == 1


def test_states_that_do_not_exist_are_refused() -> None:
    """Before any author's code sees them, and where there is none too."""
    with pytest.raises(Refused, match="x has no state 2") as refused:
        bind_putter(KIND, lambda mode: mode)(SOME, 2)

    assert refused.value.status == eca.PUTFAIL
    assert bind_putter(KIND, keep)(SOME, 1) is None


def test_nothing_stays_nothing() -> None:
    """A hook without a result means the value as it is."""
    assert bind_putter(KIND, lambda _mode: None)(SOME, 1) is None
    assert bind_getter(KIND, lambda: None)(SOME) is None


def test_async_hooks_give_awaitables() -> None:
    """Their results are brought into form when they come."""

    async def putter(mode: Mode) -> Mode | None:
        return Mode.ON if mode is Mode.OFF else None

    bound = bind_putter(KIND, putter)

    assert [asyncio.run(bound(SOME, index)) for index in (0, 1)] == [1, None]
