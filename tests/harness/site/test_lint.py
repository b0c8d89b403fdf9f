"""A whole site: traps in its settings, clients that reach nothing or by luck, and remedies that work."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

import pytest

from canet.harness.site.lint import Finding, lint
from canet.harness.site.lint_verify import verify_in_lab
from canet.harness.site.site import Site, load_site, read_site
from canet.netns import enter
from canet.scenarios.errors import ScenarioError

SITE = """
[segments.lan]
[hosts.opi.interfaces]
eth0 = { segment = "lan", addresses = ["10.1.0.1/24"] }
[hosts.vac.interfaces]
eth0 = { segment = "lan", addresses = ["10.1.0.2/24"] }
[iocs.vac01]
host = "vac"
prefixes = ["SR01:VAC:"]
[iocs.vac02]
host = "vac"
prefixes = ["SR02:VAC:"]
[clients.opi]
host = "opi"
pvs = ["SR01:VAC:P1", "SR02:VAC:P1"]
"""


def site(**changes: Mapping[str, Any]) -> Site:
    """Return the site with tables merged in: ``clients={"opi": {...}}``."""
    document = tomllib.loads(SITE)
    for kind, tables in changes.items():
        for name, table in tables.items():
            document.setdefault(kind, {}).setdefault(name, {}).update(table)
    return read_site(document, "site.toml")


def found(kind: str, **changes: Mapping[str, Any]) -> list[Finding]:
    return [each for each in lint(site(**changes)) if each.kind == kind]


def env(**values: str) -> dict[str, dict[str, dict[str, str]]]:
    return {"opi": {"env": dict(values)}}


def test_sound_site_has_no_findings() -> None:
    """Nothing is wrong with a small sound site."""
    assert lint(site()) == []


def test_luck_is_found_with_its_remedy() -> None:
    """Two IOCs share unicasts; the remedy is verified in the model."""
    (one,) = found("luck", clients=env(EPICS_CA_ADDR_LIST="10.1.0.2", EPICS_CA_AUTO_ADDR_LIST="NO"))

    assert "opi reaches only by luck vac01, vac02" in one.text
    assert one.verified
    assert any("clients.opi.env" in each for each in one.remedy)


def test_second_iocs_port_is_closed() -> None:
    """A firewall that opens TCP 5064 alone hides the second IOC."""
    rules = [
        {"hook": "input", "proto": "udp", "dport": 5064, "verdict": "accept"},
        {"hook": "input", "proto": "tcp", "dport": 5064, "verdict": "accept"},
    ]
    (one,) = found("unreachable", hosts={"vac": {"rules": rules, "policies": {"input": "drop"}}})

    assert "vac02" in one.text
    assert "vac01" not in one.text
    assert "another port" in one.cause


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("separator", {"clients": env(EPICS_CA_ADDR_LIST="10.1.0.2,10.1.0.3")}),
        ("switch", {"clients": env(EPICS_CA_AUTO_ADDR_LIST="No", EPICS_CA_ADDR_LIST="10.1.0.2")}),
        ("duplicate-entry", {"clients": env(EPICS_CA_ADDR_LIST="10.1.0.2 10.1.0.2")}),
        ("unresolvable", {"clients": env(EPICS_CA_ADDR_LIST="vacuum")}),
        ("unknown-variable", {"clients": env(EPICS_CA_ADRR_LIST="10.1.0.2")}),
        ("port", {"clients": env(EPICS_CA_SERVER_PORT="64")}),
        ("interface", {"iocs": {"vac01": {"env": {"EPICS_CAS_INTF_ADDR_LIST": "10.7.0.2"}}}}),
        ("dead", {"iocs": {"vac01": {"env": {"EPICS_CAS_INTF_ADDR_LIST": "0.0.0.0 10.1.0.2"}}}}),
        ("duplicate-pv", {"iocs": {"vac02": {"prefixes": ["SR01:VAC:"]}}}),
        (
            "netmask",
            {"hosts": {"opi": {"interfaces": {"eth0": {"segment": "lan", "addresses": ["10.1.0.1/16"]}}}}},
        ),
        (
            "no-broadcast",
            {"hosts": {"opi": {"interfaces": {"eth0": {"segment": "lan", "addresses": ["10.1.0.1/24 brd none"]}}}}},
        ),
    ],
)
def test_trap_is_found(kind: str, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Each trap has a kind, a place and a sentence."""
    traps = found(kind, **changes)

    assert traps
    assert all(each.where and each.text for each in traps)


def test_missing_port_names_the_right_one() -> None:
    """An entry without the port that the IOC is on."""
    (one,) = found(
        "missing-port",
        clients=env(EPICS_CA_ADDR_LIST="10.1.0.2"),
        iocs={each: {"env": {"EPICS_CAS_SERVER_PORT": "6064"}} for each in ("vac01", "vac02")},
    )

    assert "10.1.0.2:6064" in one.remedy[0]


def test_beacons_that_do_not_arrive() -> None:
    """Clients beyond a router hear no beacons."""
    segment = {"segment": "other", "addresses": ["10.2.0.1/24"]}
    findings = found("no-beacon", segments={"other": {}}, hosts={"opi": {"interfaces": {"eth0": segment}}})

    assert len(findings) == 1
    assert "EPICS_CAS_BEACON_ADDR_LIST" in findings[0].remedy[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [("[iocs.a]\nhots = 'x'", "iocs.a.hots"), ("iocs = 3", "iocs"), ("[hosts", "not TOML")],
)
def test_mistakes_are_errors_that_name_the_key(text: str, message: str, tmp_path: Any) -> None:
    """A mistake in the file is one sentence with its place."""
    path = tmp_path / "site.toml"
    path.write_text(text)

    with pytest.raises(ScenarioError, match=message):
        load_site(path)


def test_remedy_works_in_a_lab() -> None:
    """The model's remedy is tried on the kernel, with a client that reads."""
    enter()
    changes = {"opi": {"implementation": "canet", "env": {"EPICS_CA_ADDR_LIST": "", "EPICS_CA_AUTO_ADDR_LIST": "NO"}}}
    one = next(each for each in lint(site(clients=changes)) if each.kind == "unreachable")

    assert verify_in_lab(one).endswith("after")
