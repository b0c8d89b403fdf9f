"""Nothing remains: neither after a network is closed, nor after its controlling process was killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from canet.netns import Network
from tests.netns.lan import PORT, SECONDS, lan, listener, next_datagram, sender

CONTROLLER = """
import json, os, sys, time
sys.path[:] = {path!r}
from canet.netns import Network, enter
from tests.netns.lan import lan
enter()
net = Network(lan())
reader, writer = os.pipe()
one = net["client"].spawn(argv=["sleep", "600"])
net["server"].spawn(target="tests.netns.guests:daemon", args=[5], fds={{5: writer}})
os.read(reader, 2)
net.wire.socket()
net["client"].call(os.getpid)
print(json.dumps([one.pid, net["server"].processes.pid, net["client"].processes.pid]), flush=True)
time.sleep(600)
"""


def namespaces(pid: int) -> set[str]:
    """Return the names of a process's namespaces that are not ours."""
    ours = {link.readlink().name for link in Path("/proc/self/ns").iterdir()}
    return {link.readlink().name for link in Path(f"/proc/{pid}/ns").iterdir()} - ours


def holders(wanted: set[str]) -> Iterator[str]:
    """Yield the processes that are in one of these namespaces or have it open."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            for link in [*(process / "ns").iterdir(), *(process / "fd").iterdir()]:
                if os.readlink(link) in wanted:  # noqa: PTH115 - a name such as net:[1], not a path
                    yield process.name
        except OSError:
            continue  # it ended, or is not ours to look at


def test_a_killed_controller_leaves_nothing(tmp_path: Path) -> None:
    """After SIGKILL no process, namespace, interface or file remains; a daemon on a host is gone, too."""
    interfaces, environment = socket.if_nameindex(), {**os.environ, "TMPDIR": str(tmp_path)}
    code = CONTROLLER.format(path=[str(Path(__file__).parents[2]), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    ) as controller:
        assert controller.stdout is not None
        pids = json.loads(controller.stdout.readline())
        wanted = set().union(*map(namespaces, pids))
        assert {each.partition(":")[0] for each in wanted} >= {"net", "pid", "mnt", "uts"}
        assert set(holders(wanted))
        controller.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + SECONDS
    while (left := set(holders(wanted))) and time.monotonic() < deadline:
        pass

    assert left == set()
    assert socket.if_nameindex() == interfaces
    assert list(tmp_path.iterdir()) == []


FORGOTTEN = """
import sys
sys.path[:] = {path!r}
from canet.netns import Network, enter
from tests.netns.lan import lan
enter()
def hold():
    with Network(lan()) as net:
        try:
            yield net
        finally:
            try:
                net["client"].call(print, "never")
            except Exception as error:
                print(type(error).__name__, flush=True)
held = hold()
net = next(held)
net["client"].call(int)
print(net["server"].spawn(argv=["sleep", "600"]).pid, flush=True)
"""


def test_a_network_forgotten_until_exit_keeps_nobody_waiting() -> None:
    """A generator that the interpreter collects as its last act can close its network, and its processes end."""
    code = FORGOTTEN.format(path=[str(Path(__file__).parents[2]), *sys.path])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert run.stderr == ""
    assert run.returncode == 0
    pid, word = run.stdout.split()
    assert word == "NetworkError"
    deadline = time.monotonic() + SECONDS
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        pass
    assert not Path(f"/proc/{pid}").exists()


def test_networks_side_by_side_do_not_meet() -> None:
    """Several processes have networks with the same names and addresses at the same time."""
    code = """
import sys
sys.path[:] = {path!r}
from canet.netns import Network, enter
from tests.netns.lan import PORT, lan, listener, next_datagram, sender
enter()
for number in range(3):
    with Network(lan()) as net, listener(net["server"]) as server, sender(net["client"]) as client:
        client.sendto(b"{name}", ("10.1.0.255", PORT))
        client.sendto(b"end", ("10.1.0.255", PORT))
        assert next_datagram(server) == b"{name}"
        assert next_datagram(server) == b"end"
        assert net["client"].spawn(argv=["true"]).wait(10) == 0
"""
    path = [str(Path(__file__).parents[2]), *sys.path]
    labs = [subprocess.Popen([sys.executable, "-c", code.format(path=path, name=name)]) for name in "abcd"]

    assert [lab.wait(60) for lab in labs] == [0] * 4


def test_two_networks_in_one_process() -> None:
    """Networks with the same addresses exist next to each other, and close in any order."""
    one, two = Network(lan()), Network(lan())
    with listener(one["server"]) as first, listener(two["server"]) as second:
        for net, text in ((two, b"two"), (one, b"one")):
            with sender(net["client"]) as client:
                client.sendto(text, ("10.1.0.255", PORT))

        assert (next_datagram(first), next_datagram(second)) == (b"one", b"two")
    one.close()
    with listener(two["server"]) as server, sender(two["client"]) as client:
        client.sendto(b"still", ("10.1.0.2", PORT))

        assert next_datagram(server) == b"still"
    two.close()
