"""Processes on hosts, as the controlling process sees them: the launcher, each host's init, and participants."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from canet.netns import channel
from canet.netns.errors import NetworkError, SpawnError
from canet.netns.hostinit import STATUS
from canet.netns.namespace import Thread
from canet.netns.syscalls import CLONE_NEWPID, unshare
from canet.netns.topology import Host

_START_SECONDS = 30.0
_GONE_SECONDS = 5.0


class Launcher:
    """The process that forks inits; see :mod:`canet.netns.launcher`. One serves all networks of this process."""

    def __init__(self) -> None:
        ours, theirs = channel.pair()
        self.owner = os.getpid()
        self._channel = ours
        self._lock = threading.Lock()
        self._loaded: set[str] = set()
        parent = os.pidfd_open(self.owner)
        # unshare(CLONE_NEWPID) concerns the children of the calling thread, hence a thread that ends afterwards.
        starter = Thread("canet-starter")
        try:
            self._process = starter.call(self._start, theirs.fileno(), parent)
        except OSError as error:
            if error.filename is None:
                remedy = "call canet.netns.enter() first, or run as root"
            else:
                remedy = f"this user must be able to execute {error.filename}"
            raise SpawnError(f"the launcher of host processes cannot start: {error.strerror}; {remedy}") from error
        finally:
            starter.close()
            theirs.close()
            os.close(parent)

    @staticmethod
    def _start(control: int, parent: int) -> subprocess.Popen[bytes]:
        unshare(CLONE_NEWPID)
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; from canet.netns.launcher import main; main({control}, {parent})"
        )
        return subprocess.Popen([sys.executable, "-c", code], pass_fds=(control, parent), stdin=subprocess.DEVNULL)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def alive(self) -> bool:
        """Say whether it can be asked."""
        return self._process.poll() is None

    def preload(self, modules: Sequence[str]) -> None:
        """Make it import modules, in the background; hosts that start later have them."""
        fresh = [name for name in modules if name not in self._loaded]
        if not fresh:
            return
        with self._lock:
            self._loaded.update(fresh)
            self._settle()
            channel.send(self._channel, {"preload": fresh, "path": [each or os.getcwd() for each in sys.path]})  # noqa: PTH109
            self._awaited = fresh

    _awaited: Sequence[str] = ()

    def _settle(self) -> None:
        """Take the answer to a preload that was not waited for."""
        if not self._awaited:
            return
        self._awaited = ()
        failed = self._answer()[0]["failed"]
        if failed:
            self._loaded.difference_update(failed)
            name, text = next(iter(failed.items()))
            raise SpawnError(f"the launcher cannot import {name}:\n{text}")

    def _answer(self) -> tuple[dict[str, Any], list[int]]:
        self._channel.settimeout(_START_SECONDS)
        answer = channel.receive(self._channel)
        if answer is None:
            raise SpawnError("the launcher of host processes has ended; was it killed?")
        return answer

    def start_host(self, host: Host, control: int, namespace: int) -> int:
        """Start the init of a host with its end of a channel and its network; return its pidfd."""
        request = {
            "name": host.name,
            "hostname": host.hostname or host.name,
            "files": host.files,
            "private_tmp": host.private_tmp,
        }
        with self._lock:
            self._settle()
            channel.send(self._channel, request, [control, namespace])
            answer, fds = self._answer()
        if not fds:
            raise SpawnError(f"host {host.name}: its init cannot start: {answer['error']}")
        return fds[0]

    def close(self) -> None:
        """Kill it, and with it every process of every host; a fork of the controlling process leaves it alone."""
        if self.owner != os.getpid():
            return
        self._process.kill()
        self._process.wait()
        self._channel.close()


_launchers: list[Launcher] = []
"""The last one serves; those before it were killed, or belong to the process that this one is a fork of."""
_launcher_lock = threading.Lock()


def launcher(preload: Sequence[str] = ()) -> Launcher:
    """Return this process's launcher, started when first needed, and let it import ``preload``."""
    with _launcher_lock:
        if not _launchers or _launchers[-1].owner != os.getpid() or not _launchers[-1].alive():
            _launchers.append(Launcher())
            atexit.register(_launchers[-1].close)
        _launchers[-1].preload(preload)
        return _launchers[-1]


