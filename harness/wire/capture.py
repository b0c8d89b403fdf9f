"""Record every frame of a lab: one raw socket in the namespace of the bridges, drained by one thread.

A bridge port shows what its host sends (``out``) and what is delivered towards it (``in``), so one unbound socket
tells who sent what and whom it reached. Loopback traffic and direct cables never meet a bridge: hosts' own interfaces
can be recorded too. The kernel stamps the time and counts what it had to drop (packet(7)); a capture that dropped
frames proves no absence. Root's sockets hold as much as it takes; an ordinary user's read through a ring.
"""

from __future__ import annotations

import contextlib
import fcntl
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from canet.harness.observation import Frame
from canet.harness.wire.link import HasSockets
from canet.harness.wire.ring import SOL_PACKET, Ring
from canet.netns.topology import Topology

ETH_P_ALL: Final = 3
SO_TIMESTAMPNS: Final = 35
SO_RCVBUFFORCE: Final = 33
PACKET_STATISTICS: Final = 6
PACKET_OUTGOING: Final = 4
SIOCGIFNAME: Final = 0x8910
BUFFER: Final = 16 << 20
"""Bytes of receive buffer asked for; an ordinary user gets ``net.core.rmem_max``."""
RING: Final = 24 << 20
"""Bytes of an ordinary user's ring at the bridges: 15,000 frames while nobody has time to read."""
HOST_RING: Final = 4 << 20
"""Bytes of the ring at an interface of a host: a ring takes its memory whether frames come or not."""
_STAMP: Final = struct.Struct("@qq")

Direction = Literal["out", "in"]


class Wire(Protocol):
    """The namespace of the bridges."""

    def socket(self) -> socket.socket:
        """Open a raw packet socket that sees every port."""
        ...


class HasWire(Protocol):
    """A network that can be recorded: :class:`canet.netns.Network`, or a stand-in."""

    @property
    def wire(self) -> Wire:
        """The namespace of the bridges."""
        ...

    @property
    def ports(self) -> Mapping[int, tuple[str, str]]:
        """Interface index of a bridge port → (host, its interface)."""
        ...

    def __getitem__(self, name: str) -> HasSockets:
        """Return the host of that name."""
        ...


@dataclass(frozen=True, slots=True)
class _Tap:
    """One raw socket and what its interfaces stand for."""

    sock: socket.socket
    ring: Ring | None
    places: dict[str, tuple[str, str]]
    """Name of the interface that a frame was seen on → (host, interface)."""
    bridge: bool
    """At a bridge port the kernel's ``outgoing`` is towards the host."""
    loopback: bool = False


