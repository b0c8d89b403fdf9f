"""Which names are searched for and when: pauses double, answers end a search, nobody's wishes are forgotten."""

from __future__ import annotations

import pytest

from canet.harness.client.search import datagrams
from canet.harness.gateway.seeking import FIRST_PAUSE, LONGEST_PAUSE, Seeker
from canet.server.protocol.commands import Command
from canet.server.protocol.message import Message, read_datagram


def names(data: bytes) -> list[str]:
    return [each.payload.rstrip(b"\0").decode() for each in read_datagram(data) if each.command == Command.SEARCH]


def answer(cid: int, port: int = 5064, where: int = 0xFFFFFFFF) -> bytes:
    return Message(Command.SEARCH, port, 0, where, cid, b"\0\x0d").pack()


def test_the_first_search_is_due_at_once() -> None:
    """Whoever wants a name does not wait for a timer."""
    seeker = Seeker()
    assert seeker.want("a", 10.0)
    assert seeker.next == 10.0
    assert [names(data) for data in seeker.due(10.0)] == [["a"]]


def test_pauses_double_up_to_a_limit() -> None:
    """The intervals are those of libca, and end at the longest one."""
    seeker, now, pauses = Seeker(patience=1e9), 0.0, []
    seeker.want("a", now)
    for _ in range(15):
        assert list(seeker.due(now))
        assert seeker.next is not None
        pauses.append(seeker.next - now)
        now = seeker.next
    assert pauses[:3] == pytest.approx([FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE])
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE)


def test_names_share_datagrams() -> None:
    """Names that are due together go together."""
    seeker = Seeker()
    for name in ("a", "b", "c"):
        seeker.want(name, 0.0)
    assert [names(data) for data in seeker.due(0.0)] == [["a", "b", "c"]]


def test_an_answer_ends_the_search() -> None:
    """The first answer counts; a second one is a duplicate and left out."""
    seeker = Seeker()
    seeker.want("a", 0.0)
    list(seeker.due(0.0))
    assert list(seeker.answered(answer(1), "10.1.0.2")) == [("a", "10.1.0.2:5064")]
    assert list(seeker.answered(answer(1), "10.1.0.3")) == []
    assert "a" not in seeker
    assert list(seeker.due(100.0)) == []


def test_an_answer_may_name_another_server() -> None:
    """A name server answers with the address of the IOC."""
    seeker = Seeker()
    seeker.want("a", 0.0)
    assert list(seeker.answered(answer(1, 5066, 0x0A010009), "10.1.0.7")) == [("a", "10.1.0.9:5066")]


def test_what_nobody_wants_any_more_is_dropped() -> None:
    """After the patience a name is searched no longer; who wants it again begins anew."""
    seeker = Seeker(patience=5.0)
    seeker.want("a", 0.0)
    list(seeker.due(0.0))
    assert not seeker.want("a", 4.0)
    assert list(seeker.due(8.0))
    assert list(seeker.due(30.0)) == []
    assert len(seeker) == 0
    assert seeker.want("a", 31.0)


def test_strangers_are_ignored() -> None:
    """Answers with other ids, and what is no answer, change nothing."""
    seeker = Seeker()
    seeker.want("a", 0.0)
    assert list(seeker.answered(answer(77), "10.1.0.2")) == []
    assert list(seeker.answered(b"GET / HTTP/1.1\r\n\r\n", "10.1.0.2")) == []
    assert list(seeker.answered(next(datagrams([(9, "x")])), "10.1.0.2")) == []
    assert "a" in seeker