def base_environment() -> dict[str, str]:
    """Return the environment that every participant starts from: enough to run, nothing that changes EPICS."""
    kept = {key: value for key, value in os.environ.items() if key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    for key in ("LD_LIBRARY_PATH", "TMPDIR"):
        if key in os.environ:
            kept[key] = os.environ[key]
    directory = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    if directory not in path.split(os.pathsep):
        path = f"{directory}{os.pathsep}{path}"
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8", **kept}


class HostProcesses:
    """The init of one host; see :mod:`canet.netns.hostinit`."""

    def __init__(self, starter: Launcher, host: Host, namespace: int) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._processes: list[Process] = []
        ours, theirs = channel.pair()
        try:
            self._pidfd = starter.start_host(host, theirs.fileno(), namespace)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel = ours
        self._channel.settimeout(_START_SECONDS)
        self.pid = pid_of(self._pidfd)
        try:
            self.notes: tuple[str, ...] = tuple(self._answer()[0]["notes"])
        except BaseException:
            self.kill()
            self.close()
            raise
        """What this host lacks (``/proc`` of its own), in sentences."""

    def _answer(self) -> tuple[dict[str, Any], list[int]]:
        try:
            answer = channel.receive(self._channel)
        except TimeoutError:
            answer = None
        if answer is None:
            raise SpawnError(f"host {self._host.name}: its init has ended; was it killed?")
        if "error" in answer[0]:
            raise SpawnError(f"host {self._host.name}: {answer[0]['error']}")
        return answer

    def spawn(
        self,
        *,
        argv: Sequence[str | Path] | None,
        target: str | None,
        args: Sequence[object],
        env: Mapping[str, str] | None,
        cwd: str | Path | None,
        uid: int | None,
        output: Path | int | None,
        stdin: int | None,
        fds: Mapping[int, int],
    ) -> Process:
        """Start a process; see :meth:`canet.netns.network.HostNamespace.spawn`."""
        if (argv is None) == (target is None) or argv == []:
            raise SpawnError(f"host {self._host.name}: give either argv or target")
        if uid is not None:
            _check_uid(self._host.name, uid)
        command = [str(word) for word in argv or ()]
        request = {
            "argv": command,
            "target": target,
            "args": list(args),
            "env": {**base_environment(), **(env or {})},
            "cwd": str(cwd or "/"),
            "uid": uid,
            "numbers": [0, 1, 2, *fds],
        }
        with contextlib.ExitStack() as stack:
            kept = _output(output, stack)
            if stdin is None:
                stdin = os.open(os.devnull, os.O_RDONLY)
                stack.callback(os.close, stdin)
            status, status_end = os.pipe2(os.O_CLOEXEC)
            stack.callback(os.close, status_end)
            try:
                with self._lock:
                    channel.send(self._channel, request, [status_end, stdin, kept, kept, *fds.values()])
                    answer, (pidfd,) = self._answer()
            except BaseException as error:
                os.close(status)
                if isinstance(error, BrokenPipeError):
                    raise SpawnError(f"host {self._host.name}: its init has ended; was it killed?") from error
                raise
            log = os.dup(kept) if output is None else None
            name = target or command[0]
            process = Process(name, self._host.name, pidfd, status, log, output, answer["pid"])
        self._processes.append(process)
        return process

    def set_file(self, path: str, text: str) -> None:
        """Change what this host sees at ``path``."""
        with self._lock:
            channel.send(self._channel, {"file": path, "text": text})
            self._answer()

    def kill(self) -> None:
        """Kill the host's init: the kernel kills every process of the host."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Wait until every process of the host is gone."""
        gone = _wait_readable(self._pidfd, _GONE_SECONDS)
        os.close(self._pidfd)
        self._channel.close()
        for process in self._processes:
            process.close()
        self._processes.clear()
        if not gone:
            raise NetworkError(f"host {self._host.name}: its processes do not end; is one stuck in the kernel?")


def _check_uid(host: str, uid: int) -> None:
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        inside, _outside, count = map(int, line.split())
        if inside <= uid < inside + count:
            return
    raise SpawnError(f"host {host}: uid {uid} does not exist in this user namespace; other users need root")


def _output(output: Path | int | None, stack: contextlib.ExitStack) -> int:
    """Return the descriptor that takes stdout and stderr."""
    if isinstance(output, int):
        return output
    if output is None:
        fd = os.memfd_create("canet-output", os.MFD_CLOEXEC)
    else:
        fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    stack.callback(os.close, fd)
    return fd


def pid_of(pidfd: int) -> int:
    """Return the process id that a pidfd stands for, as seen from here."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    raise ProcessLookupError("the descriptor is not a pidfd")


def _wait_readable(fd: int, timeout: float | None) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(None if timeout is None else max(0, timeout) * 1000))


class Process:
    """A process on a host. Ends with its host at the latest."""

    def __init__(
        self, name: str, host: str, pidfd: int, status: int, log: int | None, output: Path | int | None, inner: int
    ) -> None:
        self.name = name
        self.host = host
        self.pid = pid_of(pidfd)
        """Its id as this process sees it, for ``/proc`` and tools."""
        self.host_pid = inner
        """Its id inside the host."""
        self.returncode: int | None = None
        """Exit status, minus the signal that killed it, or ``None`` while it runs."""
        self._pidfd = pidfd
        self._status = status
        self._log = log
        self._output = output

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when the process ends; for ``select`` and friends."""
        return self._status

    def poll(self) -> int | None:
        """Return the exit status (minus the signal), or ``None`` while it runs."""
        if self.returncode is None and self._status >= 0 and _wait_readable(self._status, 0):
            data = os.read(self._status, STATUS.size)
            # Without a status the init was killed, and this process with it.
            self.returncode = STATUS.unpack(data)[0] if data else -signal.SIGKILL
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status.

        Raises:
            TimeoutError: with the end of its output, if it runs longer than ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"{self.name} on host {self.host} still runs after {timeout} s\n{self._tail()}")
            _wait_readable(self._status, left)
        assert self.returncode is not None
        return self.returncode

    def signal(self, number: int) -> None:
        """Send it a signal; nothing happens if it has ended."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """Kill it; ``wait`` then returns at once."""
        self.signal(signal.SIGKILL)

    def output_text(self) -> str:
        """Return what it has written to stdout and stderr so far.

        Raises:
            NetworkError: if ``output`` was a descriptor: whoever gave it reads it.
        """
        if isinstance(self._output, Path):
            return self._output.read_text(errors="replace")
        if self._output is not None:
            raise NetworkError(f"{self.name} on host {self.host} writes to a descriptor of yours: read it there")
        if self._log is None:
            return self._text
        return os.pread(self._log, os.fstat(self._log).st_size, 0).decode(errors="replace")

    _text = ""

    def _tail(self) -> str:
        return "" if isinstance(self._output, int) else self.output_text()[-2000:]

    def close(self) -> None:
        """Forget its descriptors; status and output stay readable. The host does this when it closes."""
        if self._pidfd < 0:
            return
        self.poll()
        if self._log is not None:
            self._text = self.output_text()
            os.close(self._log)
            self._log = None
        os.close(self._pidfd)
        os.close(self._status)
        self._pidfd = self._status = -1

    def __repr__(self) -> str:
        return f"<process {self.pid} {self.name} on {self.host}>"
