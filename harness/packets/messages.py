"""One scapy packet class for each Channel Access message and direction: a table of fields and a sentence.

``says`` is the message in words; ``{m.…}`` are its fields and the few properties below. Source: Channel Access
Protocol Specification 1.4, "Messages"; EPICS Base ``caProto.h``, ``udpiiu.cpp``, ``tcpiiu.cpp``, ``camessage.c``.
"""

# mypy: disable-error-code="misc,no-untyped-call"
# scapy's classes carry no types that mypy could follow.

from __future__ import annotations

import struct
from typing import Any, Final

from scapy.fields import (
    IEEEFloatField,
    IntEnumField,
    IntField,
    IPField,
    ShortEnumField,
    ShortField,
)

from canet.harness.packets.fields import (
    CountField,
    PaddedDataField,
    count_field,
    data_field,
    dbr_field,
    message,
    rest_of,
    status_field,
    text_field,
    zero16,
    zero32,
)
from canet.harness.packets.message import CAMessage, quoted
from canet.harness.packets.names import (
    CA_SERVER_PORT,
    COMMANDS,
    DO_REPLY,
    DONT_REPLY,
    HEADER,
    MASK,
    MINOR,
    RIGHTS,
)


class CAVersion(CAMessage):
    """Both directions. Over UDP ``sequence`` numbers a client's datagrams (flag in ``priority``)."""

    name = "CA VERSION"
    says = "VERSION 4.{m.version}{m.extra}"
    fields_desc = message(0, zero16("priority"), CountField("version", MINOR), zero32("sequence"), zero32("p2"))

    @property
    def extra(self) -> str:
        """What a plain version message does not have."""
        priority = f" priority={self.priority}" if self.priority else ""
        return priority + (f" sequence={self.sequence}" if self.sequence else "")


class CAEventAdd(CAMessage):
    """Client to server: subscribe."""

    name = "CA EVENT_ADD"
    says = "EVENT_ADD {m.typed} sid={m.sid} subid={m.subid} mask={m.masked}"
    fields_desc = message(
        1,
        dbr_field(),
        count_field(),
        zero32("sid"),
        zero32("subid"),
        IEEEFloatField("low", 0),
        IEEEFloatField("high", 0),
        IEEEFloatField("to", 0),
        ShortField("mask", 5),
        ShortField("pad", 0),
    )

    @property
    def masked(self) -> str:
        """The events that are asked for."""
        return "|".join(word for bit, word in MASK.items() if self.mask & bit) or "0"


class CAEventAddReply(CAMessage):
    """Server to client: an update; without data the answer to EVENT_CANCEL."""

    name = "CA EVENT_ADD reply"
    says = "EVENT_ADD {m.update} subid={m.subid}{m.state}{m.value}"
    fields_desc = message(1, dbr_field(), count_field(), status_field(), zero32("subid"), data_field())

    @property
    def update(self) -> str:
        """What it is: with data an update, without the answer to EVENT_CANCEL."""
        return f"update {self.typed}" if self.rest else "reply to EVENT_CANCEL"


class CAEventCancel(CAMessage):
    """Client to server: end a subscription."""

    name = "CA EVENT_CANCEL"
    says = "EVENT_CANCEL sid={m.sid} subid={m.subid}"
    fields_desc = message(2, dbr_field(), count_field(), zero32("sid"), zero32("subid"))


class CARead(CAMessage):
    """Client to server: the read of old (deprecated)."""

    name = "CA READ"
    says = "READ {m.typed} sid={m.sid} ioid={m.ioid}"
    fields_desc = message(3, dbr_field(), count_field(), zero32("sid"), zero32("ioid"))


class CAReadReply(CAMessage):
    """Server to client: the value that READ asked for."""

    name = "CA READ reply"
    says = "READ reply {m.typed} ioid={m.ioid}{m.value}"
    fields_desc = message(3, dbr_field(), count_field(), zero32("sid"), zero32("ioid"), data_field())


class CAWrite(CAMessage):
    """Client to server: write without an answer."""

    name = "CA WRITE"
    says = "WRITE {m.typed} sid={m.sid} ioid={m.ioid}{m.value}"
    fields_desc = message(4, dbr_field(), count_field(), zero32("sid"), zero32("ioid"), data_field())


