"""What the environment tells a server, by rsrv's rules where documents and code disagree.

Sources: ``caservertask.c``, ``online_notify.c``, ``envSubr.c`` of EPICS Base. Nothing
is looked up here: host names stay names until :mod:`canet.server.io.addresses` resolves them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Literal

Layout = Literal["literal", "rsrv"]
Reuse = Literal["both", "addr", "port", "none"]

SERVER_PORT = 5064
BEACON_PORT = 5065
BEACON_PERIOD = 15.0
CONNECTION_TIMEOUT = 30.0
MAX_TCP = 16384
"""Payload that every server and client can take."""
ANY_PAYLOAD = 1 << 31
"""Payload that is taken where buffers grow as needed; a channel's own size is the nearer bound."""


class ConfigError(ValueError):
    """The environment asks for something that cannot be; the text says what, and what to change."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host name or address, with a port."""

    host: str
    port: int

    @property
    def multicast(self) -> bool:
        """Whether it is a multicast group."""
        try:
            return IPv4Address(self.host).is_multicast
        except AddressValueError:
            return False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of a server."""

    server_port: int = SERVER_PORT
    """UDP port, and the TCP port where it is free."""
    interfaces: tuple[Endpoint, ...] = ()
    """Addresses to bind; empty: all."""
    ignored: frozenset[str] = frozenset()
    """Addresses whose UDP searches are ignored."""
    beacon_port: int = BEACON_PORT
    beacon_period: float = BEACON_PERIOD
    auto_beacons: bool = True
    """Beacons go to the broadcast address of each interface."""
    beacon_to: tuple[Endpoint, ...] = ()
    """Where else beacons go."""
    multicast_ttl: int = 1
    connection_timeout: float = CONNECTION_TIMEOUT
    """Seconds of silence before a connection is probed."""
    max_payload: int = ANY_PAYLOAD
    layout: Layout = "literal"
    """``literal``: each address is bound as it is given; ``rsrv``: an interface's address and its broadcast address."""
    reuse: Reuse = "both"
    """Socket options of the search sockets: SO_REUSEADDR, SO_REUSEPORT."""
    warnings: tuple[str, ...] = ()
    """What in the environment was not understood, and what is done instead."""

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], *, layout: Layout = "literal", reuse: Reuse = "both"
    ) -> Config:
        """Read ``EPICS_CAS_…`` and ``EPICS_CA_…``.

        Raises:
            ConfigError: where rsrv would stop: 0.0.0.0 together with other interfaces.

        >>> Config.from_environment({"EPICS_CA_SERVER_PORT": "6064"}).server_port
        6064
        """
        reader = _Reader(environment)
        port = reader.port(("EPICS_CAS_SERVER_PORT", "EPICS_CA_SERVER_PORT"), SERVER_PORT)
        beacon_port = reader.port(("EPICS_CAS_BEACON_PORT", "EPICS_CA_REPEATER_PORT"), BEACON_PORT)
        interfaces = reader.endpoints("EPICS_CAS_INTF_ADDR_LIST", port)
        hosts = [each.host for each in interfaces if not each.multicast]
        if "0.0.0.0" in hosts and len(hosts) > 1:
            raise ConfigError(
                "EPICS_CAS_INTF_ADDR_LIST names 0.0.0.0 and other addresses: name either all interfaces or some"
            )
        return cls(
            server_port=port,
            interfaces=interfaces,
            ignored=frozenset(each.host for each in reader.endpoints("EPICS_CAS_IGNORE_ADDR_LIST", 0)),
            beacon_port=beacon_port,
            beacon_period=reader.seconds(("EPICS_CAS_BEACON_PERIOD", "EPICS_CA_BEACON_PERIOD"), BEACON_PERIOD),
            auto_beacons=reader.yes("EPICS_CAS_AUTO_BEACON_ADDR_LIST"),
            beacon_to=reader.endpoints("EPICS_CAS_BEACON_ADDR_LIST", beacon_port),
            multicast_ttl=reader.whole("EPICS_CA_MCAST_TTL", 1, 1, 255),
            connection_timeout=reader.seconds(("EPICS_CA_CONN_TMO",), CONNECTION_TIMEOUT),
            max_payload=reader.max_payload(),
            layout=layout,
            reuse=reuse,
            warnings=tuple(reader.warnings),
        )


class _Reader:
    """Reads variables; an empty one counts as unset (``envGetConfigParamPtr``)."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.warnings: list[str] = []

    def first(self, names: tuple[str, ...]) -> tuple[str, str | None]:
        """Return the first variable that is set, and its value."""
        for name in names:
            value = self.environment.get(name)
            if value:
                return name, value
        return names[0], None

    def port(self, names: tuple[str, ...], default: int) -> int:
        """Read a port: 5001–65535, as ``envGetInetPortConfigParam`` demands."""
        name, text = self.first(names)
        if text is None:
            return default
        try:
            port = int(text)
        except ValueError:
            port = 0
        if 5000 < port <= 65535:
            return port
        self.warnings.append(f"{name}={text!r} is not a port from 5001 to 65535; {default} is used")
        return default

    def seconds(self, names: tuple[str, ...], default: float) -> float:
        """Read a time, more than nothing."""
        name, text = self.first(names)
        if text is None:
            return default
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
        if 0.0 < seconds < 1e9:
            return seconds
        self.warnings.append(f"{name}={text!r} is not a time in seconds; {default} is used")
        return default

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """Read a whole number within bounds."""
        text = self.environment.get(name)
        if not text:
            return default
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if low <= number <= high:
            return number
        self.warnings.append(f"{name}={text!r} is not a whole number from {low} to {high}; {default} is used")
        return default

    def yes(self, name: str) -> bool:
        """Read a switch: on if unset or ``yes`` in any case, else off (``envGetBoolConfigParam``)."""
        text = self.environment.get(name)
        if not text:
            return True
        if text.lower() not in ("yes", "no"):
            self.warnings.append(f"{name}={text!r} is neither YES nor NO, and so means NO")
        return text.lower() == "yes"

    def max_payload(self) -> int:
        """Read the size limit, which holds only where buffers do not grow by themselves."""
        if self.yes("EPICS_CA_AUTO_ARRAY_BYTES"):
            return ANY_PAYLOAD
        return max(MAX_TCP, self.whole("EPICS_CA_MAX_ARRAY_BYTES", MAX_TCP, 0, ANY_PAYLOAD))

    def endpoints(self, name: str, port: int) -> tuple[Endpoint, ...]:
        """Read a list, separated by any white space, of ``host[:port]``; bad entries are left out, the others stay."""
        found: dict[Endpoint, None] = {}
        for word in self.environment.get(name, "").split():
            host, colon, number = word.partition(":")
            if not host or (colon and not (number.isdigit() and int(number) <= 65535)):
                self.warnings.append(f"{name}: {word!r} is not host[:port]; it is left out")
                continue
            found[Endpoint(host, int(number) if colon else port)] = None
        return tuple(found)
