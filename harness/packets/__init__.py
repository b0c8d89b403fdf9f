# scapy.contrib.description = EPICS Channel Access
# scapy.contrib.status = loads
"""Build and dissect Channel Access packets with scapy, in the shape of a scapy contrib layer.

Read :mod:`.names` (numbers), :mod:`.fields` (what scapy lacks), :mod:`.messages` (a class with a table of fields for
each message and direction), :mod:`.layer` (datagrams, ports, build, dissect).

scapy is GPL-2.0-only and takes half a second to import: it is imported in this folder and nowhere else, and this
folder is imported only where packets are built or put into words. scapy's process-wide caches (interfaces, routes,
ARP) are never asked: every address is given, and raw sockets carry (:mod:`canet.harness.wire.inject`).
"""

from canet.harness.packets.layer import CA, dissect, message_class, search_payload, udp_frame, words
from canet.harness.packets.message import CAMessage
from canet.harness.packets.messages import (
    REPLIES,
    REQUESTS,
    CAAccessRights,
    CABeacon,
    CAClearChannel,
    CAClientName,
    CACreateChan,
    CACreateChanReply,
    CACreateChFail,
    CAEcho,
    CAError,
    CAEventAdd,
    CAEventAddReply,
    CAEventCancel,
    CAEventsOff,
    CAEventsOn,
    CAHostName,
    CANotFound,
    CARead,
    CAReadNotify,
    CAReadNotifyReply,
    CAReadReply,
    CAReadSync,
    CARepeaterConfirm,
    CARepeaterRegister,
    CASearch,
    CASearchReply,
    CAServerDisconn,
    CAVersion,
    CAWrite,
    CAWriteNotify,
    CAWriteNotifyReply,
)
from canet.harness.packets.names import CA_REPEATER_PORT, CA_SERVER_PORT, COMMANDS, DO_REPLY, DONT_REPLY, ECA

__all__ = [
    "CA",
    "CA_REPEATER_PORT",
    "CA_SERVER_PORT",
    "COMMANDS",
    "DONT_REPLY",
    "DO_REPLY",
    "ECA",
    "REPLIES",
    "REQUESTS",
    "CAAccessRights",
    "CABeacon",
    "CAClearChannel",
    "CAClientName",
    "CACreateChFail",
    "CACreateChan",
    "CACreateChanReply",
    "CAEcho",
    "CAError",
    "CAEventAdd",
    "CAEventAddReply",
    "CAEventCancel",
    "CAEventsOff",
    "CAEventsOn",
    "CAHostName",
    "CAMessage",
    "CANotFound",
    "CARead",
    "CAReadNotify",
    "CAReadNotifyReply",
    "CAReadReply",
    "CAReadSync",
    "CARepeaterConfirm",
    "CARepeaterRegister",
    "CASearch",
    "CASearchReply",
    "CAServerDisconn",
    "CAVersion",
    "CAWrite",
    "CAWriteNotify",
    "CAWriteNotifyReply",
    "dissect",
    "message_class",
    "search_payload",
    "udp_frame",
    "words",
]