class CASearch(CAMessage):
    """Client to server: who has this PV? ``reply`` DO_REPLY wants NOT_FOUND too (TCP)."""

    name = "CA SEARCH"
    says = "SEARCH {m.quoted} cid={m.cid} reply={m.asks}"
    fields_desc = message(
        6,
        ShortEnumField("reply", DONT_REPLY, {DO_REPLY: "yes", DONT_REPLY: "no"}),
        CountField("version", MINOR),
        zero32("cid"),
        IntField("cid2", None),
        text_field(),
    )

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Repeat the channel id in its second place."""
        if self.cid2 is None:
            pkt = pkt[:12] + pkt[8:12] + pkt[HEADER:]
        built: bytes = super().post_build(pkt, pay)
        return built

    @property
    def asks(self) -> str:
        """Whether NOT_FOUND is wanted."""
        return {DO_REPLY: "yes", DONT_REPLY: "no"}.get(self.reply, str(self.reply))


class CASearchReply(CAMessage):
    """Server to client: I have it. ``address`` 255.255.255.255 means the sender of the datagram."""

    name = "CA SEARCH reply"
    says = "SEARCH reply cid={m.cid} tcp port {m.port}{m.at}"
    fields_desc = message(
        6,
        ShortField("port", CA_SERVER_PORT),
        CountField("count", 0),
        IPField("address", "255.255.255.255"),
        zero32("cid"),
        PaddedDataField("data", struct.pack("!H", MINOR), length_from=rest_of),
    )


def _bare(command: int) -> list[Any]:
    return message(command, zero16("data_type"), CountField("count", 0), zero32("p1"), zero32("p2"))


class CAEventsOff(CAMessage):
    """Client to server: hold updates back."""

    name = "CA EVENTS_OFF"
    says = "EVENTS_OFF"
    fields_desc = _bare(8)


class CAEventsOn(CAMessage):
    """Client to server: send updates again."""

    name = "CA EVENTS_ON"
    says = "EVENTS_ON"
    fields_desc = _bare(9)


class CAReadSync(CAMessage):
    """Client to server: (deprecated) drop reads that are under way."""

    name = "CA READ_SYNC"
    says = "READ_SYNC"
    fields_desc = _bare(10)


class CAError(CAMessage):
    """Server to client: what was wrong with a request, whose header follows."""

    name = "CA ERROR"
    says = "ERROR {m.outcome} cid={m.cid}{m.about}"
    fields_desc = message(11, zero16("data_type"), CountField("count", 0), zero32("cid"), status_field(), data_field())

    @property
    def about(self) -> str:
        """The request that failed, and the text."""
        if len(self.data) < HEADER:
            return ""
        command = struct.unpack_from("!H", self.data)[0]
        text = self.data[HEADER + 8 * (self.data[2:4] == b"\xff\xff") :]
        return f" about {COMMANDS.get(command, command)} {quoted(text)}"


class CAClearChannel(CAMessage):
    """Both directions: close a channel."""

    name = "CA CLEAR_CHANNEL"
    says = "CLEAR_CHANNEL sid={m.sid} cid={m.cid}"
    fields_desc = message(12, zero16("data_type"), CountField("count", 0), zero32("sid"), zero32("cid"))


class CABeacon(CAMessage):
    """Server to all, port 5065: I am here (RSRV_IS_UP)."""

    name = "CA beacon"
    says = "BEACON {m.beacon} tcp port {m.port}{m.at}"
    fields_desc = message(
        13,
        ShortField("version", MINOR),
        CountField("port", CA_SERVER_PORT),
        zero32("beacon"),
        IPField("address", "0.0.0.0"),
    )


class CANotFound(CAMessage):
    """Server to client: I do not have it (only over TCP, only with DO_REPLY)."""

    name = "CA NOT_FOUND"
    says = "NOT_FOUND cid={m.cid}"
    fields_desc = message(
        14, ShortField("reply", DO_REPLY), CountField("version", MINOR), zero32("cid"), zero32("cid2")
    )


class CAReadNotify(CAMessage):
    """Client to server: read, and tell me by ``ioid``."""

    name = "CA READ_NOTIFY"
    says = "READ_NOTIFY {m.typed} sid={m.sid} ioid={m.ioid}"
    fields_desc = message(15, dbr_field(), count_field(), zero32("sid"), zero32("ioid"))


class CAReadNotifyReply(CAMessage):
    """Server to client: the value."""

    name = "CA READ_NOTIFY reply"
    says = "READ_NOTIFY reply {m.typed} ioid={m.ioid}{m.state}{m.value}"
    fields_desc = message(15, dbr_field(), count_field(), status_field(), zero32("ioid"), data_field())


class CARepeaterConfirm(CAMessage):
    """Repeater to client: you are registered."""

    name = "CA REPEATER_CONFIRM"
    says = "REPEATER_CONFIRM {m.address}"
    fields_desc = message(
        17, zero16("data_type"), CountField("count", 0), zero32("p1"), IPField("address", "127.0.0.1")
    )


class CACreateChan(CAMessage):
    """Client to server: open a channel to this PV."""

    name = "CA CREATE_CHAN"
    says = "CREATE_CHAN {m.quoted} cid={m.cid}"
    fields_desc = message(
        18, zero16("data_type"), CountField("count", 0), zero32("cid"), IntField("version", MINOR), text_field()
    )


class CACreateChanReply(CAMessage):
    """Server to client: the channel's native type, count and server id."""

    name = "CA CREATE_CHAN reply"
    says = "CREATE_CHAN reply {m.typed} cid={m.cid} sid={m.sid}"
    fields_desc = message(18, dbr_field(), count_field(), zero32("cid"), zero32("sid"))


