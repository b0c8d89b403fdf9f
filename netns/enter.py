"""Get the right to make namespaces: root has it, an ordinary user gets it from a user namespace of its own."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

from canet.netns.errors import Unavailable
from canet.netns.syscalls import (
    CAP_NET_ADMIN,
    CAP_SYS_ADMIN,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUSER,
    MS_PRIVATE,
    MS_REC,
    has_capabilities,
    mount,
    unshare,
)


def enter(*, network: bool = False) -> None:
    """Make this process able to build networks; do nothing if it is already.

    Root stays where it is. An ordinary user moves into a user and mount namespace in which it is root; children
    inherit that, so that worker processes find nothing left to do. Call it early: the kernel takes only a process
    with a single thread into a user namespace. Next: :class:`canet.netns.Network`.

    Args:
        network: also leave the machine's network for an empty one with a loopback (an ordinary user only).

    Raises:
        Unavailable: with the reason and the setting to change.
    """
    if has_capabilities(CAP_SYS_ADMIN, CAP_NET_ADMIN):
        return
    threads = _threads()
    if threads > 1:
        raise Unavailable(
            f"this process has {threads} threads, and the kernel takes only one into a user namespace",
            "call canet.netns.enter() before anything starts a thread (under pytest the canet plugin does it)",
        )
    uid, gid = os.getuid(), os.getgid()
    try:
        unshare(CLONE_NEWUSER | CLONE_NEWNS | (CLONE_NEWNET if network else 0))
    except OSError as error:
        raise refused(error.errno or 0) from error
    try:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {uid} 1")
        _write("/proc/self/gid_map", f"0 {gid} 1")
        mount("none", "/", None, MS_REC | MS_PRIVATE)
    except OSError as error:
        raise Unavailable(
            f"the user namespace came up without rights ({error.strerror} at {error.filename})", _apparmor_remedy()
        ) from error
    if network:
        _loopback_up()


def _threads() -> int:
    """Count this process's threads; those that Python has joined are given a moment to leave the kernel."""
    deadline = time.monotonic() + 1.0
    while (count := sum(1 for _ in Path("/proc/self/task").iterdir())) > 1:
        if threading.active_count() > 1 or time.monotonic() > deadline:
            break
    return count


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(fd)


def _loopback_up() -> None:
    from canet.netns.netlink import Netlink
    from canet.netns.plan import SetLink
    from canet.netns.rtnetlink import set_link

    with Netlink() as channel:
        channel.request([set_link(SetLink(namespace="", name="lo", index=1, up=True))])


def setting(name: str) -> str | None:
    """Return a sysctl of the machine, ``None`` where it does not exist."""
    try:
        return Path("/proc/sys", *name.split(".")).read_text().strip()
    except OSError:
        return None


def only_one_user() -> bool:
    """Say whether this process is in a user namespace with a single user id, as an ordinary user is."""
    return Path("/proc/self/uid_map").read_text().split()[2] == "1"


def _apparmor_remedy() -> str:
    return (
        "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or allow this Python by an AppArmor "
        "profile with 'userns,', or run as root"
    )


def refused(number: int) -> Unavailable:
    """Explain why the kernel refuses a user namespace, from the error and the settings of this machine."""
    reason = f"the kernel refuses a user namespace ({os.strerror(number)})"
    if setting("user.max_user_namespaces") == "0" or number == errno.ENOSPC:
        return Unavailable(
            f"{reason}: user.max_user_namespaces is {setting('user.max_user_namespaces')}",
            "as root: sysctl user.max_user_namespaces=10000, or run as root",
        )
    if setting("kernel.unprivileged_userns_clone") == "0":
        return Unavailable(
            f"{reason}: kernel.unprivileged_userns_clone is 0",
            "as root: sysctl kernel.unprivileged_userns_clone=1, or run as root",
        )
    if setting("kernel.apparmor_restrict_unprivileged_userns") == "1":
        return Unavailable(f"{reason}: kernel.apparmor_restrict_unprivileged_userns is 1", _apparmor_remedy())
    if _seccomp_filtered():
        return Unavailable(
            f"{reason}: a seccomp filter is active, as in a container",
            "start the container with --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt seccomp=unconfined "
            "(podman and docker), or run on the host",
        )
    return Unavailable(reason, "run as root, or ask which security module forbids user namespaces here")


def _seccomp_filtered() -> bool:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    return any(line.split() == ["Seccomp:", "2"] for line in status.splitlines())
