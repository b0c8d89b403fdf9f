"""The commands of Channel Access, as one table: number, who sends it, over what, and what its fields mean.

Names of header fields follow the wire: payload size, data type, data count, parameter 1, parameter 2. Source: CA
protocol specification, section "Commands", and ``caProto.h``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

Roles = Literal["client", "server", "both", "repeater"]
Transport = Literal["udp", "tcp", "both"]


class Command(IntEnum):
    """Command numbers (``CA_PROTO_…``)."""

    VERSION = 0
    EVENT_ADD = 1
    EVENT_CANCEL = 2
    READ = 3
    WRITE = 4
    SNAPSHOT = 5
    SEARCH = 6
    BUILD = 7
    EVENTS_OFF = 8
    EVENTS_ON = 9
    READ_SYNC = 10
    ERROR = 11
    CLEAR_CHANNEL = 12
    RSRV_IS_UP = 13
    NOT_FOUND = 14
    READ_NOTIFY = 15
    READ_BUILD = 16
    REPEATER_CONFIRM = 17
    CREATE_CHAN = 18
    WRITE_NOTIFY = 19
    CLIENT_NAME = 20
    HOST_NAME = 21
    ACCESS_RIGHTS = 22
    ECHO = 23
    REPEATER_REGISTER = 24
    SIGNAL = 25
    CREATE_CH_FAIL = 26
    SERVER_DISCONN = 27


@dataclass(frozen=True, slots=True)
class Form:
    """How a command is used. Empty field texts mean that the field is zero."""

    command: Command
    sender: Roles
    transport: Transport
    data_type: str = ""
    count: str = ""
    p1: str = ""
    p2: str = ""
    payload: str = ""
    obsolete: bool = False


_C = Command
FORMS: tuple[Form, ...] = (
    Form(_C.VERSION, "both", "both", "priority (0–99), or 1 after a sequence number", "minor version"),
    Form(_C.EVENT_ADD, "client", "tcp", "DBR type", "element count", "SID", "subscription id", "3 floats, mask, pad"),
    Form(_C.EVENT_ADD, "server", "tcp", "DBR type", "element count", "ECA status", "subscription id", "value"),
    Form(_C.EVENT_CANCEL, "client", "tcp", "DBR type", "element count", "SID", "subscription id"),
    Form(_C.READ, "client", "tcp", "DBR type", "element count", "SID", "IOID", obsolete=True),
    Form(_C.READ, "server", "tcp", "DBR type", "element count", "CID", "IOID", "value", obsolete=True),
    Form(_C.WRITE, "client", "tcp", "DBR type", "element count", "SID", "IOID", "value"),
    Form(_C.SNAPSHOT, "client", "tcp", obsolete=True),
    Form(_C.SEARCH, "client", "both", "DOREPLY (10) or DONTREPLY (5)", "minor version", "CID", "CID", "name"),
    Form(_C.SEARCH, "server", "both", "TCP port", "", "IP address or 0xffffffff", "CID", "minor version (UDP)"),
    Form(_C.BUILD, "client", "tcp", obsolete=True),
    Form(_C.EVENTS_OFF, "client", "tcp"),
    Form(_C.EVENTS_ON, "client", "tcp"),
    Form(_C.READ_SYNC, "client", "tcp"),
    Form(_C.ERROR, "server", "both", "", "", "CID", "ECA status", "offending header, text"),
    Form(_C.CLEAR_CHANNEL, "both", "tcp", "", "", "SID", "CID"),
    Form(_C.RSRV_IS_UP, "server", "udp", "minor version", "TCP port", "beacon id", "IP address or 0"),
    Form(_C.NOT_FOUND, "server", "both", "DOREPLY", "minor version", "CID", "CID"),
    Form(_C.READ_NOTIFY, "client", "tcp", "DBR type", "element count", "SID", "IOID"),
    Form(_C.READ_NOTIFY, "server", "tcp", "DBR type", "element count", "ECA status", "IOID", "value"),
    Form(_C.READ_BUILD, "client", "tcp", obsolete=True),
    Form(_C.REPEATER_CONFIRM, "repeater", "udp", p2="IP address"),
    Form(_C.CREATE_CHAN, "client", "tcp", "", "", "CID", "minor version", "name"),
    Form(_C.CREATE_CHAN, "server", "tcp", "native DBR type", "element count", "CID", "SID"),
    Form(_C.WRITE_NOTIFY, "client", "tcp", "DBR type", "element count", "SID", "IOID", "value"),
    Form(_C.WRITE_NOTIFY, "server", "tcp", "DBR type", "element count", "ECA status", "IOID"),
    Form(_C.CLIENT_NAME, "client", "tcp", payload="user name"),
    Form(_C.HOST_NAME, "client", "tcp", payload="host name"),
    Form(_C.ACCESS_RIGHTS, "server", "tcp", p1="CID", p2="1 read, 2 write"),
    Form(_C.ECHO, "both", "both"),
    Form(_C.REPEATER_REGISTER, "client", "udp", p2="IP address"),
    Form(_C.SIGNAL, "client", "tcp", obsolete=True),
    Form(_C.CREATE_CH_FAIL, "server", "tcp", p1="CID"),
    Form(_C.SERVER_DISCONN, "server", "tcp", p1="CID"),
)

MINOR_VERSION = 13
"""The protocol version that is spoken here is 4.13."""

DO_REPLY = 10
DONT_REPLY = 5
"""Flags of a search: whether an unknown name is answered with NOT_FOUND."""

READ_RIGHT = 1
WRITE_RIGHT = 2
"""Bits of ACCESS_RIGHTS."""
