"""The datagrams at which fragile servers stop, each told from sound ones."""

from __future__ import annotations

import pytest

from canet.harness.participants.flaws import FLAWS
from canet.server.protocol.commands import Command
from canet.server.protocol.message import Message

SEARCH = Message(Command.SEARCH, 5, 13, 1, 1, b"ioc:x\0\0\0").pack()
DATAGRAMS = {
    "truncated": SEARCH + SEARCH[:10],
    "empty": b"",
    "unnamed": Message(Command.SEARCH, 5, 13, 1, 1, bytes(8)).pack() + SEARCH,
    "unknown": Message(99).pack() + SEARCH,
}


@pytest.mark.parametrize("name", FLAWS)
def test_each_flaw_is_told_from_the_others(name: str) -> None:
    """A server that is fragile in one way stumbles over that alone."""
    assert {each for each, data in DATAGRAMS.items() if FLAWS[name](data)} == {name}
    assert not FLAWS[name](SEARCH)
