"""The few calls of Linux and the C library about namespaces, mounts and output that Python does not offer on 3.11."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_BIND = 0x1000
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2

PR_SET_NAME = 15
_IOLBF = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare(flags: int) -> None:
    """Give the calling thread namespaces of its own (unshare(2)).

    Raises:
        OSError: as the kernel says; EPERM without the capability, EINVAL for CLONE_NEWUSER in a threaded process.
    """
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace that ``fd`` holds (setns(2))."""
    _check(_libc.setns(fd, kind), "setns")


def mount(source: str, target: str, kind: str | None, flags: int = 0, options: str | None = None) -> None:
    """Mount, bind or change propagation (mount(2))."""
    raw = [None if text is None else text.encode() for text in (source, target, kind, options)]
    _check(_libc.mount(raw[0], raw[1], raw[2], ctypes.c_ulong(flags), raw[3]), target)


def umount(target: str, flags: int = MNT_DETACH) -> None:
    """Take a mount away, by default at once and lazily (umount2(2))."""
    _check(_libc.umount2(target.encode(), flags), target)


def set_hostname(name: str) -> None:
    """Set the host name of the UTS namespace (sethostname(2))."""
    raw = name.encode()
    _check(_libc.sethostname(raw, len(raw)), name)


def set_process_name(name: str) -> None:
    """Name the calling thread, 15 bytes at most, so that ``ps`` shows what it is (prctl(2))."""
    _libc.prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)


# Of our own, because glibc keeps the one byte of a stream that ``PYTHONUNBUFFERED`` left without a buffer.
_line = ctypes.create_string_buffer(8192)


def print_by_lines() -> None:
    """Let what C libraries print leave line by line, though it goes to a file (setvbuf(3))."""
    _libc.setvbuf(ctypes.c_void_p.in_dll(_libc, "stdout"), _line, _IOLBF, ctypes.c_size_t(len(_line)))


def effective_capabilities() -> int:
    """Return the bit set of effective capabilities of the calling thread (capabilities(7))."""
    with open("/proc/thread-self/status") as status:  # noqa: PTH123 - a proc file, read once
        for line in status:
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    return 0


CAP_NET_ADMIN = 12
CAP_NET_RAW = 13
CAP_SYS_ADMIN = 21


def has_capabilities(*numbers: int) -> bool:
    """Say whether all these capabilities are effective."""
    held = effective_capabilities()
    return all(held >> number & 1 for number in numbers)
