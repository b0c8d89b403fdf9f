"""Relay broadcasts of Channel Access between networks: raw sockets around :mod:`canet.harness.gateway.repeating`.

It listens below the UDP ports (AF_PACKET), so that it takes nothing from servers and repeaters on its own host, and
sends whole IPv4 packets (raw(7)), so that the sender's address is kept. Both need the capability CAP_NET_RAW.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from canet.harness.gateway.repeating import BEACONS, SEARCHES, Datagram, Repeater, Side, build
from canet.server.io.interfaces import interfaces

log = logging.getLogger("canet.relay")

ETH_P_IP = 0x0800
PACKET_OUTGOING = 4


class RelayError(ValueError):
    """The relay cannot work; the text says why and what to do."""


def sides(wanted: Iterable[str] = ()) -> tuple[Side, ...]:
    """Return the interfaces to relay between: those named, or all that have a broadcast address.

    Raises:
        RelayError: an interface has no broadcast address, or there are fewer than two.
    """
    present = {}
    for each in interfaces():
        if each.broadcast and not each.address.startswith("127."):
            network = IPv4Network(f"{each.address}/{each.netmask}", strict=False)
            present[each.name] = Side(each.name, IPv4Address(each.address), network, IPv4Address(each.broadcast))
    names = tuple(wanted) or tuple(present)
    for name in names:
        if name not in present:
            raise RelayError(f"{name}: no such interface with a broadcast address; there are: {', '.join(present)}")
    if len(names) < 2:
        raise RelayError(f"a relay needs two networks, and this host has {', '.join(names) or 'none'}")
    return tuple(present[name] for name in names)


class Relay:
    """The sockets of a relay.

    Raises:
        PermissionError: the process may not open raw sockets.
    """

    def __init__(self, repeater: Repeater) -> None:
        self.repeater = repeater
        self._selector = selectors.DefaultSelector()
        self._out: dict[str, socket.socket] = {}
        self._going = True
        for side in repeater.sides.values():
            heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
            heard.bind((side.interface, ETH_P_IP))
            heard.setblocking(False)
            self._selector.register(heard, selectors.EVENT_READ, side.interface)
            out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            out.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, side.interface.encode())
            self._out[side.interface] = out
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, None)

    def run(self) -> None:
        """Relay until :meth:`stop`."""
        while self._going:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._read(key.fileobj, key.data)  # type: ignore[arg-type]  # only sockets are registered
        self._selector.close()

    def stop(self) -> None:
        """Make :meth:`run` return; may be called by a signal handler."""
        self._going = False
        self._wake.send(b".")

    def _read(self, heard: socket.socket, interface: str) -> None:
        while True:
            try:
                packet, where = heard.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError as error:  # the interface went down
                log.warning("%s: %s", interface, error.strerror)
                return
            if where[2] == PACKET_OUTGOING:
                continue
            for target, datagram in self.repeater.hear(interface, packet):
                self._send(target, datagram)

    def _send(self, interface: str, datagram: Datagram) -> None:
        try:
            self._out[interface].sendto(build(datagram), (str(datagram.to), 0))
        except OSError as error:
            log.warning("cannot send by %s: %s", interface, error.strerror)


def serve(config: Mapping[str, Any], say: Callable[[Repeater], object] | None = None) -> int:
    """Relay until SIGTERM or SIGINT.

    Args:
        config: ``interfaces`` (text, names separated by blanks; all where missing), ``ports`` (text),
            ``keep_source`` (true), ``report_fd``.
        say: told what is relayed, when it begins.

    Returns:
        0 after a signal, 1 if sockets cannot be opened, 2 if there is nothing to relay between.
    """
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    ports = [int(each) for each in str(config.get("ports") or f"{SEARCHES} {BEACONS}").split()]
    try:
        repeater = Repeater(
            sides(str(config.get("interfaces") or "").split()),
            ports,
            keep_source=bool(config.get("keep_source", True)),
        )
        relay = Relay(repeater)
    except RelayError as error:
        log.error("%s", error)
        return 2
    except OSError as error:
        log.error("raw sockets cannot be opened: %s; run it as root, or with CAP_NET_RAW", error.strerror)
        return 1
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: relay.stop())
    if config.get("report_fd") is not None:
        os.write(int(config["report_fd"]), json.dumps({"event": "ready", "udp": [], "tcp": []}).encode() + b"\n")
    if say is not None:
        say(repeater)
    relay.run()
    return 0