class CAWriteNotify(CAMessage):
    """Client to server: write, and tell me when it is done."""

    name = "CA WRITE_NOTIFY"
    says = "WRITE_NOTIFY {m.typed} sid={m.sid} ioid={m.ioid}{m.value}"
    fields_desc = message(19, dbr_field(), count_field(), zero32("sid"), zero32("ioid"), data_field())


class CAWriteNotifyReply(CAMessage):
    """Server to client: it is done, or why not."""

    name = "CA WRITE_NOTIFY reply"
    says = "WRITE_NOTIFY reply ioid={m.ioid} {m.outcome}"
    fields_desc = message(19, dbr_field(), count_field(), status_field(), zero32("ioid"))


class CAClientName(CAMessage):
    """Client to server: the user's name."""

    name = "CA CLIENT_NAME"
    says = "CLIENT_NAME {m.quoted}"
    fields_desc = message(
        20, zero16("data_type"), CountField("count", 0), zero32("p1"), zero32("p2"), text_field("user")
    )


class CAHostName(CAMessage):
    """Client to server: the client's host name."""

    name = "CA HOST_NAME"
    says = "HOST_NAME {m.quoted}"
    fields_desc = message(
        21, zero16("data_type"), CountField("count", 0), zero32("p1"), zero32("p2"), text_field("host")
    )


class CAAccessRights(CAMessage):
    """Server to client: what you may do with a channel."""

    name = "CA ACCESS_RIGHTS"
    says = "ACCESS_RIGHTS cid={m.cid} {m.allowed}"
    fields_desc = message(
        22, zero16("data_type"), CountField("count", 0), zero32("cid"), IntEnumField("rights", 3, RIGHTS)
    )

    @property
    def allowed(self) -> str:
        """What is allowed."""
        return RIGHTS[self.rights & 3]


class CAEcho(CAMessage):
    """Both directions: are you there?"""

    name = "CA ECHO"
    says = "ECHO"
    fields_desc = _bare(23)


class CARepeaterRegister(CAMessage):
    """Client to repeater: send me beacons too."""

    name = "CA REPEATER_REGISTER"
    says = "REPEATER_REGISTER {m.address}"
    fields_desc = message(
        24, zero16("data_type"), CountField("count", 0), zero32("p1"), IPField("address", "127.0.0.1")
    )


class CACreateChFail(CAMessage):
    """Server to client: that channel cannot be opened."""

    name = "CA CREATE_CH_FAIL"
    says = "CREATE_CH_FAIL cid={m.cid}"
    fields_desc = message(26, zero16("data_type"), CountField("count", 0), zero32("cid"), zero32("p2"))


class CAServerDisconn(CAMessage):
    """Server to client: that channel is gone."""

    name = "CA SERVER_DISCONN"
    says = "SERVER_DISCONN cid={m.cid}"
    fields_desc = message(27, zero16("data_type"), CountField("count", 0), zero32("cid"), zero32("p2"))


_BOTH: Final[dict[int, type[CAMessage]]] = {0: CAVersion, 12: CAClearChannel, 13: CABeacon, 23: CAEcho}
REQUESTS: Final[dict[int, type[CAMessage]]] = _BOTH | {
    1: CAEventAdd,
    2: CAEventCancel,
    3: CARead,
    4: CAWrite,
    6: CASearch,
    8: CAEventsOff,
    9: CAEventsOn,
    10: CAReadSync,
    15: CAReadNotify,
    18: CACreateChan,
    19: CAWriteNotify,
    20: CAClientName,
    21: CAHostName,
    24: CARepeaterRegister,
}
REPLIES: Final[dict[int, type[CAMessage]]] = _BOTH | {
    1: CAEventAddReply,
    3: CAReadReply,
    6: CASearchReply,
    11: CAError,
    14: CANotFound,
    15: CAReadNotifyReply,
    17: CARepeaterConfirm,
    18: CACreateChanReply,
    19: CAWriteNotifyReply,
    22: CAAccessRights,
    26: CACreateChFail,
    27: CAServerDisconn,
}
