"""A blocking front of the client: connect to a server that is known, read, write, watch."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from canet.harness.client.circuit import Answer, Channel, Circuit, Created, Disconnected, Echoed, Event, Update
from canet.server.protocol import eca

E = TypeVar("E")


class ClientError(Exception):
    """A server did not do what was asked; the text says what, and what it answered."""


class Connection:
    """A circuit over a connected socket. All waits end at a timeout, in seconds, with a :class:`ClientError`."""

    def __init__(self, stream: socket.socket, *, user: str = "canet", host: str = "canet") -> None:
        self._socket = stream
        self._circuit = Circuit(user, host)
        self._events: list[Event] = []
        self._flush()

    @classmethod
    def open(
        cls,
        address: str,
        make: Callable[[int, int], socket.socket] = socket.socket,
        *,
        timeout: float = 2.0,
        source: str | None = None,
    ) -> Connection:
        """Connect to ``A:PORT``.

        Args:
            address: where to.
            make: makes the socket from family and type; ``host.socket`` of a lab's host makes it there.
            timeout: seconds.
            source: local address.

        Raises:
            ClientError: nobody listens there, or no way leads there.
        """
        host, _, port = address.rpartition(":")
        stream = make(socket.AF_INET, socket.SOCK_STREAM)
        try:
            stream.settimeout(timeout)
            if source is not None:
                stream.bind((source, 0))
            stream.connect((host, int(port)))
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return cls(stream)
        except OSError as error:
            stream.close()
            raise ClientError(f"no connection to {address}: {error.strerror or error}") from None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def local(self) -> str:
        """Our end, ``A:PORT``."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def channel(self, name: str, timeout: float = 2.0) -> Channel:
        """Open a channel; raises :class:`ClientError` if the server does not serve the PV."""
        channel = self._circuit.create(name)
        self._wait(Created, lambda event: event.channel is channel, timeout, f"no channel for {name}")
        if channel.state != "open":
            raise ClientError(f"the server does not serve {name}")
        return channel

    def read(
        self, channel: Channel, dbr_type: int | None = None, count: int | None = None, timeout: float = 2.0
    ) -> Any:
        """Return the value of a channel (native type) or the whole :class:`Reading` of a given DBR type."""
        ioid = self._circuit.read(channel, dbr_type, count)
        answer = self._wait(Answer, lambda event: event.ioid == ioid, timeout, f"{channel.name} was not read")
        if answer.reading is None:
            raise ClientError(f"{channel.name} was not read: {eca.describe(answer.status)}")
        return answer.reading.value if dbr_type is None else answer.reading

    def write(self, channel: Channel, value: Any, timeout: float = 2.0) -> None:
        """Write and wait until the server says that it is done."""
        ioid = self._circuit.write(channel, value)
        answer = self._wait(Answer, lambda event: event.ioid == ioid, timeout, f"{channel.name} was not written")
        if answer.status != eca.NORMAL:
            raise ClientError(f"{channel.name} was not written: {eca.describe(answer.status)}")

    def monitor(self, channel: Channel, dbr_type: int | None = None, timeout: float = 2.0) -> Iterator[Any]:
        """Yield each update of a channel; ends with a :class:`ClientError` when none comes within ``timeout``."""
        subscription = self._circuit.subscribe(channel, dbr_type)
        while True:
            update = self._wait(
                Update, lambda event: event.subscription == subscription, timeout, f"no update of {channel.name}"
            )
            yield update.reading if dbr_type is not None or update.reading is None else update.reading.value

    def echo(self, timeout: float = 2.0) -> None:
        """Wait until the server says that it is alive."""
        self._circuit.echo()
        self._wait(Echoed, lambda _event: True, timeout, "no echo")

    def closed(self, timeout: float) -> bool:
        """Tell whether the server closes the connection within ``timeout``."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            try:
                self._take(left)
            except ClientError:
                return True
            except TimeoutError:
                return False
            if any(isinstance(event, Disconnected) for event in self._events):
                return True
        return False

    def _flush(self) -> None:
        try:
            self._socket.sendall(self._circuit.outgoing())
        except OSError as error:
            raise ClientError(f"the connection is gone: {error.strerror or error}") from None

    def _take(self, timeout: float) -> None:
        self._socket.settimeout(max(timeout, 1e-4))
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            raise
        except OSError as error:
            raise ClientError(f"the connection is gone: {error.strerror or error}") from None
        if not data:
            raise ClientError("the server closed the connection")
        self._events += self._circuit.receive(data)

    def _wait(self, kind: type[E], fits: Callable[[E], bool], timeout: float, complaint: str) -> E:
        self._flush()
        deadline = time.monotonic() + timeout
        while True:
            for position, event in enumerate(self._events):
                if isinstance(event, kind) and fits(event):
                    del self._events[position]
                    return event
            left = deadline - time.monotonic()
            try:
                if left <= 0:
                    raise TimeoutError
                self._take(left)
            except TimeoutError:
                raise ClientError(f"{complaint} within {timeout:g} s") from None
            except ClientError as error:
                raise ClientError(f"{complaint}: {error}") from None
