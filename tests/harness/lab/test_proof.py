"""What proves that nothing more can come: sentinels on every cable, empty queues, and sleeping threads."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from canet.harness.lab.barrier import Barrier
from canet.harness.lab.idle import activity
from canet.harness.lab.outputs import Outputs
from canet.harness.participants import sockets
from canet.netns import Network
from canet.netns.change import Cut, Impair, LinkDown, LinkUp
from canet.netns.topology import Address, Host, Impairment, Interface, Port, Segment, Topology
from tests.harness.places import LAN, need_namespaces

ROUTED = Topology(
    hosts=(
        Host(name="a", interfaces=(Interface(name="eth0", segment="one", addresses=(Address.parse("10.1.0.1/24"),)),)),
        Host(
            name="router",
            interfaces=(
                Interface(name="eth0", segment="one", addresses=(Address.parse("10.1.0.9/24"),)),
                Interface(name="eth1", segment="two", addresses=(Address.parse("10.2.0.9/24"),)),
            ),
            sysctls=(("net.ipv4.ip_forward", "1"),),
        ),
        Host(name="b", interfaces=(Interface(name="eth0", segment="two", addresses=(Address.parse("10.2.0.1/24"),)),)),
    ),
    segments=(Segment(name="one"), Segment(name="two")),
)


class TestBarrier:
    """Sentinel frames arrive after all that was sent before them."""

    @pytest.fixture(autouse=True)
    def _namespaces(self) -> None:
        need_namespaces()

    def test_what_was_sent_before_has_arrived(self) -> None:
        """A thousand datagrams from a thread of their own are all there after the barrier, none later."""
        with Network(LAN) as network, Barrier(network, LAN, ["client", "ioc"]) as barrier:
            receiver = network["ioc"].socket(socket.AF_INET, socket.SOCK_DGRAM)
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            receiver.setblocking(False)
            receiver.bind(("", 5064))
            sender = network["client"].socket(socket.AF_INET, socket.SOCK_DGRAM)
            with receiver, sender:
                sender.connect(("10.1.0.2", 5064))
                for _ in range(20):
                    thread = threading.Thread(target=lambda: [sender.send(b"x") for _ in range(50)])
                    thread.start()
                    thread.join()
                    barrier.wait()
                    assert len([receiver.recv(9) for _ in range(50)]) == 50

    def test_routers_make_paths_longer(self) -> None:
        """The barrier passes as often as a path has cables; routers take part though nobody named them."""
        with Network(ROUTED) as network, Barrier(network, ROUTED, ["a", "b"]) as barrier:
            assert barrier.cables == 2
            barrier.wait()
            assert barrier.cut == frozenset()

    def test_a_cut_cable_is_left_out(self) -> None:
        """Where nothing passes the sentinels do not either; the pair is forgotten until the network changes."""
        with Network(LAN) as network, Barrier(network, LAN, ["client", "ioc"]) as barrier:
            network.change(Cut(host="ioc", interface="eth0", direction="in"))
            barrier.wait()
            assert barrier.cut == {("client", "ioc")}
            network.change(LinkDown(host="ioc", interface="eth0"))
            barrier.wait()
            network.change(LinkUp(host="ioc", interface="eth0"))
            barrier.forget_cuts()
            assert barrier.cut == frozenset()

    def test_a_cable_that_loses_frames_is_not_cut(self) -> None:
        """Sentinels that get lost are sent again."""
        with Network(LAN) as network, Barrier(network, LAN, ["client", "ioc"]) as barrier:
            network.change(
                Impair(host="ioc", interface="eth0", impairment=Impairment(direction="in", loss=0.5, seed=1))
            )
            for _ in range(10):
                barrier.wait()
            assert barrier.cut == frozenset()

    def test_isolated_ports_do_not_wait_for_each_other(self) -> None:
        """Two isolated ports exchange nothing, and nothing is expected of them."""
        client, ioc = LAN.hosts

        def isolated(host: Host) -> Host:
            return replace(host, interfaces=tuple(replace(each, port=Port(isolated=True)) for each in host.interfaces))

        apart = replace(LAN, hosts=(isolated(client), isolated(ioc)))
        with Network(apart) as network, Barrier(network, apart, ["client", "ioc"]) as barrier:
            barrier.wait()
            assert barrier.cut == frozenset()


def test_a_working_process_is_not_idle() -> None:
    """A busy thread shows; a sleeping one has the same counters in two looks; one that has ended is idle."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    asleep = subprocess.Popen([sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"], stdout=-1)
    try:
        assert asleep.stdout is not None
        asleep.stdout.readline()
        while (before := activity([asleep.pid])) is None:
            pass  # it has not reached its sleep yet
        assert activity([asleep.pid]) == before
        seen = {activity([busy.pid, asleep.pid]) is None for _ in range(50)}
        assert True in seen
    finally:
        for each in (busy, asleep):
            each.kill()
            each.wait()
        if asleep.stdout is not None:
            asleep.stdout.close()
    assert activity([busy.pid]) == {}


def test_sockets_of_a_process_are_found_by_inode() -> None:
    """A UDP socket and a listener of ours are found, with what waits in the queue, and how the port is shared."""
    with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.create_server(("127.0.0.1", 0)) as tcp:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        udp.bind(("127.0.0.1", 0))
        udp.sendto(b"to myself", udp.getsockname())
        held = sockets.inodes(sockets.family(os.getpid()))
        bound = sockets.bound_by(held, [*sockets.table("udp"), *sockets.table("tcp")])
        port = udp.getsockname()[1]
        mine = next(each for each in bound.udp if each.port == port)
        assert mine.queued > 0
        assert f"127.0.0.1:{tcp.getsockname()[1]}" in bound.tcp_names
        assert sockets.reuse(os.getpid(), frozenset({port})) == "SO_REUSEPORT"


def test_output_and_reports_are_told_apart() -> None:
    """Lines of people and reports come through one pipe, in any cut; the end of the pipe is seen."""
    outputs = Outputs()
    stream, write = outputs.open("a")
    other, closed = outputs.open("b")
    os.close(closed)
    for piece in (b'hello\n{"event": "re', b'ady"}\n{"event" no json\n', b"half"):
        os.write(write, piece)
    assert outputs.wait(lambda: stream.text.endswith("half"), deadline=float("inf"))
    assert stream.reports == [{"event": "ready"}]
    assert stream.text == 'hello\n{"event" no json\nhalf'
    assert stream.last(1) == "half"
    os.close(write)
    assert outputs.wait(lambda: stream.closed and other.closed, deadline=float("inf"))
    outputs.pull()
    outputs.close()
