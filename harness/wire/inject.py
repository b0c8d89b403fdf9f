"""Send the search datagrams of a probe from a host, and collect what comes back.

scapy builds the payload (and the frame) once for a set of names; what differs between two datagrams (ids, source
port, checksums) is patched in, and sockets carry it: a scapy build costs 0.4 ms, a patched one some microseconds.
At IP level a UDP socket of the host sends and its kernel routes; at link level a whole frame is put on the interface,
addressed as :mod:`canet.harness.wire.link` finds, while a UDP socket waits for the replies.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Final

from canet.harness.observation import Reply, Shot
from canet.harness.wire import frames
from canet.harness.wire.link import LIMITED, HasHosts, Way, find_way
from canet.netns.topology import Topology
from canet.scenarios.model import Probe

SO_TIMESTAMPNS: Final = 35
MOST: Final = 1024
"""Bytes of one search datagram, as libca fills it (``MAX_UDP_SEND`` of caProto.h)."""
_SEARCH: Final = struct.Struct("!HHHHII")
_STAMP: Final = struct.Struct("@qq")


def batches(names: tuple[str, ...], most: int = MOST) -> tuple[tuple[str, ...], ...]:
    """Divide names so that each datagram stays within ``most`` bytes; the first name (the witness) leads each.

    >>> [len(batch) for batch in batches(("witness", *(f"a:long:name:of:a:pv:{n}" for n in range(40))))]
    [25, 17]
    """
    first, rest, found = names[:1], list(names[1:]), []
    while True:
        batch, size = list(first), 16 + sum(_search_size(each) for each in first)
        while rest and (size := size + _search_size(rest[0])) <= most:
            batch.append(rest.pop(0))
        if rest and len(batch) == len(first):
            batch.append(rest.pop(0))  # Longer than allowed all alone: it goes as it is.
        found.append(tuple(batch))
        if not rest:
            return tuple(found)


def _search_size(name: str) -> int:
    return 16 + len(name) // 8 * 8 + 8


@lru_cache(maxsize=256)
def _template(names: tuple[str, ...]) -> tuple[bytes, tuple[int, ...]]:
    """Build the payload with scapy, and find where its channel ids stand."""
    from canet.harness.packets import search_payload

    payload = search_payload(names)
    places, place = [], 0
    while place < len(payload):
        command, size, *_ = _SEARCH.unpack_from(payload, place)
        if command == frames.SEARCH:
            places.append(place + 8)
        place += 16 + size
    return payload, tuple(places)


def search_datagram(names: tuple[str, ...], first_cid: int) -> bytes:
    """Return the payload of a search datagram for ``names``, whose channel ids count from ``first_cid``."""
    payload, places = _template(names)
    patched = bytearray(payload)
    for offset, place in enumerate(places):
        struct.pack_into("!II", patched, place, first_cid + offset, first_cid + offset)
    return bytes(patched)


@lru_cache(maxsize=64)
def _frame_template(way: Way, source: IPv4Address, to: IPv4Address, port: int, payload: bytes) -> bytes:
    from canet.harness.packets import udp_frame

    return udp_frame(payload, mac=way.mac, to_mac=way.to_mac, source=source, source_port=1, to=to, port=port)


def search_frame(way: Way, source: IPv4Address, source_port: int, to: IPv4Address, port: int, payload: bytes) -> bytes:
    """Return a complete Ethernet frame; the headers are built by scapy once, the rest is patched in."""
    frame = bytearray(_frame_template(way, source, to, port, bytes(len(payload))))
    frame[42:] = payload
    struct.pack_into("!H", frame, 34, source_port)
    struct.pack_into("!H", frame, 40, 0)
    pseudo = frame[26:34] + struct.pack("!HH", 17, len(payload) + 8)
    struct.pack_into("!H", frame, 40, frames.checksum(bytes(pseudo + frame[34:])) or 0xFFFF)  # RFC 768: 0 means none
    return bytes(frame)


@dataclass(slots=True)
class _Sent:
    """One datagram under way."""

    source: str
    listener: int
    names: tuple[str, ...]
    first_cid: int
    error: str | None = None
    replies: list[Reply] = field(default_factory=list)


class Volley:
    """All datagrams of one probe.

    Use: ``with Volley(net, topology, probe, names, epoch) as volley: volley.send(); volley.collect(over); …
    volley.shots(server_of)``. ``net`` gives hosts by name, whose ``socket()`` opens a socket in that host's namespace.

    Args:
        net: The lab's network.
        topology: What it was built from.
        probe: What to send; a send error is a result (:attr:`Shot.error`), not an exception.
        names: The PVs, the witness first.
        epoch: ``time.time()`` when the lab came up; times count from there.
        first_cid: The first channel id; volleys of one lab must not share ids.
    """

    def __init__(
        self,
        net: HasHosts,
        topology: Topology,
        probe: Probe,
        names: tuple[str, ...],
        epoch: float = 0.0,
        first_cid: int = 1,
    ) -> None:
        self.probe = probe
        self._net, self._topology, self._names, self._epoch = net, topology, names, epoch
        self._next_cid = first_cid
        self._own: str | None = None
        self._listeners: list[socket.socket] = []
        self._link: socket.socket | None = None
        self._sent: list[_Sent] = []
        self._poll = select.poll()

    @property
    def next_cid(self) -> int:
        """The first channel id that this volley did not use."""
        return self._next_cid

    @property
    def cids(self) -> tuple[range, ...]:
        """The channel ids of each datagram, in the order of :meth:`shots`."""
        return tuple(range(each.first_cid, each.first_cid + len(each.names)) for each in self._sent)

    def __enter__(self) -> Volley:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all sockets; the one at link level in the background, since that takes the kernel 15 ms."""
        for each in self._listeners:
            each.close()
        self._listeners.clear()
        if self._link is not None:
            threading.Thread(target=self._link.close, daemon=True, name="canet-close").start()
            self._link = None

    def send(self) -> None:
        """Send every datagram: for each source port, ``repeat`` times."""
        for place in range(self.probe.sources):
            try:
                put, source = self._source(place)
            except OSError as error:
                self._sent.append(_Sent(self._wanted(place), -1, self._names, 0, _reason(error)))
                continue
            for _ in range(self.probe.repeat):
                for names in batches(self._names, self.probe.size):
                    self._shoot(put, source, names)

    def _shoot(self, put: Callable[[bytes], object], source: str, names: tuple[str, ...]) -> None:
        sent = _Sent(source, len(self._listeners) - 1, names, self._next_cid)
        self._sent.append(sent)
        if self.probe.payload is not None:
            payload, sent.names = bytes.fromhex(self.probe.payload), ()
        else:
            payload = search_datagram(names, self._next_cid)
            self._next_cid += len(names)
        try:
            put(payload)
        except OSError as error:
            sent.error = _reason(error)

    def _wanted(self, place: int) -> str:
        port = self.probe.source_port + place if self.probe.source_port else 0
        return f"{self.probe.source or '0.0.0.0'}:{port}"

    def _source(self, place: int) -> tuple[Callable[[bytes], object], str]:
        """Open the socket of one source port; return how to send from it, and its ``A:PORT``."""
        probe = self.probe
        port = probe.source_port + place if probe.source_port else 0
        if probe.level == "link":
            return self._link_source(port)
        sock = self._listener(str(probe.source or ""), port)
        if probe.interface is not None or probe.to.is_multicast:
            self._choose_multicast_interface(sock)
        to = (str(probe.to), probe.port)
        return lambda payload: sock.sendto(payload, to), self._name(sock)

    def _link_source(self, port: int) -> tuple[Callable[[bytes], object], str]:
        probe = self.probe
        way = find_way(self._net, self._topology, probe.host, probe.to, probe.interface, probe.port)
        source = probe.source or way.source
        try:
            sock = self._listener(str(source), port)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            sock = self._listener("", port)  # A forged source: replies go elsewhere, the port is still ours.
        if self._link is None:
            link = self._net[probe.host].socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            link.bind((way.interface, 0))
            self._link = link
        link, own = self._link, sock.getsockname()[1]
        return (
            lambda payload: link.send(search_frame(way, source, own, probe.to, probe.port, payload)),
            f"{source}:{own}",
        )

    def _listener(self, address: str, port: int) -> socket.socket:
        sock = self._net[self.probe.host].socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.bind((address, port))
        except OSError:
            sock.close()
            raise
        self._listeners.append(sock)
        self._poll.register(sock, select.POLLIN)
        return sock

    def _choose_multicast_interface(self, sock: socket.socket) -> None:
        """Send multicasts out of the probe's interface; the kernel's route decides where none is named."""
        if self.probe.to.is_multicast and self.probe.interface is not None:
            interface = self._topology.host(self.probe.host).interface(self.probe.interface)
            if interface.addresses:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface.addresses[0].ip.packed)

    def _name(self, sock: socket.socket) -> str:
        """Name the socket's address; for an unbound one the address that the route chooses."""
        address, port = sock.getsockname()
        return f"{self._routed() if address == '0.0.0.0' else address}:{port}"

    def _routed(self) -> str:
        """Ask the kernel once which address it sends from; ``0.0.0.0`` without a route, and the send will say why."""
        if self._own is None:
            with self._net[self.probe.host].socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
                route.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                with contextlib.suppress(OSError):
                    route.connect((str(self.probe.to), self.probe.port))
                self._own = str(route.getsockname()[0])
        return self._own

    def drain(self, wait: float = 0.0) -> int:
        """Take in what has arrived, waiting up to ``wait`` seconds for the first; return how many datagrams."""
        if not self._listeners:
            return 0
        by_number = {each.fileno(): (place, each) for place, each in enumerate(self._listeners)}
        count = 0
        for number, _event in self._poll.poll(wait * 1000):
            place, sock = by_number[number]
            while True:
                try:
                    data, extra, _flags, address = sock.recvmsg(65536, 64)
                except BlockingIOError:
                    break
                except OSError:
                    continue  # An ICMP error about an earlier datagram; reading it clears it (ip(7)).
                count += 1
                self._take(place, data, _stamp(extra) - self._epoch, f"{address[0]}:{address[1]}")
        return count

    def collect(self, over: Callable[[], bool], timeout: float = 5.0, wait: float = 0.002) -> bool:
        """Take in replies until ``over()`` says that there can be no more, then once again.

        Returns:
            Whether it was over before ``timeout`` seconds; if not, absence is not proven.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.drain(wait)
            if over():
                while self.drain():
                    pass
                return True
        return False

    def _take(self, listener: int, data: bytes, stamp: float, address: str) -> None:
        """Give each search reply to the datagram that it answers; one reply datagram may answer several.

        A name server's datagram may announce several servers: each counts as a reply of its own.
        """
        found: dict[tuple[int, str], list[str]] = {}
        for command, port, _count, where, cid, _body in frames.messages(data):
            if command != frames.SEARCH:
                continue
            place, name = self._asked(listener, cid)
            if place is None:
                continue
            host = IPv4Address(where)
            told = address.rsplit(":", 1)[0] if host == LIMITED or not int(host) else str(host)
            found.setdefault((place, f"{told}:{port}"), []).append(name)
        for (place, announced), pvs in found.items():
            reply = Reply(time=stamp, server=None, address=address, announced=announced, pvs=tuple(pvs), size=len(data))
            self._sent[place].replies.append(reply)

    def _asked(self, listener: int, cid: int) -> tuple[int | None, str]:
        for place, sent in enumerate(self._sent):
            if sent.names and sent.first_cid <= cid < sent.first_cid + len(sent.names):
                return place, sent.names[cid - sent.first_cid]
            if not sent.names and sent.listener == listener:
                return place, f"cid {cid}"
        return None, ""

    def shots(self, server_of: Callable[[str], str | None] = lambda _announced: None) -> tuple[Shot, ...]:
        """Return what came of each datagram.

        ``server_of`` names the server by the address ``A:PORT`` that its reply announces. ``received`` holds the
        servers that answered; whoever knows more (a trace, the wire) adds to it.
        """
        return tuple(self._shot(each, server_of) for each in self._sent)

    def _shot(self, sent: _Sent, server_of: Callable[[str], str | None]) -> Shot:
        replies = tuple(replace(each, server=server_of(each.announced)) for each in sent.replies)
        answered = dict.fromkeys(each.server for each in replies if each.server is not None)
        return Shot(source=sent.source, received=tuple(answered), replies=replies, error=sent.error)


def _reason(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error))


def _stamp(extra: list[tuple[int, int, bytes]]) -> float:
    """Return the kernel's time of arrival in seconds since 1970 (socket(7), ``SO_TIMESTAMPNS``)."""
    for level, kind, data in extra:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _STAMP.unpack(data[:16])
            return float(seconds) + float(nanoseconds) * 1e-9
    return time.time()
