"""Open the sockets of a plan, with the options that decide who gets a datagram.

All are non-blocking. A search socket that cannot be bound because its address is not there (yet) is not an error of
the server: the driver tries again when interfaces change.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from struct import Struct

from canet.server.core.binding import Search
from canet.server.core.config import Config

_BACKLOG = 1024
_TRIES = 100
_RECEIVE = 1 << 20
"""Bytes asked for the receive buffer of a search socket: a burst of searches waits there."""
_IP_MULTICAST_ALL = 49
_TCP_INFO = Struct("2xBB52xI")
"""``tcpi_retransmits``, ``tcpi_probes`` and ``tcpi_last_ack_recv`` (milliseconds) of ``struct tcp_info``."""


def search_socket(search: Search, config: Config) -> socket.socket:
    """Open and bind a UDP socket for searches, and join its groups.

    Raises:
        OSError: EADDRNOTAVAIL where the address is not on this host, EADDRINUSE where somebody does not share.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        if config.reuse in ("both", "addr"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if config.reuse in ("both", "port"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE)
        # Hear the groups that this server joined, not those that others on this host did.
        sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        sock.bind((search.bind.host, search.bind.port))
        for group, source in search.groups:
            join(sock, group, source)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def join(sock: socket.socket, group: str, source: str) -> None:
    """Join a multicast group on an interface; having joined before is no error.

    Raises:
        OSError: ENODEV where the interface has no such address.
    """
    try:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(source))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise


def listen(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """Listen on one TCP port at all addresses: on ``port`` if it is free everywhere, else on one that is.

    bind() alone may succeed for two servers; only listen() decides, so it belongs to the attempt (as since
    EPICS 3.15.8).

    Raises:
        OSError: EADDRNOTAVAIL where an address is not on this host.
    """
    for attempt in range(_TRIES):
        sockets: list[socket.socket] = []
        wanted = port if attempt == 0 else 0
        try:
            for address in addresses:
                sock = listener(address, wanted)
                sockets.append(sock)
                wanted = sock.getsockname()[1]
        except OSError as error:
            for each in sockets:
                each.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            continue
        return sockets
    raise OSError(errno.EADDRINUSE, f"no TCP port is free at all of {', '.join(addresses)}")


def listener(address: str, port: int) -> socket.socket:
    """Open one listening socket.

    Raises:
        OSError: EADDRINUSE where the port is taken, EADDRNOTAVAIL where the address is not on this host.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def beacon_socket(source: str, ttl: int) -> socket.socket:
    """Open a UDP socket that beacons leave by; ``source`` is the interface's address.

    Raises:
        OSError: EADDRNOTAVAIL where the address is gone.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        if source != "0.0.0.0":
            sock.bind((source, 0))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(source))
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def prepare_client(sock: socket.socket, timeout: float) -> None:
    """Set the options of an accepted connection.

    Keepalive probes go out after ``timeout`` seconds of silence, and three that stay without an answer for a sixth of
    that each end the connection: the kernel's echo, which no client can misunderstand.
    """
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, int(timeout)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, int(timeout / 6)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def silence(sock: socket.socket) -> float:
    """Return for how many seconds a peer has left what the kernel sends it unanswered; 0.0 while it answers.

    A client that does not read still acknowledges the kernel's window probes, however seldom they are; so only what
    was sent again and again without an answer counts.
    """
    retransmits, probes, since = _TCP_INFO.unpack_from(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104))
    return float(since) / 1000 if retransmits + probes >= 2 else 0.0
