"""Message-sequence charts."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.harness.report import chart, chart_svg
from canet.harness.wire.conversation import Kind, Message, conversation
from tests.harness import talk

ORDER = ("client", "ioc", "other")
HOSTS = st.sampled_from(["a", "b", "a-long-host-name", "d"])
MESSAGES = st.lists(
    st.builds(
        Message,
        time=st.floats(0, 100),
        source=HOSTS,
        targets=st.lists(HOSTS, max_size=3, unique=True).map(tuple),
        origin=st.just("10.1.0.1:1"),
        target=st.just("10.1.0.255:5064"),
        proto=st.just("udp"),
        kind=st.sampled_from(["search", "reply", "circuit"]),
        words=st.sampled_from([("ECHO",), ('SEARCH "a" cid=1 reply=no',), ("READ_NOTIFY <&>",)]),
        number=st.just(0),
    ),
    max_size=20,
)


def message(source: str, *targets: str, kind: Kind = "circuit", words: str = "ECHO", time: float = 0.0) -> Message:
    return Message(
        time=time,
        source=source,
        targets=targets,
        origin="10.1.0.1:40001",
        target="10.1.0.255:5064",
        proto="udp",
        kind=kind,
        words=(words,),
        number=0,
    )


def test_whole_chart() -> None:
    """Time, arrows to everyone that was reached, words: the chart of a whole talk."""
    lines = chart.text(conversation(talk.frames()), ORDER, width=None).splitlines()

    assert lines[0] == "        ms client   ioc    other"
    assert lines[1] == '    10.000   ├──────▶┼──────▶│   SEARCH → 10.1.0.255 "canet:witness", "ioc1:value"'
    assert lines[2].startswith('    11.000   │◀──────┤       │   SEARCH reply ← 10.1.0.2:5064 tcp port 45001 "canet')
    assert lines[-1] == "    30.000   │◀──────┼──────▶│   BEACON tcp port 45001 ← 10.1.0.2:5064"
    assert len(lines) == 12


def test_lost_and_own() -> None:
    """A message that reached nobody ends in a cross, one to the host itself turns back."""
    lost, own, sent = chart.text([message("a"), message("b", "b"), message("a", "b")]).splitlines()[1:]

    assert "├─✗" in lost
    assert "├↺" in own
    assert "├──────▶│" in sent


def test_repeats_are_folded() -> None:
    """The same message from other source ports is counted; a repeated exchange is said once."""
    search = [
        replace(
            message("a", "b", kind="search", words=f'SEARCH "x" cid={number} reply=no'), origin=f"10.1.0.1:{number}"
        )
        for number in range(5)
    ]
    exchange = [message("a", "b", words="ECHO"), message("b", "a", words="ECHO")] * 4
    rows = chart.fold([*search, *exchange])

    assert [(row.text, row.times) for row in rows[:3]] == [('SEARCH → 10.1.0.255 "x"', 5), ("ECHO", 1), ("ECHO", 1)]
    assert rows[3].text == "the 2 messages above came 3 times more"
    assert len(rows) == 4


def test_nothing_said() -> None:
    """An empty chart is a sentence."""
    assert chart.text([]) == "no messages"
    assert chart_svg.svg([]) == ""


def test_listing() -> None:
    """Every message is listed in full, with hosts and addresses."""
    lines = chart.listing(conversation(talk.frames())).splitlines()

    assert lines[0] == "    10.000  udp 10.1.0.1:40001 → 10.1.0.255:5064  (client → ioc, other)"
    assert lines[1:3] == ["              VERSION 4.13", '              SEARCH "canet:witness" cid=1 reply=no']


def test_ascii_only() -> None:
    """Terminals without box characters get plain ones."""
    assert chart.text(conversation(talk.frames()) * 3, ORDER, ascii_only=True).isascii()


@settings(deadline=None, max_examples=80)
@given(MESSAGES, st.sampled_from([40, 80, 120]))
def test_any_messages(messages: list[Message], width: int) -> None:
    """No line is wider than it may be, and every message stands in a row or is counted."""
    drawn = chart.text(messages, (), width)
    told = sum(row.times for row in chart.fold(messages) if row.message is not None)

    assert all(len(line) <= width for line in drawn.splitlines()[1:])
    assert told <= len(messages)
    if messages:
        assert ET.fromstring(chart_svg.svg(messages)).tag == "svg"


def test_svg_is_bounded() -> None:
    """A long chart ends with a remark."""
    messages = [message("a", "b", words=f"WORD {number}") for number in range(30)]
    drawn = chart_svg.svg(messages, most=10)

    assert "20 rows more stand in the capture" in drawn
    assert drawn.count('<g class="message') == 10


@pytest.mark.parametrize("order", [ORDER, ("other", "ioc", "client"), ()])
def test_order_of_hosts(order: tuple[str, ...]) -> None:
    """Columns follow the given order; a wanted host that said nothing has none."""
    assert set(ORDER) == set(chart.involved(conversation(talk.frames()), (*order, "silent")))
