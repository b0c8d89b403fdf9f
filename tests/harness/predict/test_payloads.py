"""Datagrams that are no plain searches: who reads which names out of them, and who stops at them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from canet.harness.predict import Prediction, play
from canet.harness.predict.payloads import names_in
from canet.scenarios.model import Probe, Server
from canet.server.protocol.commands import Command
from canet.server.protocol.message import Message

from .nets import host, iocs, lan, pair, scenario

UNKNOWN = Message(99).pack()


def search(name: bytes) -> bytes:
    return Message(Command.SEARCH, 5, 13, 1, 1, name).pack()


GOOD = search(b"ioc1:x\0\0")


@pytest.mark.parametrize(
    ("implementation", "unknown_first", "unknown_last"),
    [
        ("canet", {"ioc1:x"}, {"ioc1:x"}),
        ("rsrv", set(), {"ioc1:x"}),
        ("pcaspy", set(), {"ioc1:x"}),
        ("caproto", set(), set()),
    ],
)
def test_a_command_that_does_not_exist(implementation: str, unknown_first: set[str], unknown_last: set[str]) -> None:
    """One skips it, others leave out what follows, or the whole datagram."""
    assert names_in(UNKNOWN + GOOD, implementation) == unknown_first
    assert names_in(GOOD + UNKNOWN, implementation) == unknown_last


def test_what_is_cut_off_or_unnamed_is_left_out() -> None:
    """The whole searches before it are read."""
    assert names_in(GOOD + GOOD[:9], "canet") == {"ioc1:x"}
    assert names_in(search(b"") + search(bytes(8)) + GOOD, "rsrv") == {"ioc1:x"}
    assert names_in(b"", "canet") == frozenset()


def told(server: Server, payload: bytes) -> Prediction:
    """Send raw bytes, then a search."""
    probes = (
        Probe(name="odd", host="client", to=IPv4Address("10.1.0.255"), payload=payload.hex(), connect=False),
        Probe(name="afterwards", host="client", to=IPv4Address("10.1.0.255")),
    )
    return play(replace(scenario(pair(), server), probes=probes))


def fragile(at: str) -> Server:
    return replace(iocs(1)[0], implementation="scripted", options={"fragile": at})


@pytest.mark.parametrize(
    ("at", "payload"),
    [("truncated", GOOD + GOOD[:9]), ("empty", b""), ("unknown", UNKNOWN + GOOD), ("unnamed", search(b"") + GOOD)],
)
def test_a_fragile_server_stops_at_what_it_does_not_understand(at: str, payload: bytes) -> None:
    """It answers neither that datagram nor any later one; at other flaws it goes on."""
    seen = told(fragile(at), payload)
    assert [str(each.answered) for each in seen.probes] == ["none", "none"]

    seen = told(fragile("bounced"), payload)
    assert str(seen.probe("afterwards").answered) == "only ioc1"


def test_servers_of_today_read_on() -> None:
    """The good name is answered, and the search afterwards."""
    seen = told(iocs(1)[0], search(b"") + GOOD)

    assert [str(each.answered) for each in seen.probes] == ["only ioc1", "only ioc1"]
    assert "received" not in seen.probe("odd").sure


def test_a_reply_that_bounces_stops_who_is_fragile_so() -> None:
    """It goes to a host where nobody waits."""
    topology = lan(host("client", "10.1.0.1/24"), host("gone", "10.1.0.3/24"), host("ioc", "10.1.0.2/24"))
    gone = Probe(name="gone", host="client", to=IPv4Address("10.1.0.2"), level="link", source=IPv4Address("10.1.0.3"))
    after = Probe(name="after", host="client", to=IPv4Address("10.1.0.2"))
    base = replace(scenario(topology, fragile("bounced")), probes=(gone, after))

    assert str(play(base).probe("after").answered) == "none"
    assert str(play(replace(base, probes=(after,))).probe("after").answered) == "only ioc1"
