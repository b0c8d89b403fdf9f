"""Capture files that Wireshark opens."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canet.harness.observation import Frame
from canet.harness.wire import pcapng
from tests.harness import talk

FRAMES = st.lists(
    st.builds(
        Frame,
        time=st.integers(0, 10**9).map(lambda nanoseconds: nanoseconds / 1e9),
        host=st.sampled_from(["client", "ioc.site"]),
        interface=st.sampled_from(["eth0", "lo"]),
        direction=st.sampled_from(["out", "in"]),
        data=st.binary(min_size=14, max_size=90),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=50)
@given(FRAMES)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, frames: list[Frame]) -> None:
    """Whatever is written is read back, to the nanosecond."""
    path = tmp_path_factory.mktemp("pcapng") / "x.pcapng"
    pcapng.write(path, frames, talk.topology())

    assert pcapng.read(path) == tuple(frames)


def test_comments_carry_the_words(tmp_path: Path) -> None:
    """Each Channel Access frame says its messages in a comment."""
    pcapng.write(tmp_path / "x.pcapng", talk.frames(), talk.topology())
    (frame, words), *_rest = pcapng.read_commented(tmp_path / "x.pcapng")

    assert talk.frames()[0] == frame
    assert words == ("VERSION 4.13", 'SEARCH "canet:witness" cid=1 reply=no', 'SEARCH "ioc1:value" cid=2 reply=no')


@pytest.mark.parametrize("data", [b"", b"\xd4\xc3\xb2\xa1" + bytes(20), b"\n\r\r\n" + bytes(20)])
def test_no_capture_file(tmp_path: Path, data: bytes) -> None:
    """Other files are refused by name."""
    path = tmp_path / "x.pcapng"
    path.write_bytes(data)

    with pytest.raises(ValueError, match=r"x\.pcapng: is not a little-endian pcapng file"):
        pcapng.read(path)


def test_cut_short(tmp_path: Path) -> None:
    """A file that ends within a block says where."""
    path = tmp_path / "x.pcapng"
    pcapng.write(path, talk.frames())
    path.write_bytes(path.read_bytes()[:-5])

    with pytest.raises(ValueError, match="cut short or damaged at byte"):
        pcapng.read(path)


def test_scapy_reads_the_same_frames(tmp_path: Path) -> None:
    """Scapy's own reader gets the same bytes, times, interfaces, directions and comments."""
    from scapy.utils import RawPcapNgReader

    path = tmp_path / "x.pcapng"
    pcapng.write(path, talk.frames(), talk.topology())
    with RawPcapNgReader(str(path)) as reader:
        read = [(data, meta) for data, meta in reader]

    assert [each.data for each in talk.frames()] == [data for data, _meta in read]
    assert [each.direction == "out" for each in talk.frames()] == [meta.direction == 2 for _data, meta in read]
    assert f"{talk.frames()[0].host}.eth0".encode() == read[0][1].ifname


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed (apt-get install tshark)")
def test_tshark_reads_the_same_frames(tmp_path: Path) -> None:
    """Tshark shows interfaces, comments and addresses as they are."""
    path = tmp_path / "x.pcapng"
    pcapng.write(path, talk.frames(), talk.topology())
    fields = ["frame.interface_name", "frame.packet_flags_direction", "ip.src", "frame.comment"]
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", *(word for each in fields for word in ("-e", each))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()

    assert len(lines) == len(talk.frames())
    assert lines[0].split("\t")[:3] == ["client.eth0", "0x00000002", "10.1.0.1"]
    assert 'SEARCH "ioc1:value" cid=2 reply=no' in lines[0]
