"""What each command does, a file for each kind; :data:`HANDLERS` is the table of all.

A handler gets the circuit and the message, and answers by ``circuit.send`` or ``circuit.error``. Commands that are
not in the table end the circuit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from canet.server.core.requests import channels, events, reads, session, writes

if TYPE_CHECKING:
    from canet.server.core.circuit import Circuit
    from canet.server.protocol.message import Message

HANDLERS: dict[int, Callable[[Circuit, Message], None]] = {
    int(command): handler
    for module in (session, channels, reads, writes, events)
    for command, handler in module.HANDLERS.items()
}
"""Command number → handler."""