class Capture:
    """Record from construction until :meth:`stop`; a context manager.

    Args:
        net: The lab's network.
        epoch: ``time.time()`` when the lab came up; frame times count from there.
        loopbacks: Hosts whose interface ``lo`` is recorded too; each frame there once, as ``out``.
        topology: If given, interfaces on direct cables (``link``) are recorded at their hosts.
    """

    def __init__(
        self, net: HasWire, epoch: float = 0.0, loopbacks: tuple[str, ...] = (), topology: Topology | None = None
    ) -> None:
        self._epoch = epoch
        self._raw: list[tuple[float, str, str, Direction, bytes]] = []
        self._grown = threading.Condition()
        self._dropped = 0
        self._stopped = threading.Event()
        self._net = net
        self._taps = [_wire_tap(net)]
        for host in loopbacks:
            self._taps.append(_host_tap(net, host, "lo"))
        for plan in topology.hosts if topology else ():
            self._taps += [_host_tap(net, plan.name, each.name) for each in plan.interfaces if each.link is not None]
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True, name="canet-capture")
        self._thread.start()

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def dropped(self) -> int:
        """Frames that the kernel could not hand over; final once stopped."""
        return self._dropped

    def __len__(self) -> int:
        return len(self._raw)

    def frames(self, since: int = 0) -> tuple[Frame, ...]:
        """Return what was recorded so far, from number ``since`` on, in order of arrival at the sockets."""
        return tuple(map(_frame, self._raw[since:]))

    def wait_for(self, predicate: Callable[[Frame], bool], timeout: float = 2.0, since: int = 0) -> Frame | None:
        """Return the first frame from number ``since`` on that ``predicate`` accepts; ``None`` after ``timeout`` s.

        A sentinel that was sent later and is here shows that whatever is not here was never on the wire.
        """
        deadline = time.monotonic() + timeout
        while True:
            for number in range(since, len(self._raw)):
                frame = _frame(self._raw[number])
                if predicate(frame):
                    return frame
                since = number + 1
            with self._grown:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                if len(self._raw) == since:
                    self._grown.wait(left)

    def stop(self) -> None:
        """Take in what the kernel still holds and end; the sockets close in the background (15 ms each)."""
        with contextlib.suppress(OSError):
            self._wake.send(b".")
        self._stopped.wait()

    def _run(self) -> None:
        poll = select.poll()
        taps = {tap.sock.fileno(): tap for tap in self._taps}
        for number in (*taps, self._woken.fileno()):
            poll.register(number, select.POLLIN)
        going = True
        while going:
            ready = [number for number, _event in poll.poll()]
            going = self._woken.fileno() not in ready
            for number in ready if going else taps:
                if number in taps:
                    self._drain(taps[number])
            with self._grown:
                self._grown.notify_all()
        for tap in taps.values():
            _packets, drops = struct.unpack("II", tap.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
            self._dropped += drops + (tap.ring.cut if tap.ring else 0)
        self._wake.close()
        self._stopped.set()
        for tap in taps.values():
            tap.sock.close()
            if tap.ring:
                tap.ring.close()
        self._woken.close()

    def _drain(self, tap: _Tap) -> None:
        for stamp, name, kind, data in _ring_frames(tap.sock, tap.ring) if tap.ring else _socket_frames(tap.sock):
            place = tap.places.get(name) or self._new_place(tap, name)
            if place is None or (tap.loopback and kind != PACKET_OUTGOING):
                continue
            towards_host = (kind == PACKET_OUTGOING) == tap.bridge
            self._raw.append((stamp - self._epoch, *place, "in" if towards_host else "out", data))

    def _new_place(self, tap: _Tap, name: str) -> tuple[str, str] | None:
        """Look for a port that came later; bridges themselves are none."""
        if tap.bridge and len(self._net.ports) > len(tap.places):
            for index, place in self._net.ports.items():
                with contextlib.suppress(OSError):
                    tap.places[_name_of(tap.sock, index)] = place
        return tap.places.get(name)


def _wire_tap(net: HasWire) -> _Tap:
    sock = net.wire.socket()
    ring = _prepare(sock, RING)
    return _Tap(sock, ring, {_name_of(sock, index): place for index, place in net.ports.items()}, bridge=True)


def _frame(raw: tuple[float, str, str, Direction, bytes]) -> Frame:
    stamp, host, interface, direction, data = raw
    return Frame(time=stamp, host=host, interface=interface, direction=direction, data=data)


def _host_tap(net: HasWire, host: str, interface: str) -> _Tap:
    sock = net[host].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    ring = _prepare(sock, HOST_RING)
    sock.bind((interface, ETH_P_ALL))
    return _Tap(sock, ring, {interface: (host, interface)}, bridge=False, loopback=interface == "lo")


def _prepare(sock: socket.socket, size: int) -> Ring | None:
    """Let a socket hold what comes in a burst: by its buffer, and where that is refused by a ring."""
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    except PermissionError:  # In a user namespace: CAP_NET_ADMIN of the first namespace is asked for.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        with contextlib.suppress(OSError):  # No memory for it: the buffer must do, and losses are counted.
            return Ring(sock, size)
    return None


def _socket_frames(sock: socket.socket) -> Iterator[tuple[float, str, int, bytes]]:
    """Yield what is in a socket's buffer: time, interface, kind of packet, frame."""
    # An error says that the buffer is empty, or that the interface went down or away (ENETDOWN, ENXIO).
    with contextlib.suppress(OSError):
        while True:
            data, extra, _flags, (name, _protocol, kind, *_rest) = sock.recvmsg(65536, 64)
            yield _stamp(extra), name, kind, data


def _ring_frames(sock: socket.socket, ring: Ring) -> Iterator[tuple[float, str, int, bytes]]:
    """Yield what is in a ring: time, interface, kind of packet, frame."""
    sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # Takes away that the interface went down: it wakes poll.
    names: dict[int, str] = {}
    for stamp, index, kind, data in ring.read():
        if index not in names:
            try:
                names[index] = _name_of(sock, index)
            except OSError:  # It went away meanwhile.
                continue
        yield stamp, names[index], kind, data


def _name_of(sock: socket.socket, index: int) -> str:
    """Return the interface's name in the namespace of ``sock``; received frames are told by name (netdevice(7))."""
    answer = fcntl.ioctl(sock, SIOCGIFNAME, struct.pack("16si20x", b"", index))
    return answer[:16].split(b"\0", 1)[0].decode()


def _stamp(extra: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in extra:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _STAMP.unpack(data[:16])
            return float(seconds) + float(nanoseconds) * 1e-9
    return time.time()
