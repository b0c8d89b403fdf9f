"""Search datagrams and searches over a circuit."""

from hypothesis import given, settings
from hypothesis import strategies as st

from canet.server.core.config import Config
from canet.server.core.names import Directory
from canet.server.core.pv import PV
from canet.server.core.search import HERE, MAX_DATAGRAM, read_searches, searched_names
from canet.server.core.server import Server
from canet.server.protocol.commands import DO_REPLY, DONT_REPLY, Command
from canet.server.protocol.message import Message, read_datagram
from tests.server.wire import Wire, serve


def search(name: str, cid: int = 1, flag: int = DONT_REPLY) -> Message:
    """Return a search."""
    return Message(Command.SEARCH, flag, 13, cid, cid, name.encode() + b"\0")


def datagram(*messages: Message) -> bytes:
    """Return a datagram as libca sends it."""
    return b"".join(each.pack() for each in (Message(Command.VERSION, 1, 13, 42), *messages))


def test_reply_repeats_the_sequence_number_and_names_the_port() -> None:
    """One VERSION with the number, one SEARCH with port, "here", the client's id and our minor version."""
    server = serve(PV("x", 1.0))
    server.responder.port = 45001

    (reply,) = server.datagrams([datagram(search("x", 7))], "192.0.2.1")

    assert read_datagram(reply) == [
        Message(Command.VERSION, 1, 13, 42),
        Message(Command.SEARCH, 45001, 0, HERE, 7, b"\0\x0d" + bytes(6)),
    ]


def test_only_served_names_are_answered() -> None:
    """Over UDP an unknown name gets no answer, whatever the flag says."""
    server = serve(PV("x", 1.0))

    (reply,) = server.datagrams([datagram(search("no", 1, DO_REPLY), search("x", 2), search("x.NONE", 3))], "192.0.2.1")

    assert [each.p2 for each in read_datagram(reply)[1:]] == [2]
    assert server.datagrams([datagram(search("no", 1, DO_REPLY))], "192.0.2.1") == []
    assert server.count().searches == 4
    assert server.count().found == 1


def test_many_names_are_answered_together() -> None:
    """A datagram of searches gets as few datagrams as fit."""
    server = serve(*(PV(f"pv:{each:02d}", 1.0) for each in range(60)))

    replies = server.datagrams([datagram(*(search(f"pv:{each:02d}", each) for each in range(60)))], "192.0.2.1")

    assert len(replies) == 2
    assert all(len(each) <= MAX_DATAGRAM for each in replies)
    assert [message.p2 for each in replies for message in read_datagram(each)[1:]] == list(range(60))


def test_datagrams_that_wait_are_answered_together() -> None:
    """As many replies go into a datagram as fit; it has the last number (``cas_send_dg_msg``)."""
    server = serve(*(PV(f"pv:{each:02d}", 1.0) for each in range(60)))
    parts = [
        Message(Command.VERSION, 1, 13, 42 + part).pack()
        + b"".join(search(f"pv:{each:02d}", each).pack() for each in range(part * 20, part * 20 + 20))
        for part in range(3)
    ]

    replies = server.datagrams([*parts, b"", datagram(search("no"))[16:]], "192.0.2.1")

    assert all(len(each) <= MAX_DATAGRAM for each in replies)
    assert [message.p2 for each in replies for message in read_datagram(each)[1:]] == list(range(60))
    assert [read_datagram(each)[0] for each in replies] == [Message(Command.VERSION, 1, 13, 44)] * 2
    assert (server.count().searches, server.count().found) == (61, 60)


def test_fields_and_filters_are_found() -> None:
    """A name with a field, a long string or filters is served where it could be opened."""
    server = serve(PV("x", 1.0), PV("s", "text"), PV("a", [1, 2]))
    names = ["x.EGU", "x.VAL", "s$", "s.VAL$", "a[0:1]", 'x{"dec":{"n":2}}', "x.BAD", "x$", "a[", "", "x.", ".EGU"]

    replies = server.datagrams([datagram(*(search(name, cid) for cid, name in enumerate(names)))], "192.0.2.1")

    assert [each.p2 for each in read_datagram(replies[0])[1:]] == [0, 1, 2, 3, 4, 5]


