"""Receive frames through memory that is shared with the kernel (``PACKET_MMAP``, ``TPACKET_V2``).

What a socket may hold is bounded by ``net.core.rmem_max``, which an ordinary user cannot exceed; the memory of a ring
is not. The kernel fills slot after slot and hands each over by its status; whoever reads gives it back. A frame that is
longer than a slot stands in the socket's receive queue as well. Source: kernel document ``packet_mmap``;
``linux/if_packet.h``.
"""

from __future__ import annotations

import mmap
import socket
import struct
from collections.abc import Iterator
from typing import Final

SOL_PACKET: Final = 263
PACKET_RX_RING: Final = 5
PACKET_COPY_THRESH: Final = 7
PACKET_VERSION: Final = 10
TPACKET_V2: Final = 1
USER: Final = 1
"""``TP_STATUS_USER``: the slot is ours."""
COPY: Final = 2
"""``TP_STATUS_COPY``: the whole frame is in the receive queue."""
BLOCK: Final = 1 << 16
SLOT: Final = 1600
"""Bytes: two headers and an Ethernet frame of 1,514 bytes; a multiple of ``TPACKET_ALIGNMENT``, 16."""

_HEAD: Final = struct.Struct("=IIIHHII")
"""Of ``struct tpacket2_hdr``: status, length, length in the slot, places of frame and IP, seconds, nanoseconds."""
_FROM: Final = struct.Struct("=4xi2xB")
"""Of ``struct sockaddr_ll``: the interface's index, and the kind of packet."""
_FROM_AT: Final = 32
_STATUS: Final = struct.Struct("=I")


class Ring:
    """The receive ring of a packet socket; the socket stays the caller's.

    Args:
        sock: a non-blocking packet socket.
        size: bytes of memory, a multiple of 64 KiB; 40 frames find place in each.

    Raises:
        OSError: the kernel has no such ring, or no memory for it.
    """

    def __init__(self, sock: socket.socket, size: int) -> None:
        slots = size // BLOCK * (BLOCK // SLOT)
        sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        sock.setsockopt(SOL_PACKET, PACKET_COPY_THRESH, 1)
        sock.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack("@IIII", BLOCK, size // BLOCK, SLOT, slots))
        self.cut = 0
        """Frames whose end is lost: longer than a slot, and the receive queue was full."""
        self._sock = sock
        self._memory = mmap.mmap(sock.fileno(), size)
        self._places = [at // (BLOCK // SLOT) * BLOCK + at % (BLOCK // SLOT) * SLOT for at in range(slots)]
        self._next = 0

    def read(self) -> Iterator[tuple[float, int, int, bytes]]:
        """Yield what is there: time since 1970-01-01, index of the interface, kind of packet, frame."""
        memory = self._memory
        while True:
            at = self._places[self._next]
            status, length, here, frame_at, _ip_at, seconds, nanoseconds = _HEAD.unpack_from(memory, at)
            if not status & USER:
                return
            index, kind = _FROM.unpack_from(memory, at + _FROM_AT)
            if status & COPY:
                data = self._sock.recv(1 << 17)
            else:
                data = memory[at + frame_at : at + frame_at + here]
                self.cut += here < length
            _STATUS.pack_into(memory, at, 0)
            self._next = (self._next + 1) % len(self._places)
            yield seconds + nanoseconds * 1e-9, index, kind, data

    def close(self) -> None:
        """Give the memory back, once the socket is closed too."""
        self._memory.close()
