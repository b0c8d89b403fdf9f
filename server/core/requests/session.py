"""Commands that speak of the circuit as a whole: who the client is, whether it lives, what it can take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from canet.server.core.search import answer_tcp
from canet.server.protocol import eca
from canet.server.protocol.commands import Command
from canet.server.protocol.convert import decode_text
from canet.server.protocol.message import Message, header, padded

if TYPE_CHECKING:
    from canet.server.core.circuit import Circuit

OLDEST_MINOR = 1
"""Clients from 4.1 on are understood; 4.8 is the oldest that is supported."""


def version(circuit: Circuit, message: Message) -> None:
    """Take note of the client's minor version and priority (``tcp_version_action``)."""
    if message.data_type > 99:
        circuit.error(message, eca.INTERNAL, f"priority {message.data_type} is not in 0–99")
        return
    circuit.priority = message.data_type
    circuit.minor = message.count
    circuit.dynamic = message.count >= 13
    circuit.renew_all_rights()


def echo(circuit: Circuit, message: Message) -> None:
    """Answer with the same."""
    size = len(message.payload)
    circuit.send(
        header(Command.ECHO, size, message.data_type, message.count, message.p1, message.p2), padded(message.payload)
    )


def read_sync(circuit: Circuit, message: Message) -> None:
    """Answer, so that the client knows that all before was taken (``read_sync_action``)."""
    circuit.send(header(message.command, 0, message.data_type, message.count, message.p1, message.p2))


def events_off(circuit: Circuit, _message: Message) -> None:
    """Hold monitor updates back: of each subscription only the newest is kept."""
    circuit.events_off = True


def events_on(circuit: Circuit, _message: Message) -> None:
    """Send monitor updates again, first those that were held back."""
    circuit.events_off = False
    circuit.release()


def client_name(circuit: Circuit, message: Message) -> None:
    """Take note of the user."""
    circuit.user = decode_text(message.payload)
    circuit.renew_all_rights()


def host_name(circuit: Circuit, message: Message) -> None:
    """Take note of the host; names are compared in lower case (``asCa``)."""
    circuit.host = decode_text(message.payload).lower()
    circuit.renew_all_rights()


def nothing(_circuit: Circuit, _message: Message) -> None:
    """Do nothing, as rsrv does for commands that no client sends any more."""


HANDLERS = {
    Command.VERSION: version,
    Command.SEARCH: answer_tcp,
    Command.EVENTS_OFF: events_off,
    Command.EVENTS_ON: events_on,
    Command.READ_SYNC: read_sync,
    Command.CLIENT_NAME: client_name,
    Command.HOST_NAME: host_name,
    Command.ECHO: echo,
    Command.SNAPSHOT: nothing,
    Command.SIGNAL: nothing,
}
