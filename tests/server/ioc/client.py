"""A client for tests: names instead of channels, and waits that end when a value is as it should be."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from canet.harness.client.blocking import Connection
from canet.harness.client.circuit import Channel
from canet.server.io.driver import Addresses
from canet.server.protocol.payload import Reading

TIMEOUT = 10.0
"""Seconds: much more than anything takes."""


class Client:
    """A connection to one server, by the names of PVs."""

    def __init__(self, addresses: Addresses, *, user: str = "tester", host: str = "localhost") -> None:
        self.addresses = addresses
        address, _, port = addresses.tcp[0].rpartition(":")
        self.connection = Connection(socket.create_connection((address, int(port)), TIMEOUT), user=user, host=host)
        self.channels: dict[str, Channel] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.connection.close()

    def channel(self, name: str) -> Channel:
        """Return the channel of a name."""
        if name not in self.channels:
            self.channels[name] = self.connection.channel(name, TIMEOUT)
        return self.channels[name]

    def get(self, name: str) -> Any:
        """Read a value in its native type."""
        return self.connection.read(self.channel(name), timeout=TIMEOUT)

    def read(self, name: str, dbr_type: int) -> Reading:
        """Read with alarm, time or limits."""
        reading: Reading = self.connection.read(self.channel(name), dbr_type, timeout=TIMEOUT)
        return reading

    def put(self, name: str, value: Any) -> None:
        """Write, and wait until it is done."""
        self.connection.write(self.channel(name), value, TIMEOUT)

    def begin(self, name: str, value: Any) -> None:
        """Ask for a write, and go on."""
        self.connection._circuit.write(self.channel(name), value)
        self.connection._flush()

    def until(self, name: str, fits: Callable[[Any], bool]) -> Any:
        """Watch a PV until its value is as it should be; return that value."""
        seen: list[Any] = []
        deadline = time.monotonic() + TIMEOUT
        for value in self.connection.monitor(self.channel(name), timeout=TIMEOUT):
            seen.append(value)
            if fits(value):
                return value
            if time.monotonic() > deadline:
                break
        raise AssertionError(f"{name} went through {seen[-5:]}")
