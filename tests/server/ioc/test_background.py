"""Serving in a thread: errors come where somebody waits for them."""

from __future__ import annotations

import pytest

from canet.server.ioc import Group, background, pv, startup
from tests.server.ioc.client import Client


class One(Group):
    """One PV."""

    value = pv(1.0)


class Endless(Group):
    """Never begins."""

    @startup
    async def begin(self) -> None:
        """Work for ever."""
        while True:
            await self.io.sleep(1)


def test_it_serves_and_ends(backend: str) -> None:
    """Twice in a row, and several at once."""
    for _ in range(2):
        with background(One("a:"), backend) as first, background(One("b:"), backend) as second:
            assert first.tcp != second.tcp
            for where, name in ((first, "a:value"), (second, "b:value")):
                with Client(where) as client:
                    assert client.get(name) == 1.0


def test_errors_are_raised(backend: str) -> None:
    """What stands in the way of serving, and what the block itself raises."""
    with pytest.raises(ValueError, match="no backend"), background(One(), "none"):
        pass
    with pytest.raises(ZeroDivisionError), background(One(), backend):
        raise ZeroDivisionError
    with pytest.raises(TimeoutError, match="do its startup hooks end"), background(Endless(), backend, timeout=0.2):
        pass
