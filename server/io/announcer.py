"""Sends beacons when the core says that they are due."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable

from canet.server.core.beacon import Beacons, Destination
from canet.server.core.config import Config
from canet.server.io import sockets
from canet.server.io.complaints import Complaints
from canet.server.io.seam import Backend


class Announcer:
    """Beacons of one server.

    Args:
        backend: the concurrency library.
        complain: told what stands in the way.
        port: the TCP port that the beacons name.
        config: period and TTL.
    """

    def __init__(self, backend: Backend, complain: Complaints, port: int, config: Config) -> None:
        self._backend = backend
        self._complain = complain
        self._beacons = Beacons(port, config.beacon_period)
        self._ttl = config.multicast_ttl
        self._sockets: dict[str, socket.socket] = {}
        self._changed = backend.event()
        self._stopping = False

    def send_to(self, destinations: Iterable[Destination]) -> None:
        """Set the destinations; see :meth:`Beacons.send_to`."""
        self._beacons.send_to(destinations, time.monotonic())
        self._changed.set()

    def stop(self) -> None:
        """Send no more; :meth:`run` returns."""
        self._stopping = True
        self._changed.set()
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()

    async def run(self) -> None:
        """Send beacons when they are due."""
        beacons = self._beacons
        while not self._stopping:
            for datagram, destination in beacons.take(time.monotonic()):
                self._send(datagram, destination)
            due = beacons.next()
            if due is None:
                self._changed.clear()
                await self._changed.wait()
            else:
                # A change waits a beacon period at most: no timer needs to be cancelled for it.
                await self._backend.sleep(min(max(0.0, due - time.monotonic()), 1.0))

    def _send(self, datagram: bytes, destination: Destination) -> None:
        """Send one beacon; what stands in the way is logged once, and tried again next time."""
        source = destination.source
        try:
            sock = self._sockets.get(source)
            if sock is None:
                sock = self._sockets[source] = sockets.beacon_socket(source, self._ttl)
            sock.sendto(datagram, (destination.to.host, destination.to.port))
        except BlockingIOError:
            pass
        except OSError as error:
            self._complain(f"cannot send beacons to {destination.to} from {source}", error)
