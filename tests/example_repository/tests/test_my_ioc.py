"""Is our IOC found, by whom, and what happens beside a second one on the same host?"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MY_IOC = [sys.executable, str(Path(__file__).resolve().parent.parent / "my_ioc.py")]


def test_it_is_found_by_broadcast(lab: Any, ioc: Callable[..., Any], ca_probe: Callable[..., Any]) -> None:
    """A search to the broadcast address finds the IOC, and the value can be read."""
    lab.segment("control", "console", "crate")
    mine = ioc(command=MY_IOC, host="crate")
    seen = ca_probe("console", pvs=["room:temperature"])
    assert seen.answered == {mine.name}
    assert seen.values == {"room:temperature": 21.5}


def test_a_search_for_another_name_is_not_answered(
    lab: Any, ioc: Callable[..., Any], ca_probe: Callable[..., Any]
) -> None:
    """The IOC keeps quiet about PVs that it does not have, which is proven and not waited for."""
    lab.segment("control", "console", "crate")
    ioc(command=MY_IOC, host="crate")
    seen = ca_probe("console", pvs=["no:such:pv"])
    assert seen.complete
    assert seen.answered == set()


def test_a_second_server_shares_the_port(lab: Any, ioc: Callable[..., Any], ca_probe: Callable[..., Any]) -> None:
    """Beside another server on the same host, a unicast search reaches one of the two."""
    lab.segment("control", "console", "crate")
    ioc(command=MY_IOC, host="crate", name="mine")
    ioc("canet", host="crate", name="other", pvs={"other:value": 1.0})
    everywhere = ca_probe("console", pvs=["room:temperature", "other:value"])
    assert everywhere.answered == {"mine", "other"}
    for source in range(40000, 40010):
        one = ca_probe("console", to=lab.address("crate"), pvs=["room:temperature", "other:value"], source_port=source)
        assert len(one.answered) == 1


@pytest.mark.canet_needs("libca")
def test_libca_reads_it(lab: Any, ioc: Callable[..., Any]) -> None:
    """The C client finds the IOC through the broadcast addresses of its interfaces, without any setting."""
    lab.segment("control", "console", "crate")
    ioc(command=MY_IOC, host="crate")
    tried = lab.read("libca", host="console", pvs=["room:temperature"])
    assert tried.values == {"room:temperature": 21.5}
