"""Drawings of a scenario's network."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from canet.harness.report import drawing, drawing_svg, layout
from canet.netns.topology import Host, Interface, Segment, Topology
from canet.scenarios.library import all_scenarios
from canet.scenarios.model import Scenario
from tests.harness import lan, talk

NAMES = [f"h{number}" for number in range(8)]
TOPOLOGIES = st.lists(st.lists(st.sampled_from(["s0", "s1", "s2"]), max_size=3), max_size=len(NAMES)).map(
    lambda hosts: Topology(
        segments=tuple(Segment(name=f"s{number}") for number in range(3)),
        hosts=tuple(
            Host(
                name=name,
                interfaces=tuple(Interface(name=f"eth{n}", segment=segment) for n, segment in enumerate(segments)),
            )
            for name, segments in zip(NAMES, hosts, strict=False)
        ),
    )
)


def with_topology(topology: Topology) -> Scenario:
    return replace(talk.scenario(), topology=topology, servers=(), clients=(), probes=())


def test_one_segment() -> None:
    """Hosts with servers hang below the segment, the others stand on it; settings are shown."""
    drawn = drawing.text(talk.scenario())
    bar = next(number for number, line in enumerate(drawn.splitlines()) if "═ lan · 10.1.0.0/24 ═" in line)
    above, below = "\n".join(drawn.splitlines()[:bar]), "\n".join(drawn.splitlines()[bar:])

    assert "○ libca" in above
    assert "EPICS_CA_ADDR_LIST=10.1.0.255" in above
    assert "◆ ioc1" in below
    assert "firewall: 1 rule" in below


def test_router_and_cable() -> None:
    """A router stands between its segments, and a cable joins two boxes."""
    lines = drawing.text(with_topology(lan.TOPOLOGY)).splitlines()
    office, controls, router, cable = (
        next(number for number, line in enumerate(lines) if words in line)
        for words in ("═ office", "═ controls", "│ router", "├───┤")
    )

    assert office < router < controls < cable


def test_wide_networks_become_a_list() -> None:
    """What is wider than the terminal is listed."""
    listed = drawing.text(talk.scenario(), width=30)

    assert "═══ lan" in listed
    assert "client  [lan]" in listed


def test_many_hosts_are_summed_up() -> None:
    """Two hundred hosts on a segment do not make a drawing of two hundred boxes."""
    hosts = tuple(Host(name=f"h{n}", interfaces=(Interface(name="eth0", segment="lan"),)) for n in range(200))
    picture = layout.place(with_topology(Topology(segments=(Segment(name="lan"),), hosts=hosts)))

    assert len(picture.boxes) == 2 * layout.MOST
    assert ("note", "and 91 hosts more") in picture.boxes[-1].lines


@settings(deadline=None, max_examples=80)
@given(TOPOLOGIES)
def test_any_topology(topology: Topology) -> None:
    """Boxes never overlap and stay inside; every interface on a segment has its leg; the SVG is well-formed."""
    scenario = with_topology(topology)
    picture = layout.place(scenario)
    cells = [(x, y) for box in picture.boxes for x in range(box.x, box.x + box.width) for y in (box.y, box.y + 1)]

    assert len(set(cells)) == len(cells)
    assert all(box.x >= 0 and box.x + box.width <= picture.width for box in picture.boxes)
    assert all(box.y >= 0 and box.y + box.height <= picture.height for box in picture.boxes)
    assert sum(len(host.interfaces) for host in topology.hosts) == len(picture.legs)
    assert ET.fromstring(drawing_svg.svg(scenario)).tag == "svg"
    drawing.text(scenario)


def test_library() -> None:
    """Every scenario of the library can be drawn."""
    for each in all_scenarios():
        assert drawing.text(each)
        assert ET.fromstring(drawing_svg.svg(each)).tag == "svg"
