"""Register with the CA repeater of a host as clients do, so that it hands beacons on to sockets of the harness.

libca registers ten seconds after its start (``repeaterSubscribeTimer.cpp``), with a message or an empty datagram from
the loopback address; the repeater confirms. Whoever is registered gets every beacon until its port is given back.
"""

from __future__ import annotations

import select
import socket
import time
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from canet.scenarios.model import Step
from canet.server.protocol.commands import Command
from canet.server.protocol.message import Message, read_datagram

if TYPE_CHECKING:
    from canet.harness.lab.lab import Lab

PORT = 5065
SECONDS = 2.0
LOOPBACK = "127.0.0.1"


def registration() -> bytes:
    """Return the message that asks a repeater for beacons."""
    return Message(Command.REPEATER_REGISTER, p2=int(IPv4Address(LOOPBACK))).pack()


def register(lab: Lab, step: Step) -> None:
    """Register ``count`` clients on ``host``; they stay registered until the lab ends.

    Measures ``confirmed``: how many the repeater has confirmed within ``seconds``.
    """
    host, port = str(step.args["host"]), int(str(step.args.get("port", PORT)))
    clients = [lab.network[host].socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(int(str(step.args["count"])))]
    poll = select.poll()
    for each in clients:
        lab.at_end(each.close)
        each.setblocking(False)
        each.bind((LOOPBACK, 0))
        lab.registered.add(f"{host} {LOOPBACK}:{each.getsockname()[1]}")
        each.sendto(registration(), (LOOPBACK, port))
        poll.register(each, select.POLLIN)
    waiting = {each.fileno(): each for each in clients}
    deadline = time.monotonic() + float(str(step.args.get("seconds", SECONDS)))
    while waiting and (left := deadline - time.monotonic()) > 0:
        for number, _events in poll.poll(left * 1000):
            if _confirms(waiting[number]):
                poll.unregister(number)
                del waiting[number]
    lab.measure(str(step.args.get("label", "register")), confirmed=len(clients) - len(waiting))
    lab.note("registered", host, f"{len(clients) - len(waiting)} of {len(clients)} clients at the repeater")


def _confirms(client: socket.socket) -> bool:
    try:
        data = client.recv(2048)
    except BlockingIOError:
        return False
    except OSError:  # nobody has the repeater's port (ICMP)
        return False
    return any(each.command == Command.REPEATER_CONFIRM for each in read_datagram(data))
