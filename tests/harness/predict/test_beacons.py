"""Who hears whose beacons."""

from __future__ import annotations

from canet.harness.predict import predict
from canet.harness.predict.prediction import BeaconPrediction

from .nets import iocs, pair, scenario


def beacon(subject: str, **env: str) -> BeaconPrediction:
    return predict(scenario(pair(), *iocs(1, env=env)), subject).beacons[0]


def test_rsrv_and_canet_send_to_each_subnet() -> None:
    """The beacon reaches the client's host, and the own one."""
    for subject in ("rsrv", "asyncio"):
        told = beacon(subject)
        assert told.destinations == ("10.1.0.255:5065",)
        assert set(told.heard_on) == {"client:5065", "ioc:5065"}


def test_caproto_needs_a_route_for_the_limited_broadcast() -> None:
    """Caproto sends to 255.255.255.255, which a host without default route cannot."""
    told = beacon("caproto-asyncio")

    assert told.destinations == ("255.255.255.255:5065",)
    assert told.heard_on == ()
    assert "route-limited" in {each.rule for each in told.reasons}


def test_repeater_port_moves_beacons_but_not_caprotos() -> None:
    """EPICS_CA_REPEATER_PORT is a fall-back for rsrv, not for caproto."""
    assert beacon("rsrv", EPICS_CA_REPEATER_PORT="6065").destinations == ("10.1.0.255:6065",)
    assert beacon("caproto-asyncio", EPICS_CA_REPEATER_PORT="6065").destinations == ("255.255.255.255:5065",)


def test_pcas_falls_back_to_the_clients_list() -> None:
    """Pcas takes EPICS_CA_ADDR_LIST where its own list is missing, rsrv does not."""
    env = {"EPICS_CA_ADDR_LIST": "10.1.0.1", "EPICS_CA_AUTO_ADDR_LIST": "NO"}

    assert beacon("pcaspy", **env).destinations == ("10.1.0.1:5065",)
    assert beacon("rsrv", **env).destinations == ("10.1.0.255:5065",)
