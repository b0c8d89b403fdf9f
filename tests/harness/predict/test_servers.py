"""Which sockets each implementation opens, and what follows from them."""

from __future__ import annotations

import pytest

from canet.harness.predict import predict, stage
from canet.harness.predict.trace import address
from canet.scenarios.model import Outcome, Server

from .nets import iocs, pair, scenario

OWN = {"EPICS_CAS_INTF_ADDR_LIST": "10.1.0.2"}
UNICAST = {"EPICS_CA_ADDR_LIST": "10.1.0.2", "EPICS_CA_AUTO_ADDR_LIST": "NO"}


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("asyncio", {"10.1.0.2"}),
        ("rsrv", {"10.1.0.2", "10.1.0.255"}),
        ("pcaspy", {"10.1.0.2", "10.1.0.255"}),
        ("caproto-asyncio", {"10.1.0.2"}),
    ],
)
def test_binding_the_own_address(subject: str, expected: set[str]) -> None:
    """Rsrv and pcas open a second socket for broadcasts, the literal ones do not."""
    scene = stage(scenario(pair(), *iocs(1, env=OWN)), subject)
    hears = predict(scenario(pair(), *iocs(1, env=OWN)), subject).client("libca").reads

    assert expected == {address(each.address) for each in scene.servers["ioc1"].udp}
    assert (hears == Outcome("none")) == (len(expected) == 1)


def test_second_server_takes_another_tcp_port() -> None:
    """Only the first server has TCP port 5064, the others announce an ephemeral one, and all are reached."""
    scene = stage(scenario(pair(), *iocs(3)), "asyncio")

    assert [each.tcp[0].ephemeral for each in scene.servers.values()] == [False, True, True]
    assert len({each.port for each in scene.servers.values()}) == 3


def test_wildcard_with_others_stops_rsrv() -> None:
    """0.0.0.0 together with other addresses is fatal for rsrv and for us."""
    env = {"EPICS_CAS_INTF_ADDR_LIST": "0.0.0.0 10.1.0.2"}

    for subject in ("rsrv", "asyncio"):
        told = predict(scenario(pair(), *iocs(1, env=env)), subject)
        assert [name for name, _ in told.dead] == ["ioc1"]


def test_caproto_ignores_its_ignore_list() -> None:
    """Caproto answers addresses that it was told to ignore, the others do not."""
    env = {"EPICS_CAS_IGNORE_ADDR_LIST": "10.1.0.1"}
    reads = {
        subject: predict(scenario(pair(), *iocs(1, env=env)), subject).client("libca").reads.kind
        for subject in ("asyncio", "rsrv", "caproto-asyncio")
    }

    assert reads == {"asyncio": "none", "rsrv": "none", "caproto-asyncio": "all"}


def test_caproto_reads_one_port_variable_only() -> None:
    """EPICS_CAS_SERVER_PORT moves rsrv, and leaves caproto on 5064."""
    env = {"EPICS_CAS_SERVER_PORT": "6064"}

    assert predict(scenario(pair(), *iocs(1, env=env)), "caproto-asyncio").client("libca").reads.kind == "all"
    assert predict(scenario(pair(), *iocs(1, env=env)), "rsrv").client("libca").reads.kind == "none"


def test_reuse_address_alone_gives_all_to_the_last() -> None:
    """With SO_REUSEADDR alone the server that bound last gets every unicast."""
    told = predict(scenario(pair(), *iocs(3, reuse="addr"), env=UNICAST)).client("libca")

    assert str(told.reads) == "only ioc3:x"
    assert [each.verdict for each in told.pvs] == ["never", "never", "always"]


def test_occupied_port_keeps_a_server_from_serving() -> None:
    """A program that does not share UDP 5064 leaves a later server without a search socket."""
    holder = Server(name="other", host="ioc", implementation="occupant", options={"udp": 5064})
    told = predict(scenario(pair(), holder, *iocs(1)))

    assert [name for name, _ in told.dead] == ["ioc1"]


def test_duplicate_pv_is_found_and_whose_is_chance() -> None:
    """A PV that two servers have is always found, from either."""
    two = tuple(Server(name=name, host="ioc", pvs={"same": 1.0}) for name in ("a", "b"))
    told = predict(scenario(pair(), *two)).client("libca")

    assert told.pvs[0].verdict == "always"
    assert str(told.connects) == "one of a, b, spread"
