"""Write frames as pcapng, so that Wireshark, tshark and scapy open them, and read them back.

One section; one interface for each host's interface, named ``host.eth0``; each packet with nanoseconds, direction, and
a comment that says its Channel Access messages in words. Source: draft-ietf-opsawg-pcapng ("PCAP Now Generic").
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Literal

from canet.harness.observation import Frame
from canet.netns.topology import Topology

SHB: Final = 0x0A0D0D0A
IDB: Final = 1
EPB: Final = 6
MAGIC: Final = 0x1A2B3C4D
ETHERNET: Final = 1
OPT_COMMENT: Final = 1
SHB_USERAPPL: Final = 4
IF_NAME: Final = 2
IF_DESCRIPTION: Final = 3
IF_TSRESOL: Final = 9
EPB_FLAGS: Final = 2
INBOUND: Final = 1
OUTBOUND: Final = 2

_BLOCK: Final = struct.Struct("<II")
_PACKET: Final = struct.Struct("<IIIII")


def write(
    path: Path,
    recorded: Iterable[Frame],
    topology: Topology | None = None,
    *,
    comment: str = "",
    words: Iterable[tuple[str, ...]] | None = None,
) -> None:
    """Write a capture file.

    Args:
        path: The file; it is replaced.
        recorded: The frames. Their times, seconds since the lab came up, become times since 1970-01-01.
        topology: Describes the interfaces and names those that no frame was seen at.
        comment: Of the whole section: the case.
        words: What each frame says; ``None``: found by :func:`canet.harness.wire.conversation.frame_words`.
    """
    kept = tuple(recorded)
    if words is None:
        from canet.harness.wire.conversation import frame_words

        words = frame_words(kept)
    described = {
        (host.name, each.name): " ".join(map(str, each.addresses))
        for host in (topology.hosts if topology else ())
        for each in host.interfaces
    }
    places = {place: number for number, place in enumerate(dict.fromkeys([*described, *map(_place, kept)]))}
    with path.open("wb") as file:
        options = [(SHB_USERAPPL, b"canet")] + ([(OPT_COMMENT, comment.encode())] if comment else [])
        _write_block(file, SHB, struct.pack("<IHHq", MAGIC, 1, 0, -1) + _options(options))
        for host, interface in places:
            _write_block(file, IDB, _interface(host, interface, described.get((host, interface), "")))
        for frame, said in zip(kept, words, strict=True):
            _write_block(file, EPB, _packet(frame, places[_place(frame)], said))


def read(path: Path) -> tuple[Frame, ...]:
    """Read a capture file that :func:`write` wrote.

    Raises:
        ValueError: If it is not such a file, or is cut short.
    """
    return tuple(frame for frame, _words in read_commented(path))


def read_commented(path: Path) -> Iterator[tuple[Frame, tuple[str, ...]]]:
    """Yield each frame with the words of its comment."""
    places: list[tuple[str, str]] = []
    for kind, body in _blocks(path):
        if kind == IDB:
            name = dict(_read_options(body[8:])).get(IF_NAME, b"").decode()
            host, _dot, interface = name.rpartition(".")
            places.append((host, interface))
        elif kind == EPB:
            number, high, low, size, _original = _PACKET.unpack_from(body)
            if number >= len(places):
                raise ValueError(f"{path}: a packet of interface {number}, which was not described")
            options = dict(_read_options(body[20 + size + -size % 4 :]))
            outbound = int.from_bytes(options.get(EPB_FLAGS, b"\0"), "little") & 3 == OUTBOUND
            direction: Literal["out", "in"] = "out" if outbound else "in"
            host, interface = places[number]
            stamp, data = (high << 32 | low) / 1e9, body[20 : 20 + size]
            said = tuple(options.get(OPT_COMMENT, b"").decode().splitlines())
            yield Frame(time=stamp, host=host, interface=interface, direction=direction, data=data), said


def _place(frame: Frame) -> tuple[str, str]:
    return frame.host, frame.interface


def _interface(host: str, interface: str, addresses: str) -> bytes:
    options = [
        (IF_NAME, f"{host}.{interface}".encode()),
        (IF_DESCRIPTION, f"{interface} of {host}{' ' if addresses else ''}{addresses}".encode()),
        (IF_TSRESOL, b"\x09"),
    ]
    return struct.pack("<HHI", ETHERNET, 0, 0) + _options(options)


def _packet(frame: Frame, number: int, words: tuple[str, ...]) -> bytes:
    stamp = max(0, round(frame.time * 1e9))
    options = [(EPB_FLAGS, struct.pack("<I", OUTBOUND if frame.direction == "out" else INBOUND))]
    if words:
        options.insert(0, (OPT_COMMENT, "\n".join(words).encode()[:0xFFFF]))
    head = _PACKET.pack(number, stamp >> 32, stamp & 0xFFFFFFFF, len(frame.data), len(frame.data))
    return head + frame.data + bytes(-len(frame.data) % 4) + _options(options)


def _options(options: list[tuple[int, bytes]]) -> bytes:
    """Each option padded to four bytes, then the end mark."""
    built = [struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in options]
    return b"".join(built) + bytes(4)


def _read_options(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + 4 <= len(data):
        code, size = struct.unpack_from("<HH", data, place)
        if code == 0:
            return
        yield code, data[place + 4 : place + 4 + size]
        place += 4 + size + -size % 4


def _write_block(file: BinaryIO, kind: int, body: bytes) -> None:
    total = 12 + len(body)
    file.write(_BLOCK.pack(kind, total) + body + struct.pack("<I", total))


def _blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    data = path.read_bytes()
    if data[:4] != struct.pack("<I", SHB) or data[8:12] != struct.pack("<I", MAGIC):
        raise ValueError(f"{path}: is not a little-endian pcapng file")
    place = 0
    while place < len(data):
        if place + 12 > len(data):
            raise ValueError(f"{path}: is cut short at byte {place}")
        kind, total = _BLOCK.unpack_from(data, place)
        if total < 12 or total % 4 or place + total > len(data):
            raise ValueError(f"{path}: is cut short or damaged at byte {place}")
        yield kind, data[place + 8 : place + total - 4]
        place += total
