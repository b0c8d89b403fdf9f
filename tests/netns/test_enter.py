"""Getting the right to make namespaces, or the reason why not."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from canet.netns import Unavailable, enter

module = sys.modules["canet.netns.enter"]

ORDINARY = """
import ctypes, os, sys
sys.path[:] = {path!r}
import concurrent.futures, encodings.idna, ipaddress, pyroute2, threading  # what is imported later may not be readable
from canet.netns import Network, Unavailable, enter
from canet.netns.namespace import Thread
from tests.netns.lan import PORT, lan, listener, next_datagram, sender
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: as a process that was an ordinary user's from the start
try:
    Network(lan())
except Unavailable as error:
    print(error.remedy)
enter()
enter()
print(os.getuid(), os.getgid())
with Network(lan()) as net, listener(net["server"]) as server, sender(net["client"]) as client:
    client.sendto(b"it works", ("10.1.0.255", PORT))
    print(next_datagram(server).decode())
"""


def test_an_ordinary_user_enters(real_root: None) -> None:
    """A user without rights gets a network of hosts; entering twice is once."""
    code = ORDINARY.format(path=[str(Path(__file__).parents[2]), *sys.path])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert run.stderr == ""
    assert run.stdout.splitlines() == [
        "call canet.netns.enter() first, or run as root; `canet doctor` says more",
        "0 0",
        "it works",
    ]


def test_who_has_the_right_stays() -> None:
    """Entering changes nothing where networks can be built already."""
    before = {link.name: os.readlink(link) for link in Path("/proc/self/ns").iterdir()}  # noqa: PTH115 - names, not paths
    enter()

    assert {link.name: os.readlink(link) for link in Path("/proc/self/ns").iterdir()} == before  # noqa: PTH115


def test_threads_are_named_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process with threads is told to enter earlier."""
    monkeypatch.setattr(module, "has_capabilities", lambda *_: False)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with pytest.raises(Unavailable, match=r"this process has \d+ threads") as caught:
            enter()
    finally:
        done.set()
        thread.join()

    assert "before anything starts a thread" in caught.value.remedy


@pytest.mark.parametrize(
    ("number", "settings", "reason", "remedy"),
    [
        (
            errno.ENOSPC,
            {"user.max_user_namespaces": "0"},
            "user.max_user_namespaces is 0",
            "sysctl user.max_user_namespaces=10000",
        ),
        (
            errno.EPERM,
            {"kernel.unprivileged_userns_clone": "0"},
            "kernel.unprivileged_userns_clone is 0",
            "sysctl kernel.unprivileged_userns_clone=1",
        ),
        (
            errno.EPERM,
            {"kernel.apparmor_restrict_unprivileged_userns": "1"},
            "kernel.apparmor_restrict_unprivileged_userns is 1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (errno.EPERM, {"seccomp": "2"}, "a seccomp filter is active", "--security-opt seccomp=unconfined"),
        (errno.EPERM, {}, "Operation not permitted", "run as root"),
    ],
)
def test_a_refusal_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, number: int, settings: dict[str, str], reason: str, remedy: str
) -> None:
    """The kernel's error and the machine's settings together tell what to change."""
    monkeypatch.setattr(module, "setting", settings.get)
    monkeypatch.setattr(module, "_seccomp_filtered", lambda: "seccomp" in settings)
    error = module.refused(number)

    assert reason in error.reason
    assert remedy in error.remedy
    assert error.remedy in str(error)
