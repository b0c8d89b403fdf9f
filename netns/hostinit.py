"""The init of a host: PID 1 of its PID namespace, in its network, mount and UTS namespaces; forks participants.

It is a fork of the launcher, so what the launcher imported is there already and a participant starts in
milliseconds. It has one thread, reaps what ends, and reports each participant's status through a pipe of its own.
When its channel closes it exits, and the kernel kills all that is left in the host, daemons included.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import select
import shutil
import signal
import socket
import struct
import sys
import traceback
from pathlib import Path
from typing import Any

from canet.netns import channel, hostfiles
from canet.netns.syscalls import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUTS,
    print_by_lines,
    set_hostname,
    set_process_name,
    setns,
    unshare,
)

STATUS = struct.Struct("=i")
"""What a status pipe carries: the exit status, or minus the signal."""


def run_init(control: socket.socket, network_fd: int, request: dict[str, Any]) -> None:
    """Become the init of a host and serve until the channel closes. Does not return normally."""
    name = request["name"]
    set_process_name(f"canet:{name}")
    notes: list[str] = []
    try:
        setns(network_fd, CLONE_NEWNET)
        os.close(network_fd)
        unshare(CLONE_NEWNS | CLONE_NEWUTS)
        set_hostname(request["hostname"])
        notes = hostfiles.prepare(dict(request["files"]), private_tmp=request["private_tmp"])
    except OSError as error:
        channel.send(control, {"error": f"{error.strerror} ({error.filename})"})
        os._exit(1)
    channel.send(control, {"ready": True, "notes": notes})
    wakeup, wakeup_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakeup_end)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(wakeup, select.POLLIN)
    statuses: dict[int, int] = {}
    while True:
        ready = {fd for fd, _event in poll.poll()}
        if wakeup in ready:
            _drain(wakeup)
        _reap(statuses)
        if control.fileno() in ready:
            message = channel.receive(control)
            if message is None:
                os._exit(0)
            _serve(control, statuses, *message)


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        return


def _reap(statuses: dict[int, int]) -> None:
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            pipe = statuses.pop(pid, None)
            if pipe is not None:
                _report(pipe, os.waitstatus_to_exitcode(status))
    except ChildProcessError:
        return


def _report(pipe: int, status: int) -> None:
    with contextlib.suppress(OSError):  # nobody waits for it any more
        os.write(pipe, STATUS.pack(status))
    os.close(pipe)


def _serve(control: socket.socket, statuses: dict[int, int], request: dict[str, Any], fds: list[int]) -> None:
    """Do one request: start a process, or replace a file."""
    try:
        if "file" in request:
            hostfiles.put(request["file"], request["text"])
            channel.send(control, {"ready": True})
            return
        status, *rest = fds
        if request["argv"] and not _exists(request["argv"][0], request["env"].get("PATH", ""), request["cwd"]):
            raise FileNotFoundError(2, "no such command", request["argv"][0])
        if not Path(request["cwd"]).is_dir():
            raise FileNotFoundError(2, "no such working directory", request["cwd"])
        pid = os.fork()
        if pid == 0:
            _child(request, rest)
        pidfd = os.pidfd_open(pid)
        statuses[pid] = os.dup(status)
        channel.send(control, {"pid": pid}, [pidfd])
        os.close(pidfd)
    except OSError as error:
        channel.send(control, {"error": f"{error.strerror}: {error.filename or ''}"})
    finally:
        for fd in fds:
            os.close(fd)


def _exists(command: str, path: str, cwd: str) -> bool:
    if "/" in command:
        return os.access(Path(cwd, command), os.X_OK)
    return shutil.which(command, path=path) is not None


def _child(request: dict[str, Any], fds: list[int]) -> None:
    """Be the participant. Never returns."""
    code = 127
    try:
        signal.set_wakeup_fd(-1)
        _place_descriptors(request["numbers"], fds)
        os.setsid()
        _reset_signals()
        if request["uid"] is not None:
            os.setgroups([])
            os.setresgid(request["uid"], request["uid"], request["uid"])
            os.setresuid(request["uid"], request["uid"], request["uid"])
        os.chdir(request["cwd"])
        if request["argv"]:
            os.execvpe(request["argv"][0], request["argv"], request["env"])
        code = _run_target(request)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _reset_signals() -> None:
    """Handle all signals by default and block none: what ``nohup`` or ``&`` ignores stays with who was started so.

    Python does not know what C libraries ignore that the launcher has imported (libca: SIGALRM), so none is left out.
    """
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _place_descriptors(numbers: list[int], fds: list[int]) -> None:
    """Give each descriptor its number in the process, and close all others."""
    above = max([*numbers, *fds]) + 1
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, above) for fd in fds]
    for number, fd in zip(numbers, high, strict=True):
        os.dup2(fd, number, inheritable=True)
    last = -1
    for number in sorted(numbers):
        if number > last + 1:  # an empty range would close everything from there on
            os.closerange(last + 1, number)
        last = number
    os.closerange(last + 1, 1 << 20)


def _run_target(request: dict[str, Any]) -> int:
    """Call the function and turn its end into an exit status, as the interpreter would."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(request["env"])
    module, _, name = request["target"].partition(":")
    set_process_name(name)
    code = 0
    try:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - descriptors 0 to 2 live as long as the process
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        print_by_lines()
        result = getattr(importlib.import_module(module), name)(*request["args"])
        code = result if isinstance(result, int) else 0
    except SystemExit as leave:
        if leave.code is None or isinstance(leave.code, int):
            code = leave.code or 0
        else:
            sys.stderr.write(f"{leave.code}\n")
            code = 1
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code
