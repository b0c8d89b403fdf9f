"""Requests between the controlling process, the launcher and the inits: JSON with descriptors, over a Unix socket."""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any, Final

_LENGTH: Final = struct.Struct("=I")
_MOST_DESCRIPTORS: Final = 64


def pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


def send(channel: socket.socket, value: object, fds: Sequence[int] = ()) -> None:
    """Send one value, and descriptors (64 at most) that the other side gets copies of.

    Raises:
        OSError: if the other side is gone.
    """
    body = json.dumps(value).encode()
    head = _LENGTH.pack(len(body))
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sent = channel.sendmsg([head, body], rights)
    if sent < len(head) + len(body):
        channel.sendall((head + body)[sent:])


def receive(channel: socket.socket) -> tuple[Any, list[int]] | None:
    """Wait for one value and its descriptors; ``None`` when the other side is gone."""
    size = array.array("i").itemsize
    try:
        head, ancillary, _flags, _address = channel.recvmsg(
            _LENGTH.size, socket.CMSG_SPACE(_MOST_DESCRIPTORS * size), socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionError:
        return None
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % size])
    body = b""
    try:
        if len(head) == 0:
            return None
        head += _exactly(channel, _LENGTH.size - len(head))
        body = _exactly(channel, _LENGTH.unpack(head)[0])
    except ConnectionError:
        for fd in fds:
            os.close(fd)
        return None
    return json.loads(body), list(fds)


def _exactly(channel: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = channel.recv(count - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return bytes(data)