def test_ignored_addresses_get_nothing() -> None:
    """EPICS_CAS_IGNORE_ADDR_LIST holds for UDP searches."""
    config = Config.from_environment({"EPICS_CAS_IGNORE_ADDR_LIST": "192.0.2.66"})
    server = serve(PV("x", 1.0), config=config)

    assert server.datagrams([datagram(search("x"))], "192.0.2.66") == []
    assert server.datagrams([datagram(search("x"))], "192.0.2.67") != []


def test_name_of_a_version_one_client_may_lack_its_zero() -> None:
    """What is not terminated ends with the payload."""
    server = serve(PV("12345678", 1.0))

    assert server.datagrams([Message(Command.SEARCH, 5, 13, 1, 1, b"12345678").pack()], "192.0.2.1") != []


def test_search_over_a_circuit() -> None:
    """A TCP search is answered without a payload; an unknown name with NOT_FOUND where it was asked for."""
    wire = Wire(serve(PV("x", 1.0)))
    wire.server.responder.port = 45001

    answers = wire.ask(search("x", 1), search("no", 2), search("no", 3, DO_REPLY))

    assert answers == [
        Message(Command.SEARCH, 45001, 0, HERE, 1),
        Message(Command.NOT_FOUND, DO_REPLY, 13, 3, 3),
    ]


def test_a_provider_may_refer_to_another_server() -> None:
    """A name server announces the address of the server that has the name."""

    class Elsewhere:
        def find(self, name: str) -> PV | None:
            return None

        def refer(self, name: str) -> tuple[int, int] | None:
            return (0x0A010002, 5070) if name == "far" else None

    server = Server(Directory([PV("near", 1.0)]), Elsewhere())

    (reply,) = server.datagrams([datagram(search("far", 1), search("near", 2), search("no", 3))], "192.0.2.1")

    assert {(each.data_type, each.p1, each.p2) for each in read_datagram(reply)[1:]} == {
        (5070, 0x0A010002, 1),
        (5064, HERE, 2),
    }


def test_searched_names() -> None:
    """A trace shows what was asked for."""
    assert searched_names(datagram(search("a"), search("b"))) == ["a", "b"]


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200), st.booleans())
def test_any_datagram_is_survived(data: bytes, valid_head: bool) -> None:
    """Malformed datagrams raise nothing."""
    server = serve(PV("x", 1.0))
    head = datagram(search("x")) if valid_head else b""

    replies = server.datagrams([head + data], "192.0.2.1")

    assert bool(replies) or not valid_head
    searched_names(data)


NAMES = st.lists(st.sampled_from(["x", "y.VAL", "none", "longer:name", "longer:name.EGU", "n" * 200, ""]), max_size=60)
CIDS = st.integers(0, 70) | st.sampled_from([0x600, 0x060005, 0xABCD0006, 0x06000600])
"""Some of them look like the beginning of a search."""


@settings(deadline=None, max_examples=300)
@given(
    NAMES,
    st.data(),
    st.sampled_from([b"", b"\0" * 8, b"\0\6\0\x08" * 6, b"\0\6\0\xf8", b"\0\6\0\xff" + bytes(4)]),
    st.none() | st.tuples(st.integers(0, 150), st.binary(max_size=4)),
)
def test_split_datagrams_are_read_like_any_other(
    names: list[str], draw: st.DataObject, rest: bytes, damage: tuple[int, bytes] | None
) -> None:
    """What is taken apart in one go gives what the messages one by one give, damaged or not."""
    data = datagram(*(search(name, draw.draw(CIDS)) for name in names)) + rest
    if damage is not None:
        at, instead = damage
        data = data[:at] + instead + data[at + len(instead) :]
    cids, payloads = [], []
    number = None
    position = 0
    while position + 16 <= len(data):
        message = data[position : position + 16]
        position += 16 + int.from_bytes(message[2:4])
        if position > len(data):
            break
        if message[:2] == b"\0\6":
            cids.append(message[12:])
            payloads.append(data[position - int.from_bytes(message[2:4]) : position])
        elif message[:2] == b"\0\0" and message[4:6] == b"\0\1":
            number = int.from_bytes(message[8:12])

    assert read_searches(data) == (cids, payloads, number)


def test_an_id_that_looks_like_a_search_is_an_id() -> None:
    """The length of a name of 248 bytes is that of no piece, however the datagram is split."""
    data = datagram(search("n" * 247, 0x00060000), search("x", 6), search("x", 0x600))

    cids, names, _ = read_searches(data)

    assert cids == [b"\0\6\0\0", b"\0\0\0\6", b"\0\0\6\0"]
    assert [len(each) for each in names] == [248, 8, 8]
