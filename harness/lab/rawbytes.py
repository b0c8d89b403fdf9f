"""Steps that send bytes as they are: into a datagram or into a connection, to see what servers do with them."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any

from canet.harness.client.search import answers
from canet.harness.lab import probing
from canet.scenarios.model import Step
from canet.server.protocol.message import Reader

if TYPE_CHECKING:
    from canet.harness.lab.lab import Lab

PORT = 5064
SECONDS = 1.0


def send(lab: Lab, step: Step) -> None:
    """Send a datagram ``count`` times, then wait until nobody has anything left to do with it.

    Measures ``replies`` (datagrams that came back), ``answers`` (search replies in them) and ``proven``.
    """
    args: dict[str, Any] = dict(step.args)
    with lab.network[str(args["host"])].socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for _ in range(int(args.get("count", 1))):
            sock.sendto(bytes(args["payload"]), (str(args["address"]), int(args.get("port", PORT))))
        proven = probing.rest(lab.crew, lab.barrier)
        back: list[tuple[bytes, str]] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                data, (address, _port) = sock.recvfrom(65536)
                back.append((data, address))
    found = [each.announced for data, address in back for each in answers(data, address)]
    lab.measure(_label(step), replies=len(back), answers=tuple(dict.fromkeys(found)), proven=proven)
    lab.note("sent", str(args["host"]), f"{len(args['payload'])} bytes to {args['address']}")


def tcp(lab: Lab, step: Step) -> None:
    """Connect, send bytes, and read until the server closes or ``seconds`` have passed; ``count`` times in turn.

    With more than one, the next step begins when the server has nothing left to do. Measures (of the last one)
    ``connects``, ``closes`` (the server closed the connection), ``bytes`` and ``commands`` (numbers of the messages
    that came back).
    """
    many = int(str(step.args.get("count", 1)))
    for _ in range(many):
        _exchange(lab, step)
    if many > 1:
        probing.rest(lab.crew, lab.barrier)


def _exchange(lab: Lab, step: Step) -> None:
    args: dict[str, Any] = dict(step.args)
    where = str(args["address"]), int(args.get("port", PORT))
    deadline = time.monotonic() + float(args.get("seconds", SECONDS))
    received, connected, closed = b"", False, False
    with lab.network[str(args["host"])].socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(float(args.get("seconds", SECONDS)) or SECONDS)
        with contextlib.suppress(OSError):
            sock.connect(where)
            connected = True
            sock.sendall(bytes(args["payload"]))
            while (left := deadline - time.monotonic()) > 0 and not closed:
                sock.settimeout(left)
                data = sock.recv(65536)
                received += data
                closed = not data
    with contextlib.suppress(Exception):
        commands = tuple(each.command for each in Reader().feed(received))
    lab.measure(_label(step), connects=connected, closes=closed, bytes=len(received), commands=commands)
    lab.note("sent", str(args["host"]), f"{len(args['payload'])} bytes over TCP to {where[0]}:{where[1]}")


def _label(step: Step) -> str:
    return str(step.args.get("label", step.do))
