"""Sets of packets against the packets themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canet.harness.site.snapshot_selection import NOWHERE, CannotSayError, Selection, ranges

EVERYTHING = Selection(iif=frozenset(("lo", "eth0")), oif=frozenset((NOWHERE,)))
Packet = tuple[str, str, int, int, str]


def selections() -> st.SearchStrategy[Selection]:
    """Make selections that often touch each other."""
    edges = st.integers(0, 6)
    pairs = st.lists(st.tuples(edges, edges), min_size=1, max_size=2).map(lambda found: ranges(*found)).filter(bool)
    few = st.sets(st.sampled_from(("lo", "eth0")), min_size=1).map(frozenset)
    return st.builds(
        Selection,
        iif=few,
        oif=st.just(EVERYTHING.oif),
        proto=st.sets(st.sampled_from(("udp", "tcp", "icmp")), min_size=1).map(frozenset),
        saddr=pairs,
        dport=pairs.map(lambda found: tuple((first + 1, last + 1) for first, last in found)),
        ct=st.sets(st.sampled_from(("new", "established")), min_size=1).map(frozenset),
    )


PACKETS: st.SearchStrategy[Packet] = st.tuples(
    st.sampled_from(("lo", "eth0")),
    st.sampled_from(("udp", "tcp", "icmp")),
    st.integers(0, 6),
    st.integers(1, 7),
    st.sampled_from(("new", "established")),
)


def has(selection: Selection, packet: Packet) -> bool:
    """Tell whether a packet is in a selection."""
    iif, proto, saddr, dport, state = packet
    addresses, ports = selection.saddr, selection.dport
    return (
        iif in selection.iif
        and proto in selection.proto
        and state in selection.ct
        and any(first <= saddr <= last for first, last in addresses)
        and any(first <= dport <= last for first, last in ports)
    )


@given(selections(), selections(), PACKETS)
def test_both_and_without(one: Selection, other: Selection, packet: Packet) -> None:
    """Intersection and difference hold for each packet, and the pieces of a difference are apart."""
    meet = one.meet(other)
    assert (meet is not None and has(meet, packet)) == (has(one, packet) and has(other, packet))
    pieces = [each for each in one.minus(other) if has(each, packet)]
    assert len(pieces) == (has(one, packet) and not has(other, packet))


@given(selections(), selections())
def test_inside(one: Selection, other: Selection) -> None:
    """What is inside leaves nothing when the other is taken away."""
    assert one.inside(other) == (one.minus(other) == [])


@given(selections())
def test_size_is_the_number_of_rules(one: Selection) -> None:
    """What it takes to say a selection is known before it is said."""
    if one.dport != EVERYTHING.dport and one.proto == EVERYTHING.proto:
        one = Selection(one.iif, one.oif, frozenset(("udp",)), one.saddr, dport=one.dport, ct=one.ct)
    assert len(list(one.tables(EVERYTHING))) == one.size(EVERYTHING)


def test_everything_needs_no_condition() -> None:
    """All packets are selected by a rule without conditions; ports bring their protocols."""
    assert list(EVERYTHING.tables(EVERYTHING)) == [{}]
    ports = Selection(EVERYTHING.iif, EVERYTHING.oif, frozenset(("udp", "tcp")), dport=((5064, 5065),))
    assert list(ports.tables(EVERYTHING)) == [
        {"proto": "udp", "dport": "5064-5065"},
        {"proto": "tcp", "dport": "5064-5065"},
    ]


def test_packets_without_an_interface_cannot_be_said() -> None:
    """A rule can ask for an interface, not for none."""
    here = Selection(frozenset((NOWHERE,)), frozenset(("eth0",)))
    everything = Selection(frozenset((NOWHERE, "eth0")), frozenset(("eth0",)))
    with pytest.raises(CannotSayError, match="packets that have no iif"):
        list(here.tables(everything))
