"""What the environment tells a server."""

import pytest

from canet.server.core.config import ANY_PAYLOAD, Config, ConfigError, Endpoint


def read(**variables: str) -> Config:
    """Read variables; names lack their EPICS."""
    return Config.from_environment({f"EPICS_{name}": value for name, value in variables.items()})


def test_defaults() -> None:
    """An empty environment is what rsrv takes it for."""
    config = read()

    assert (config.server_port, config.beacon_port, config.beacon_period) == (5064, 5065, 15.0)
    assert (config.interfaces, config.ignored, config.auto_beacons, config.max_payload) == (
        (),
        frozenset(),
        True,
        ANY_PAYLOAD,
    )
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("variables", "port"),
    [
        ({"CA_SERVER_PORT": "6064"}, 6064),
        ({"CAS_SERVER_PORT": "7064", "CA_SERVER_PORT": "6064"}, 7064),
        ({"CAS_SERVER_PORT": "", "CA_SERVER_PORT": "6064"}, 6064),
        ({"CAS_SERVER_PORT": "5000"}, 5064),
        ({"CAS_SERVER_PORT": "70000"}, 5064),
        ({"CAS_SERVER_PORT": "many"}, 5064),
    ],
)
def test_server_port(variables: dict[str, str], port: int) -> None:
    """CAS goes before CA; what is no port above 5000 is not taken."""
    assert read(**variables).server_port == port


def test_bad_values_are_named() -> None:
    """A warning says which variable, what it held, and what is used."""
    (warning,) = read(CAS_SERVER_PORT="5000").warnings

    assert warning == "EPICS_CAS_SERVER_PORT='5000' is not a port from 5001 to 65535; 5064 is used"


@pytest.mark.parametrize(
    ("variables", "port", "period"),
    [
        ({"CA_REPEATER_PORT": "6065", "CA_BEACON_PERIOD": "3"}, 6065, 3.0),
        ({"CAS_BEACON_PORT": "7065", "CA_REPEATER_PORT": "6065", "CAS_BEACON_PERIOD": "0.5"}, 7065, 0.5),
        ({"CAS_BEACON_PERIOD": "0"}, 5065, 15.0),
        ({"CAS_BEACON_PERIOD": "nan"}, 5065, 15.0),
    ],
)
def test_beacons(variables: dict[str, str], port: int, period: float) -> None:
    """Port and period fall back on the client's variables."""
    config = read(**variables)

    assert (config.beacon_port, config.beacon_period) == (port, period)


@pytest.mark.parametrize(
    ("text", "on"), [("", True), ("YES", True), ("yes", True), ("NO", False), ("1", False), ("true", False)]
)
def test_automatic_beacons(text: str, on: bool) -> None:
    """Only yes, in any case, means yes; the client's variable says nothing."""
    assert read(CAS_AUTO_BEACON_ADDR_LIST=text, CA_AUTO_ADDR_LIST="NO").auto_beacons is on


def test_lists_are_separated_by_any_white_space() -> None:
    """Good entries stay when one is bad; duplicates are one."""
    config = read(CAS_BEACON_ADDR_LIST="10.0.0.1\t10.0.0.2:6065\n10.0.0.1 10.0.0.3:x :5", CA_ADDR_LIST="10.9.9.9")

    assert config.beacon_to == (Endpoint("10.0.0.1", 5065), Endpoint("10.0.0.2", 6065))
    assert len(config.warnings) == 2


def test_interfaces_and_groups() -> None:
    """Groups are told from addresses."""
    config = read(CAS_INTF_ADDR_LIST="10.1.0.2 224.0.2.9", CAS_IGNORE_ADDR_LIST="10.0.0.7 10.0.0.8")

    assert [each.multicast for each in config.interfaces] == [False, True]
    assert config.ignored == {"10.0.0.7", "10.0.0.8"}


def test_all_and_some_interfaces_cannot_be() -> None:
    """Rsrv stops there too."""
    with pytest.raises(ConfigError, match=r"EPICS_CAS_INTF_ADDR_LIST names 0\.0\.0\.0"):
        read(CAS_INTF_ADDR_LIST="0.0.0.0 10.1.0.2")


def test_array_bytes() -> None:
    """The limit holds only where buffers do not grow, and is never below what every client can take."""
    assert read(CA_MAX_ARRAY_BYTES="100000").max_payload == ANY_PAYLOAD
    assert read(CA_MAX_ARRAY_BYTES="100000", CA_AUTO_ARRAY_BYTES="NO").max_payload == 100000
    assert read(CA_MAX_ARRAY_BYTES="10", CA_AUTO_ARRAY_BYTES="NO").max_payload == 16384
