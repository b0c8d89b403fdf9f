"""Bytes on their way to a client."""

from hypothesis import given, settings
from hypothesis import strategies as st

from canet.server.core.outbox import JOIN_BELOW, Outbox


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 40_000), max_size=12), st.integers(1, 50_000))
def test_everything_leaves_in_order(sizes: list[int], step: int) -> None:
    """However the socket takes it, the bytes are those that were put in."""
    outbox = Outbox()
    chunks = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    for chunk in chunks:
        outbox.put(chunk)
    taken = b""

    while outbox.size:
        piece = b"".join(outbox.buffers())[:step]
        outbox.sent(len(piece))
        taken += piece

    assert taken == b"".join(chunks)
    assert not outbox.chunks


def test_small_pieces_are_joined_and_large_ones_are_not_copied() -> None:
    """A large payload is handed on as the object it is."""
    outbox, large = Outbox(), bytes(JOIN_BELOW)
    for chunk in (b"a", b"b"):
        outbox.put(chunk)
    assert outbox.buffers() == [b"ab"]
    for chunk in (large, b"c"):
        outbox.put(chunk)

    first, second, third = outbox.buffers()

    assert (first, third) == (b"ab", b"c")
    assert second is large


def test_clear() -> None:
    """A client that is gone has nothing waiting."""
    outbox = Outbox()
    outbox.put(b"abc")
    outbox.clear()

    assert outbox.size == 0
