"""Turn captured frames into what was said: one value for each datagram or piece of a circuit, in words.

A frame is seen where it leaves a host and where it is delivered; both are joined here, so that a message says who
sent it and whom it reached. Channel ids are followed, so that a reply names the PV; a circuit's bytes are put
together across segments. scapy supplies the words (:mod:`canet.harness.packets`), so use this for reports only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from canet.harness.observation import Frame
from canet.harness.wire import frames
from canet.harness.wire.frames import ACK, FIN, RST, SYN, Headers

Kind = Literal[
    "search", "reply", "beacon", "circuit", "connect", "close", "refused", "repeater", "icmp", "arp", "other"
]

_UNREACHABLE = {0: "network", 1: "host", 2: "protocol", 3: "port", 4: "fragmentation needed", 9: "network prohibited"}
_GROUP = 0x01
"""The bit of a MAC's first byte that says broadcast or multicast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one frame said, from one host to others."""

    time: float
    source: str
    """The host that sent it."""
    targets: tuple[str, ...]
    """The hosts that it was delivered to; empty: it was lost, or nobody was there."""
    origin: str
    """``A:PORT`` in the frame's headers."""
    target: str
    proto: Literal["udp", "tcp", "icmp", "arp", "other"]
    kind: Kind
    words: tuple[str, ...]
    """Each CA message in it, or what else it was."""
    number: int
    """Place of the frame among all that were captured."""

    @property
    def headline(self) -> str:
        """All of it in one short line."""
        return headline(self.words)


@dataclass(slots=True)
class _Stream:
    """One direction of a circuit."""

    expected: int | None = None
    held: bytes = b""


@dataclass(slots=True)
class _Listener:
    """What has been learnt so far while reading frames in order."""

    servers: set[str] = field(default_factory=set)
    """``A:PORT`` that accept circuits."""
    streams: dict[tuple[str, str], _Stream] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    """Channel id → PV of the last search with it."""

    def understand(self, headers: Headers) -> tuple[Kind, tuple[str, ...]]:
        if headers.proto == "udp":
            return self._datagram(headers)
        if headers.proto == "tcp":
            return self._segment(headers)
        if headers.proto == "icmp":
            return "icmp", (_icmp(headers),)
        if headers.proto == "arp":
            asks = headers.port == 1
            return "arp", (f"ARP who has {headers.to}" if asks else f"ARP {headers.source} is here",)
        return "other", ("fragment" if headers.fragment else "other",)

    def _datagram(self, headers: Headers) -> tuple[Kind, tuple[str, ...]]:
        from canet.harness import packets

        commands = [each[0] for each in frames.messages(headers.payload)]
        ports = {headers.port, headers.to_port}
        if not ports & {frames.CA_SERVER_PORT, frames.CA_REPEATER_PORT} and not set(commands) & {6, 13}:
            return "other", (f"UDP, {len(headers.payload)} bytes",)
        asked = frames.searched_names(headers.payload)
        if asked:
            self._learn(headers.payload)
            kind: Kind = "search"
        elif frames.SEARCH in commands:
            kind = "reply"
        else:
            kind = "beacon" if 13 in commands else "repeater" if {17, 24} & set(commands) else "other"
        return kind, tuple(map(self._named, packets.words(headers.payload, None)))

    def _learn(self, payload: bytes) -> None:
        for command, _kind, _count, cid, _again, body in frames.messages(payload):
            if command == frames.SEARCH:
                self.names[cid] = body.split(b"\0", 1)[0].decode("ascii", "backslashreplace")

    def _named(self, words: str) -> str:
        """Put the PV's name for the channel id of a search reply."""
        found = re.match(r"SEARCH reply cid=(\d+) ", words)
        if found and int(found[1]) in self.names:
            return f'SEARCH reply {words[found.end() :]} "{self.names[int(found[1])]}"'
        return words

    def _segment(self, headers: Headers) -> tuple[Kind, tuple[str, ...]]:
        from canet.harness import packets

        key, flags = (headers.origin, headers.target), headers.flags
        if flags & SYN:
            self.streams[key] = _Stream((headers.sequence + 1) & 0xFFFFFFFF)
            if flags & ACK:
                return "connect", ("TCP accept",)
            self.servers.add(headers.target)
            return "connect", (f"TCP connect to {headers.target}",)
        if flags & RST:
            return "refused", ("TCP reset",)
        data = self._whole(self.streams.setdefault(key, _Stream()), headers)
        if not data:
            return ("close", ("TCP close",)) if flags & FIN else ("other", ())
        to_server = True if headers.target in self.servers else False if headers.origin in self.servers else None
        return "circuit", packets.words(data, to_server)

    @staticmethod
    def _whole(stream: _Stream, headers: Headers) -> bytes:
        """Add a segment to its stream and take out the whole messages; what was sent before is dropped."""
        if not headers.payload:
            return b""
        if stream.expected is not None:
            ahead = (headers.sequence - stream.expected) & 0xFFFFFFFF
            if ahead >= 0x80000000:
                return b""  # A retransmission.
            if ahead:
                stream.held = b""  # Something is missing: start again here.
        stream.expected = (headers.sequence + len(headers.payload)) & 0xFFFFFFFF
        stream.held += headers.payload
        used = _whole_length(stream.held)
        whole, stream.held = stream.held[:used], stream.held[used:]
        return whole


