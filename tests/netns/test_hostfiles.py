"""A host's own view of the file system, where mounts are restricted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONTAINER = """
import ctypes, os, sys
sys.path[:] = {path!r}
from canet.netns import enter
from canet.netns.hostfiles import prepare, put
from canet.netns.syscalls import *
unshare(CLONE_NEWNS)
mount("none", "/", None, MS_REC | MS_PRIVATE)
mount("/dev/null", "/proc/timer_list", None, MS_BIND)  # as containers mask parts of /proc
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
enter()
unshare(CLONE_NEWPID | CLONE_NEWNS)
if os.fork() == 0:
    for note in prepare({{"/etc/hosts": "first"}}):
        print(note)
    print(open("/etc/hosts").read())
    put("/etc/hosts", "second")
    print(open("/etc/hosts").read(), flush=True)
    os._exit(0)
os.wait()
"""


def test_without_a_proc_of_its_own_a_host_still_has_its_files(real_root: None) -> None:
    """In a container an ordinary user gets no new /proc: it is said, and everything else works."""
    code = CONTAINER.format(path=[str(Path(__file__).parents[2]), *sys.path])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    reason = "/proc shows the processes of the machine: a new one cannot be mounted (Operation not permitted)"

    assert run.stderr == ""
    assert run.stdout.splitlines() == [reason, "first", "second"]
