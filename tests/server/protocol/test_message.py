"""Messages and their bytes."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from canet.server.protocol.commands import FORMS, Command
from canet.server.protocol.message import HEADER_SIZE, Message, Reader, header, read_datagram, read_message

numbers = st.integers(0, 0xFFFFFFFF)
messages = st.builds(
    Message,
    command=st.integers(0, 0xFFFF),
    data_type=st.integers(0, 0xFFFF),
    count=st.one_of(st.integers(0, 10), numbers),
    p1=numbers,
    p2=numbers,
    payload=st.binary(max_size=64).map(lambda raw: raw + bytes(-len(raw) & 7)),
)


@settings(deadline=None, max_examples=100)
@given(st.lists(messages, max_size=6), st.lists(st.integers(0, 400), max_size=8))
def test_any_cut_gives_the_same_messages(sent: list[Message], cuts: list[int]) -> None:
    """A stream that is cut anywhere is read as the messages that were sent."""
    data = b"".join(each.pack() for each in sent)
    edges = sorted({0, len(data), *(min(each, len(data)) for each in cuts)})
    reader = Reader()

    received = [each for start, stop in itertools.pairwise(edges) for each in reader.feed(data[start:stop])]

    assert sent == received
    assert reader.pending == 0


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes) -> None:
    """Whatever comes is messages, or the beginning of one."""
    reader = Reader()

    whole = reader.feed(data)

    assert all(isinstance(each, Message) for each in whole)
    assert reader.pending <= len(data)


def test_large_payload_uses_the_extended_header() -> None:
    """From 65535 bytes or elements on, both follow as thirty-two bit numbers."""
    message = Message(Command.READ_NOTIFY, 6, 70000, 1, 2, bytes(560000))

    raw = message.pack()

    assert raw[2:4] == b"\xff\xff"
    assert raw[6:8] == b"\0\0"
    assert len(raw) == 24 + 560000
    assert Reader().feed(raw) == [message]


def test_large_count_alone_uses_the_extended_header() -> None:
    """A request without payload for many elements needs it too."""
    assert len(header(Command.READ_NOTIFY, 0, 6, 0xFFFF, 1, 2)) == 24
    assert len(header(Command.READ_NOTIFY, 0, 6, 0xFFFE, 1, 2)) == 16


def test_payload_is_padded() -> None:
    """Payloads end at a multiple of eight."""
    assert Message(Command.ECHO, payload=b"abc").pack()[HEADER_SIZE:] == b"abc\0\0\0\0\0"


def test_incomplete_message_says_how_much_is_needed() -> None:
    """The reader need not look again before that much is there."""
    raw = Message(Command.CREATE_CHAN, p1=1, p2=13, payload=bytes(16)).pack()

    assert read_message(raw, 0, 10) == 16
    assert read_message(raw, 0, 20) == 32


def test_datagram_that_is_cut_off_gives_what_is_whole() -> None:
    """What lacks its end is left out."""
    first = Message(Command.VERSION, count=13)

    assert read_datagram(first.pack() + Message(Command.SEARCH, payload=bytes(8)).pack()[:-1]) == [first]


def test_messages_are_printed_by_name() -> None:
    """A log shows what a message is."""
    assert str(Message(Command.ECHO)).startswith("ECHO ")
    assert str(Message(99)).startswith("command 99 ")


def test_every_command_has_a_form() -> None:
    """The table of commands is complete."""
    assert {each.command for each in FORMS} == set(Command)