def _whole_length(data: bytes) -> int:
    place = 0
    while place + 16 <= len(data):
        size, start = int.from_bytes(data[place + 2 : place + 4], "big"), 16
        if size == 0xFFFF and int.from_bytes(data[place + 6 : place + 8], "big") == 0:
            size, start = int.from_bytes(data[place + 16 : place + 20], "big"), 24
        if place + start + size > len(data):
            break
        place += start + size
    return place


def _icmp(headers: Headers) -> str:
    if headers.port == 3:
        quoted = frames.read(bytes(12) + b"\x08\0" + headers.payload)
        about = f" for {quoted.target}" if quoted is not None and quoted.proto in ("udp", "tcp") else ""
        return f"ICMP {_UNREACHABLE.get(headers.to_port, headers.to_port)} unreachable{about}"
    names = {0: "echo reply", 5: "redirect", 8: "echo", 11: "time exceeded"}
    return f"ICMP {names.get(headers.port, headers.port)}"


def conversation(recorded: Iterable[Frame], arp: bool = False, most: int | None = None) -> tuple[Message, ...]:
    """Return what was said, in order of sending.

    Args:
        recorded: Frames in the order in which they were captured.
        arp: Whether ARP counts; segments without data or news never do.
        most: Stop after so many messages: words cost 0.2 ms each.
    """
    listener = _Listener()
    found: list[Message] = []
    under_way: dict[bytes, int] = {}
    owners: dict[bytes, str] = {}
    for number, frame in enumerate(recorded):
        headers = frames.read(frame.data)
        if headers is None:
            continue
        if frame.direction == "in":
            place = under_way.get(frame.data)
            # A frame to one MAC may be flooded to other hosts, which drop it.
            wanted = headers.to_mac[0] & _GROUP or owners.get(headers.to_mac, frame.host) == frame.host
            if place is not None and wanted and frame.host not in found[place].targets:
                found[place] = replace(found[place], targets=(*found[place].targets, frame.host))
            continue
        owners[headers.mac] = frame.host
        kind, words = listener.understand(headers)
        under_way.pop(frame.data, None)
        if most is not None and len(found) >= most:
            break
        if not words or (headers.proto == "arp" and not arp) or (kind == "other" and headers.proto == "other"):
            continue
        under_way[frame.data] = len(found)
        found.append(
            Message(
                time=frame.time,
                source=frame.host,
                targets=(frame.host,) if frame.interface == "lo" else (),
                origin=headers.origin,
                target=headers.target,
                proto=headers.proto,
                kind=kind,
                words=words,
                number=number,
            )
        )
    return tuple(found)


def frame_words(recorded: Iterable[Frame], most: int = 20_000) -> Iterator[tuple[str, ...]]:
    """Yield the words of each frame in turn, so that a stored capture can carry them; nothing for what is not CA.

    Words cost 0.2 ms, so no more than ``most`` different frames get them, the first ones.
    """
    listener = _Listener()
    known: dict[bytes, tuple[str, ...]] = {}
    for frame in recorded:
        if frame.direction == "in" and frame.data in known:
            yield known[frame.data]
            continue
        headers = frames.read(frame.data) if len(known) < most else None
        kind, words = listener.understand(headers) if headers is not None else ("other", ())
        known[frame.data] = words if kind not in ("other", "arp") else ()
        yield known[frame.data]


_NUMBERS = re.compile(r" (?:cid|sid|ioid|subid|sequence)=\d+| reply=(?:yes|no)|(?<=BEACON) \d+")


def headline(words: tuple[str, ...]) -> str:
    """Put the messages of one datagram into one short line: without ids, like ones joined.

    >>> headline(("VERSION 4.13", 'SEARCH "a" cid=1 reply=no', 'SEARCH "b" cid=2 reply=no'))
    'SEARCH "a", "b"'
    """
    short = [_NUMBERS.sub("", each) for each in words]
    if len(short) > 1 and short[0].startswith("VERSION") and short[1].startswith("SEARCH"):
        short = short[1:]
    joined: dict[str, list[str]] = {}
    for each in short:
        found = re.match(r'([^"]+)("[^"]*")(.*)', each)
        key, what = (f"{found[1]}{{}}{found[3]}", found[2]) if found else (each, "")
        joined.setdefault(key, []).append(what)
    return " · ".join(_join(key, what) for key, what in joined.items())


def _join(key: str, what: list[str]) -> str:
    if "{}" in key:
        names = [each for each in what if each]
        more = f" and {len(names) - 3} more" if len(names) > 4 else ""
        return key.replace("{}", ", ".join(names[: 3 if more else 4]) + more)
    return key + (f" ×{len(what)}" if len(what) > 1 else "")
