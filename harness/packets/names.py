"""The numbers of Channel Access and their names.

Source: EPICS Base ``caProto.h`` (``CA_PROTO_*``), ``caerr.h`` (ECA codes: message number << 3 | severity),
``caeventmask.h`` and the Channel Access Protocol Specification 1.4.
"""

from __future__ import annotations

from typing import Final

CA_SERVER_PORT: Final = 5064
CA_REPEATER_PORT: Final = 5065
HEADER: Final = 16
EXTENDED: Final = 0xFFFF
DO_REPLY: Final = 10
DONT_REPLY: Final = 5
MINOR: Final = 13

COMMANDS: Final = {
    0: "VERSION",
    1: "EVENT_ADD",
    2: "EVENT_CANCEL",
    3: "READ",
    4: "WRITE",
    5: "SNAPSHOT",
    6: "SEARCH",
    7: "BUILD",
    8: "EVENTS_OFF",
    9: "EVENTS_ON",
    10: "READ_SYNC",
    11: "ERROR",
    12: "CLEAR_CHANNEL",
    13: "RSRV_IS_UP",
    14: "NOT_FOUND",
    15: "READ_NOTIFY",
    16: "READ_BUILD",
    17: "REPEATER_CONFIRM",
    18: "CREATE_CHAN",
    19: "WRITE_NOTIFY",
    20: "CLIENT_NAME",
    21: "HOST_NAME",
    22: "ACCESS_RIGHTS",
    23: "ECHO",
    24: "REPEATER_REGISTER",
    25: "SIGNAL",
    26: "CREATE_CH_FAIL",
    27: "SERVER_DISCONN",
}

# caerr.h: the code is message number << 3 | severity.
ECA: Final = {
    1: "ECA_NORMAL",
    48: "ECA_ALLOCMEM",
    72: "ECA_TOLARGE",
    80: "ECA_TIMEOUT",
    114: "ECA_BADTYPE",
    142: "ECA_INTERNAL",
    152: "ECA_GETFAIL",
    160: "ECA_PUTFAIL",
    176: "ECA_BADCOUNT",
    186: "ECA_BADSTR",
    192: "ECA_DISCONN",
    368: "ECA_NORDACCESS",
    376: "ECA_NOWTACCESS",
    410: "ECA_BADCHID",
}
ECA_NORMAL: Final = 1
MASK: Final = {1: "VALUE", 2: "LOG", 4: "ALARM", 8: "PROPERTY"}
RIGHTS: Final = {0: "none", 1: "read", 2: "write", 3: "read,write"}
