"""ECA status codes as EPICS Base numbers them: ``number << 3 | severity`` (``caerr.h``)."""

from __future__ import annotations

NORMAL = 1
ALLOCMEM = 48
TOLARGE = 72
TIMEOUT = 80
BADTYPE = 114
INTERNAL = 142
GETFAIL = 152
PUTFAIL = 160
BADCOUNT = 176
BADSTR = 186
DISCONN = 192
BADMONID = 242
BADMASK = 330
NORDACCESS = 368
NOWTACCESS = 376
NOCONVERT = 400
BADCHID = 410
UNAVAILINSERV = 432
ARRAY16KCLIENT = 464
PUTCBINPROG = 362
UNRESPTMO = 480

TEXTS: dict[int, tuple[str, str]] = {
    1: ("ECA_NORMAL", "Normal successful completion"),
    10: ("ECA_MAXIOC", "Maximum simultaneous IOC connections exceeded"),
    18: ("ECA_UKNHOST", "Unknown internet host"),
    26: ("ECA_UKNSERV", "Unknown internet service"),
    34: ("ECA_SOCK", "Unable to allocate a new socket"),
    40: ("ECA_CONN", "Unable to connect to internet host or service"),
    48: ("ECA_ALLOCMEM", "Unable to allocate additional dynamic memory"),
    56: ("ECA_UKNCHAN", "Unknown IO channel"),
    64: ("ECA_UKNFIELD", "Record field specified inappropriate for channel specified"),
    72: ("ECA_TOLARGE", "The requested data transfer is greater than available memory or EPICS_CA_MAX_ARRAY_BYTES"),
    80: ("ECA_TIMEOUT", "User specified timeout on IO operation expired"),
    88: ("ECA_NOSUPPORT", "Sorry, that feature is planned but not supported at this time"),
    96: ("ECA_STRTOBIG", "The supplied string is unusually large"),
    106: ("ECA_DISCONNCHID", "The request was ignored because the specified channel is disconnected"),
    114: ("ECA_BADTYPE", "The data type specifed is invalid"),
    123: ("ECA_CHIDNOTFND", "Remote Channel not found"),
    131: ("ECA_CHIDRETRY", "Unable to locate all user specified channels"),
    142: ("ECA_INTERNAL", "Channel Access Internal Failure"),
    144: ("ECA_DBLCLFAIL", "The requested local DB operation failed"),
    152: ("ECA_GETFAIL", "Channel read request failed"),
    160: ("ECA_PUTFAIL", "Channel write request failed"),
    168: ("ECA_ADDFAIL", "Channel subscription request failed"),
    176: ("ECA_BADCOUNT", "Invalid element count requested"),
    186: ("ECA_BADSTR", "Invalid string"),
    192: ("ECA_DISCONN", "Virtual circuit disconnect"),
    200: ("ECA_DBLCHNL", "Identical process variable names on multiple servers"),
    210: ("ECA_EVDISALLOW", "Request inappropriate within subscription (monitor) update callback"),
    216: ("ECA_BUILDGET", "Database value get for that channel failed during channel search"),
    224: ("ECA_NEEDSFP", "Unable to initialize without the vxWorks VX_FP_TASK task option set"),
    232: ("ECA_OVEVFAIL", "Event queue overflow has prevented first pass event after event add"),
    242: ("ECA_BADMONID", "Bad event subscription (monitor) identifier"),
    248: ("ECA_NEWADDR", "Remote channel has new network address"),
    259: ("ECA_NEWCONN", "New or resumed network connection"),
    264: ("ECA_NOCACTX", "Specified task isnt a member of a CA context"),
    278: ("ECA_DEFUNCT", "Attempt to use defunct CA feature failed"),
    280: ("ECA_EMPTYSTR", "The supplied string is empty"),
    288: ("ECA_NOREPEATER", "Unable to spawn the CA repeater thread; auto reconnect will fail"),
    296: ("ECA_NOCHANMSG", "No channel id match for search reply; search reply ignored"),
    304: ("ECA_DLCKREST", "Reseting dead connection; will try to reconnect"),
    312: ("ECA_SERVBEHIND", "Server (IOC) has fallen behind or is not responding; still waiting"),
    320: ("ECA_NOCAST", "No internet interface with broadcast available"),
    330: ("ECA_BADMASK", "Invalid event selection mask"),
    339: ("ECA_IODONE", "IO operations have completed"),
    347: ("ECA_IOINPROGRESS", "IO operations are in progress"),
    354: ("ECA_BADSYNCGRP", "Invalid synchronous group identifier"),
    362: ("ECA_PUTCBINPROG", "Put callback timed out"),
    368: ("ECA_NORDACCESS", "Read access denied"),
    376: ("ECA_NOWTACCESS", "Write access denied"),
    386: ("ECA_ANACHRONISM", "Requested feature is no longer supported"),
    392: ("ECA_NOSEARCHADDR", "Empty PV search address list"),
    400: ("ECA_NOCONVERT", "No reasonable data conversion between client and server types"),
    410: ("ECA_BADCHID", "Invalid channel identifier"),
    418: ("ECA_BADFUNCPTR", "Invalid function pointer"),
    424: ("ECA_ISATTACHED", "Thread is already attached to a client context"),
    432: ("ECA_UNAVAILINSERV", "Not supported by attached service"),
    440: ("ECA_CHANDESTROY", "User destroyed channel"),
    450: ("ECA_BADPRIORITY", "Invalid channel priority"),
    458: ("ECA_NOTTHREADED", "Preemptive callback not enabled - additional threads may not join context"),
    464: ("ECA_16KARRAYCLIENT", "Client's protocol revision does not support transfers exceeding 16k bytes"),
    472: ("ECA_CONNSEQTMO", "Virtual circuit connection sequence aborted"),
    480: ("ECA_UNRESPTMO", "Virtual circuit unresponsive"),
}
"""Status → (name, what it means)."""


def describe(status: int) -> str:
    """Return the name and meaning of a status.

    >>> describe(GETFAIL)
    'ECA_GETFAIL: Channel read request failed'
    """
    name, text = TEXTS.get(status, (f"ECA {status}", "unknown status"))
    return f"{name}: {text}"
