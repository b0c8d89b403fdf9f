"""Faults that scenario files can name, and the changes of the network that they are."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from canet.harness.lab import faults, steps
from canet.netns import change
from canet.netns.named import named
from canet.netns.topology import Address, Impairment, Route, Rule
from canet.scenarios.steps import FAULTS, KINDS

ARGUMENTS = {
    "host": "ioc",
    "interface": "eth0",
    "address": Address.parse("10.1.0.9/24"),
    "route": Route(to=IPv4Network("10.9.0.0/16"), dev="eth0"),
    "rule": Rule(hook="input", verdict="drop"),
    "impairment": Impairment(loss=0.5),
    "name": "net.ipv4.ip_forward",
    "value": "1",
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_of_a_file_is_a_change(name: str) -> None:
    """What a file may set, the lab can do, with just the keys that the file must give."""
    made = named({"set": name, **{key: ARGUMENTS[key] for key in ("host", *FAULTS[name])}})
    assert isinstance(made, change.Change)
    assert faults.words({"set": name, **ARGUMENTS})


def test_every_kind_of_step_can_be_done() -> None:
    """The steps that files may have are those that the lab knows."""
    assert set(KINDS) == set(steps.known())


def test_a_cut_has_one_direction_or_both() -> None:
    """Without a direction nothing passes either way."""
    both = named({"set": "cut", "host": "a", "interface": "b"})
    assert both == change.Several(
        (change.Cut(host="a", interface="b", direction="in"), change.Cut(host="a", interface="b", direction="out"))
    )
    one = named({"set": "cut", "host": "a", "interface": "b", "direction": "in"})
    assert one == change.Several((change.Cut(host="a", interface="b", direction="in"),))


def test_mistakes_are_told() -> None:
    """An unknown fault is told with those that there are, a missing key by its name."""
    with pytest.raises(ValueError, match="unplug"):
        named({"set": "explode", "host": "a"})
    with pytest.raises(ValueError, match="interface"):
        named({"set": "down", "host": "a"})
