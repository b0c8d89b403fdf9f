"""Where clients search: three parsers of the same variables."""

from __future__ import annotations

from typing import Any

import pytest

from canet.harness.predict.addresses import READERS, Searching, quad, resolve
from canet.harness.predict.tables import compile_network
from canet.netns.topology import Host

from .nets import host, lan


def reading(implementation: str, env: dict[str, str], *addresses: str, **rest: Any) -> Searching:
    """Read an environment on a host with these addresses."""
    segments = tuple(f"s{n}" for n in range(len(addresses)))
    one: Host = host("h", *addresses, segments=segments, **rest)
    return READERS[implementation]("c", compile_network(lan(one)).hosts["h"], env)


def places(implementation: str, env: dict[str, str], *addresses: str, **rest: Any) -> list[str]:
    return [str(each) for each in reading(implementation, env, *addresses, **rest).destinations]


LIST = "EPICS_CA_ADDR_LIST"
AUTO = "EPICS_CA_AUTO_ADDR_LIST"


@pytest.mark.parametrize(
    ("implementation", "env", "expected"),
    [
        ("libca", {}, ["10.1.0.255:5064"]),
        ("libca", {LIST: "10.9.0.2 10.9.0.3:6064"}, ["10.1.0.255:5064", "10.9.0.2:5064", "10.9.0.3:6064"]),
        ("libca", {LIST: "10.9.0.2", AUTO: "NO"}, ["10.9.0.2:5064"]),
        ("libca", {LIST: "10.9.0.2", AUTO: "No"}, ["10.1.0.255:5064", "10.9.0.2:5064"]),
        ("libca", {AUTO: "NO"}, []),
        ("libca", {LIST: "10.9.0.2\t10.9.0.3", AUTO: "NO"}, ["10.9.0.2:5064", "10.9.0.3:5064"]),
        ("libca", {LIST: "nowhere 10.9.0.2", AUTO: "NO"}, ["10.9.0.2:5064"]),
        ("libca", {"EPICS_CA_SERVER_PORT": "6064"}, ["10.1.0.255:6064"]),
        ("caproto", {LIST: "10.9.0.2", AUTO: "No"}, ["10.9.0.2:5064"]),
        ("caproto", {AUTO: "NO"}, ["127.0.0.1:5064", "10.1.0.255:5064"]),
        ("caproto", {LIST: "10.9.0.2\t10.9.0.3", AUTO: "NO"}, []),
        ("caj", {LIST: "10.9.0.2", AUTO: "No"}, ["10.9.0.2:5064"]),
        ("caj", {AUTO: "false"}, ["10.1.0.255:5064"]),
    ],
)
def test_each_reads_its_own_way(implementation: str, env: dict[str, str], expected: list[str]) -> None:
    """The same variables give different destinations."""
    assert expected == places(implementation, env, "10.1.0.1/24")


def test_loopback_only_if_nothing_else_is_up() -> None:
    """Libca falls back to the loopback on a host without other interfaces."""
    assert places("libca", {}) == ["127.0.0.1:5064"]


def test_missing_attribute_gives_the_own_address() -> None:
    """Getifaddrs reports the own address where the broadcast attribute is missing."""
    assert places("libca", {}, "10.1.0.1/24 brd none") == ["10.1.0.1:5064"]
    assert places("libca", {}, "10.1.0.1/32 peer 10.1.0.2") == ["10.1.0.2:5064"]


def test_remarks_tell_what_was_skipped_and_misread() -> None:
    """Entries that do not resolve and spellings that mean the opposite are told."""
    found = reading("libca", {LIST: "nowhere", AUTO: "false"}, "10.1.0.1/24")

    assert {each[1] for each in found.remarks} == {"list-bad-name", "list-auto-spelling"}


def test_names_resolve_by_the_hosts_file() -> None:
    """A host resolves what its own /etc/hosts lists."""
    one = compile_network(lan(host("h", "10.1.0.1/24", files=(("/etc/hosts", "10.1.0.2 ioc ioc.site # x"),))))

    assert resolve(one.hosts["h"], "ioc.site") == quad("10.1.0.2")
    assert resolve(one.hosts["h"], "x") is None
