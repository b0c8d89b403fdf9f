"""What all Channel Access messages have in common: the header, its size filled in, and the words to say it."""

# mypy: disable-error-code="misc,no-untyped-call"
# scapy's classes carry no types that mypy could follow.

from __future__ import annotations

import struct

from scapy.fields import (
    XIntField,
    XShortField,
)
from scapy.packet import Packet

from canet.harness.packets.fields import (
    CountField,
    data_field,
    message,
)
from canet.harness.packets.names import (
    COMMANDS,
    ECA,
    ECA_NORMAL,
    EXTENDED,
    HEADER,
)
from canet.harness.packets.values import DBR_NAMES, value_text


def quoted(name: bytes) -> str:
    """Show a C string in quotation marks, cut where it is long."""
    text = bytes(name).split(b"\0", 1)[0].decode("ascii", "backslashreplace")
    return '"' + (text if len(text) <= 60 else text[:57] + "…") + '"'


class CAMessage(Packet):
    """Any message: what a command without a class of its own is read as, and the base of all others."""

    name = "CA message"
    fields_desc = message(
        0, XShortField("data_type", 0), CountField("count", 0), XIntField("p1", 0), XIntField("p2", 0), data_field()
    )
    says = "{m.known} type={m.data_type} count={m.count} p1={m.p1} p2={m.p2} size={m.rest}"

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Fill in the payload's size; make the header an extended one when size or count ask for it."""
        if self.size is None:
            size, count = len(pkt) - HEADER, self.elements
            if size >= EXTENDED or count >= EXTENDED:
                head = pkt[:2] + b"\xff\xff" + pkt[4:6] + b"\0\0" + pkt[8:HEADER]
                pkt = head + struct.pack("!II", size, count) + pkt[HEADER:]
            else:
                pkt = pkt[:2] + struct.pack("!H", size) + pkt[4:]
        return pkt + pay

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """Leave what follows to the next message."""
        return b"", s

    @property
    def rest(self) -> int:
        """The payload's length in bytes that the header announces."""
        return int((self.long_size if self.size == EXTENDED else self.size) or 0)

    @property
    def elements(self) -> int:
        """The element count, wherever it stands."""
        if self.size == EXTENDED and self.long_count is not None:
            return int(self.long_count)
        return int(self.fields.get("count", self.default_fields.get("count", 0)) or 0)

    def words(self) -> str:
        """Say the message in words, as the class's template ``says`` tells."""
        return self.says.format(m=self)

    def mysummary(self) -> str:
        """Say it in words to scapy's ``summary``."""
        return self.words()

    # What the templates use besides the fields themselves.

    @property
    def known(self) -> str:
        """The command's name."""
        return COMMANDS.get(self.cmd, f"command {self.cmd}")

    @property
    def typed(self) -> str:
        """Type and element count."""
        return f"{DBR_NAMES.get(self.data_type, f'DBR type {self.data_type}')} count={self.elements}"

    @property
    def value(self) -> str:
        """The first elements of the payload."""
        text = value_text(self.data_type, self.elements, self.data)
        return f" value={text}" if text else ""

    @property
    def outcome(self) -> str:
        """The ECA status."""
        return ECA.get(self.status, f"status {self.status}")

    @property
    def state(self) -> str:
        """The ECA status, where it is not the normal one."""
        return "" if self.status == ECA_NORMAL else f" {self.outcome}"

    @property
    def quoted(self) -> str:
        """The string that the message carries."""
        return quoted(next(self.fields[key] for key in ("pv", "user", "host") if key in self.fields))

    @property
    def at(self) -> str:
        """The address, where it is not the stand-in for the sender's."""
        return "" if self.address in ("0.0.0.0", "255.255.255.255") else f" at {self.address}"
