"""How variants differ, in words that a reader understands without the file."""

from __future__ import annotations

import pytest

from canet.harness.verdict.differences import differences
from canet.scenarios import library


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("rp_filter_asymmetric[loose]", "host ioc: net.ipv4.conf.eth0.rp_filter = 2"),
        ("rp_filter_asymmetric[right-route]", "host ioc: route default via 10.1.0.254"),
        ("addr_without_brd[broadcast-address-set]", "host client: eth0 has 10.1.0.1/24"),
        ("localhost_only_ioc_default_client[no-other-interface]", "host ioc: eth0 up = False"),
        ("multi_ioc_localhost_127[all-addresses]", "server ioc1: without EPICS_CAS_INTF_ADDR_LIST"),
        ("multi_ioc_localhost_127[all-addresses]", "without client libca"),
        ("multi_ioc_cross_subnet[gateway]", "with host helper"),
        (
            "dnat_unicast_to_broadcast[prerouting]",
            "host ioc: rule prerouting: udp to 10.1.0.2 to port 5064 → destination becomes 10.1.0.255",
        ),
    ],
)
def test_a_variant_says_what_it_changes(key: str, line: str) -> None:
    """Each change of the set-up is a line."""
    (variant,) = library.find(key)
    assert line in list(differences(library.find(variant.id)[0], variant))


def test_every_variant_says_something() -> None:
    """No change of the library goes unsaid."""
    base = library.all_scenarios()[0]
    for each in library.all_scenarios():
        if each.id != base.id:
            base = each
        elif each is not base:
            assert list(differences(base, each)), each.key
