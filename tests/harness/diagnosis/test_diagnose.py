"""Causes: what is wrong is named by what heals it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canet.harness.diagnosis.diagnose import diagnose
from canet.harness.diagnosis.diagnose_kinds import KINDS
from canet.harness.diagnosis.diagnose_library import BEYOND, WORDS, check
from canet.harness.site.lint_changes import settings_changed
from canet.scenarios import library
from canet.scenarios.model import Step
from tests.harness.predict.nets import host, iocs, lan, pair, scenario

UNICAST = {"EPICS_CA_ADDR_LIST": "10.1.0.2", "EPICS_CA_AUTO_ADDR_LIST": "NO"}


def test_healthy_scenario_has_no_symptoms() -> None:
    """A client on the servers' subnet finds everything."""
    found = diagnose(scenario(pair(), *iocs(3)))

    assert found.healthy
    assert found.causes == ()


@pytest.mark.parametrize(
    ("mine", "theirs", "kind"),
    [("10.1.0.1/24 brd none", "10.1.0.2/24", "no-broadcast"), ("10.1.0.1/16", "10.1.0.2/24", "netmask")],
)
def test_address_is_to_blame(mine: str, theirs: str, kind: str) -> None:
    """A missing attribute and a wrong mask are told apart."""
    found = diagnose(scenario(lan(host("client", mine), host("ioc", theirs)), *iocs(1)))

    assert found.symptoms[0].kind == "unreachable"
    assert found.causes[0].kind == kind


def test_shared_unicast_is_luck() -> None:
    """Several servers on one address: luck, and the broadcast address heals it."""
    whole = scenario(pair(), *iocs(3), env=UNICAST)
    found = diagnose(whole)

    assert {each.kind for each in found.symptoms} == {"luck"}
    assert found.causes[0].heals == 3
    assert any("10.1.0.255" in line for line in settings_changed(whole, found.causes[0].healed))


def test_ties_are_said() -> None:
    """Two masks that differ: either may be the wrong one."""
    found = diagnose(scenario(lan(host("client", "10.1.0.1/16"), host("ioc", "10.1.0.2/24")), *iocs(1)))

    assert len(found.ties) == 2


def test_narrowed_to_one_client_and_pv() -> None:
    """Only what was asked for is looked at; an unknown client is an error that lists the known ones."""
    whole = scenario(pair(), *iocs(2), env=UNICAST)

    assert len(diagnose(whole, client="libca", pv="ioc1:x").symptoms) == 1
    with pytest.raises(KeyError, match="there are libca"):
        diagnose(whole, client="other")


def test_stopped_server_is_named() -> None:
    """A step that stops a server explains its silence."""
    whole = replace(scenario(pair(), *iocs(1)), steps=(Step(do="pause", target="ioc1"),))

    assert diagnose(whole).causes[0].kind == "paused"


def test_every_kind_has_its_words() -> None:
    """The judge of the library knows each kind."""
    assert {each.name for each in KINDS} <= set(WORDS)


@pytest.mark.parametrize("theme", list(library.THEMES))
def test_library_causes_come_first_and_fixes_are_healthy(theme: str) -> None:
    """Each broken variant's cause is named first, each fixed variant is healthy; what is beyond the model is listed."""
    entries = check(each for each in library.all_scenarios() if each.id.startswith(f"{theme}/"))
    wrong = [each.scenario.key for each in entries if not each.right and each.scenario.id not in BEYOND]

    assert wrong == []
