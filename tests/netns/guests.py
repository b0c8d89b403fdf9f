"""Functions that tests run in processes on hosts."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import time
from pathlib import Path


def show(*words: str) -> int:
    """Print the arguments and where we are; exit with 7."""
    print(*words)
    print(socket.gethostname(), Path.cwd(), os.getuid(), sorted(os.listdir("/proc/self/fd"))[:3], file=sys.stderr)  # noqa: PTH208
    return 7


def environment() -> None:
    """Print the environment."""
    for key, value in sorted(os.environ.items()):
        print(f"{key}={value}")


def signals() -> None:
    """Print which signals are not handled by default, and what is blocked."""
    ignored = [each.name for each in signal.valid_signals() if signal.getsignal(each) == signal.SIG_IGN]
    print(sorted(ignored), signal.pthread_sigmask(signal.SIG_BLOCK, []), os.getpid() == os.getsid(0))


def print_in_c() -> None:
    """Let the C library print, and end without giving it a chance to flush."""
    libc = ctypes.CDLL(None)
    libc.puts(b"a line")
    print("in between")
    libc.printf(b"%s", b"cut off")
    os._exit(0)


def fail() -> None:
    """Raise."""
    raise RuntimeError("told to")


def leave(code: int | str) -> None:
    """Leave as ``sys.exit`` does."""
    sys.exit(code)


def hear(port: int, count: int) -> None:
    """Say that a UDP port is open, and print what it hears."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", port))
        print("ready", flush=True)
        for _ in range(count):
            print(server.recv(100).decode(), flush=True)


def write_to(number: int, text: str) -> None:
    """Write to a descriptor."""
    os.write(number, text.encode())


def daemon(ready: int) -> None:
    """Leave a daemon of a session of its own behind, as caRepeater is; tell when it runs."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(ready, b"up")
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(60)
        os._exit(0)


def processes() -> None:
    """Print the command names of all processes that /proc shows."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            print((entry / "comm").read_text().strip())
