"""Stories: what `canet explain` and `canet predict` say."""

from __future__ import annotations

import pytest

from canet.harness.predict import RULES, predict
from canet.harness.predict.story import explain, summary

from .nets import iocs, pair, scenario

UNICAST = {"EPICS_CA_ADDR_LIST": "10.1.0.2", "EPICS_CA_AUTO_ADDR_LIST": "NO"}


def test_story_of_a_shared_unicast() -> None:
    """The story names the variable, the kernel's choice, each server's reply and the luck."""
    text = "\n".join(explain(scenario(pair(), *iocs(3), env=UNICAST), "asyncio"))

    for part in (
        "because EPICS_CA_ADDR_LIST names it",
        "SO_REUSEPORT: the kernel picks one of them by the source port",
        "If it is ioc2 that gets it:",
        "The connection to 10.1.0.2:5064 reaches ioc1.",
        "finds ioc3:x by luck",
    ):
        assert part in text


def test_story_of_a_pv_that_is_always_found() -> None:
    """With a broadcast everything is certain."""
    text = "\n".join(explain(scenario(pair(), *iocs(2)), "asyncio", "libca", "ioc2:x"))

    assert "So libca always finds ioc2:x, on ioc2." in text


def test_unknown_client_is_named() -> None:
    """A client that does not exist is an error that lists those there are."""
    with pytest.raises(KeyError, match="there are libca"):
        list(explain(scenario(pair(), *iocs(1)), "asyncio", "other"))


def test_summary_has_a_line_for_everything() -> None:
    """Searches, reads and beacons are summed up."""
    lines = list(summary(predict(scenario(pair(), *iocs(2), env=UNICAST))))

    assert "  reads         exactly one of ioc1:x, ioc2:x, by the source port" in lines
    assert any(line.startswith("beacons of ioc1: sent to 10.1.0.255:5065") for line in lines)


def test_rules_have_sources_and_gaps() -> None:
    """Each rule is a sentence with its source."""
    for name, rule in RULES.items():
        assert rule.text.endswith("."), name
        assert rule.source, name
