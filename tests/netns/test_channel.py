"""The channel between the controlling process, the launcher and the inits."""

from __future__ import annotations

import os
import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from canet.netns import channel

_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None, max_examples=50)
@given(_values)
def test_values_come_back(value: object) -> None:
    """Anything that JSON can say arrives as it was sent."""
    ours, theirs = channel.pair()
    with ours, theirs:
        channel.send(ours, value)

        assert channel.receive(theirs) == (value, [])


def test_large_values_pass() -> None:
    """A value larger than the socket's buffer arrives whole."""
    ours, theirs = channel.pair()
    value = "x" * 3_000_000
    with ours, theirs:
        writer = threading.Thread(target=channel.send, args=(ours, value))
        writer.start()

        assert channel.receive(theirs) == (value, [])
        writer.join()


def test_descriptors_pass() -> None:
    """A descriptor that is sent along reads the same pipe."""
    ours, theirs = channel.pair()
    reader, writer = os.pipe()
    with ours, theirs:
        channel.send(ours, {"take": "this"}, [reader])
        answer = channel.receive(theirs)
        assert answer is not None
        value, (copy,) = answer
        os.write(writer, b"seen")

        assert value == {"take": "this"}
        assert os.read(copy, 10) == b"seen"
    for fd in (reader, writer, copy):
        os.close(fd)


def test_the_end_is_none() -> None:
    """A channel whose other side is gone gives ``None``."""
    ours, theirs = channel.pair()
    ours.close()
    with theirs:
        assert channel.receive(theirs) is None
