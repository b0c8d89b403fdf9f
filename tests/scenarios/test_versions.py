"""Old servers: what their version does not know, they never see."""

from __future__ import annotations

import pytest

from canet.scenarios.model import Server
from canet.scenarios.versions import as_it_reads, unknown

ENV = {"EPICS_CAS_INTF_ADDR_LIST": "10.1.0.2", "EPICS_CA_ADDR_LIST": "10.1.0.255"}


@pytest.mark.parametrize(
    ("version", "lost"),
    [("3.14.12.8", True), ("3.15.3", True), ("3.15.4", False), ("3.15.10", False), ("7.0.8", False)],
)
def test_variables_come_with_a_version(version: str, lost: bool) -> None:
    """Versions are compared as numbers; what is too new is taken away, with the version itself."""
    server = Server(name="ioc", host="ioc", env=ENV, options={"version": version, "acf": "/site.acf"})
    read = as_it_reads(server)

    assert bool(unknown(server)) is lost
    assert ("EPICS_CAS_INTF_ADDR_LIST" in read.env) is not lost
    assert read.options == {"acf": "/site.acf"}


def test_server_without_version_reads_all() -> None:
    """Nothing is taken from a server that does not say its version."""
    server = Server(name="ioc", host="ioc", env=ENV)

    assert as_it_reads(server) is server
    assert unknown(server) == ()
