"""The launcher: one small process that has imported what hosts will need, and forks an init for each host.

It is PID 1 of a PID namespace of its own: when it dies, however that happens, the kernel kills everything that
descends from it. It ends when the controlling process does (its socket closes, or its pidfd says so).

Each host's init becomes PID 1 of a namespace below. ``unshare(CLONE_NEWPID)`` works only once, so after each fork
the launcher puts itself back with ``setns`` on its own PID namespace. No intermediate process is left.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
import traceback
from typing import Any

from canet.netns import channel
from canet.netns.hostinit import run_init
from canet.netns.syscalls import CLONE_NEWPID, set_process_name, setns, unshare


def main(control_fd: int, parent_fd: int) -> None:
    """Serve the controlling process on ``control_fd`` until it or ``parent_fd``, its pidfd, is gone."""
    set_process_name("canet-launcher")
    # The terminal's Ctrl-C is for the controlling process, which then closes its networks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=control_fd)
    own_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(parent_fd, select.POLLIN)
    while True:
        ready = {fd for fd, _event in poll.poll(1000)}
        _reap()
        if parent_fd in ready:
            os._exit(0)
        if control.fileno() not in ready:
            continue
        message = channel.receive(control)
        if message is None:
            os._exit(0)
        request, fds = message
        if "preload" in request:
            channel.send(control, {"failed": _preload(request["preload"], request["path"])})
        else:
            _start_host(control, parent_fd, own_namespace, request, fds)


def _reap() -> None:
    """Collect ended inits, and orphans that fell to us."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _preload(modules: list[str], path: list[str]) -> dict[str, str]:
    """Import modules; return what went wrong by module."""
    sys.path[:] = path
    failed = {}
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception:
            failed[name] = traceback.format_exc()
    gc.collect()
    gc.freeze()  # forks then share these pages for good
    return failed


def _start_host(
    control: socket.socket, parent_fd: int, own_namespace: int, request: dict[str, Any], fds: list[int]
) -> None:
    """Fork the init of a host; answer with a pidfd of it."""
    host_fd, network_fd = fds
    try:
        unshare(CLONE_NEWPID)
        try:
            pid = os.fork()
            if pid == 0:
                for fd in (control.detach(), parent_fd, own_namespace):
                    os.close(fd)
                run_init(socket.socket(fileno=host_fd), network_fd, request)
                os._exit(0)
        finally:
            setns(own_namespace, CLONE_NEWPID)
        pidfd = os.pidfd_open(pid)
        channel.send(control, {"pid": pid}, [pidfd])
        os.close(pidfd)
    except OSError as error:
        channel.send(control, {"error": f"{error.strerror} ({error.filename or 'fork'})"})
    finally:
        for fd in fds:
            os.close(fd)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
