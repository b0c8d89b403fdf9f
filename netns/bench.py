"""How long networks take to build and to go, as ratios to the same work by ``ip -batch``.

``python -m canet.netns.bench`` prints medians in milliseconds. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

from canet.netns import Address, Host, Interface, Network, Route, Segment, Topology, enter
from canet.netns.namespace import Thread, new_namespace
from canet.netns.netlink import Netlink
from canet.netns.rtnetlink import port_states_request


def flat(count: int) -> Topology:
    """Return hosts on one segment."""
    return Topology(
        segments=(Segment(name="lan"),),
        hosts=tuple(_host(f"h{n}", "lan", f"10.1.{n >> 8}.{n & 255}/16") for n in range(1, count + 1)),
    )


def site(count: int, segments: int) -> Topology:
    """Return hosts on several segments with a router between them."""
    names = [f"s{number}" for number in range(segments)]
    router = Host(
        name="router",
        interfaces=tuple(
            Interface(name=f"eth{n}", segment=name, addresses=(Address.parse(f"10.{n}.0.254/24"),))
            for n, name in enumerate(names)
        ),
        sysctls=(("net.ipv4.ip_forward", "1"),),
    )
    hosts = tuple(
        _host(f"h{n}", names[n % segments], f"10.{n % segments}.0.{n // segments + 1}/24", f"10.{n % segments}.0.254")
        for n in range(count)
    )
    return Topology(segments=tuple(Segment(name=name) for name in names), hosts=(router, *hosts))


def _host(name: str, segment: str, address: str, gateway: str | None = None) -> Host:
    routes = (Route(to=IPv4Network("0.0.0.0/0"), via=IPv4Address(gateway)),) if gateway else ()
    interface = Interface(name="eth0", segment=segment, addresses=(Address.parse(address),))
    return Host(name=name, interfaces=(interface,), routes=routes)


def ours(topology: Topology) -> tuple[float, float]:
    """Build and close a network; return the seconds until it is up, and from then until the kernel has dropped it.

    The bridges' namespace is held a little longer, to see there that the hosts' cables are gone.
    """
    start = time.perf_counter()
    net = Network(topology)
    built = time.perf_counter()
    with net.wire.call(Netlink) as channel:
        closing = time.perf_counter()
        net.close()
        while channel.dump(port_states_request()):
            time.sleep(0.001)
        return built - start, time.perf_counter() - closing


def by_ip(ip: str, topology: Topology) -> float:
    """Build the same flat network by ``ip -batch``, one process for each namespace; return the seconds."""
    threads = [Thread("bench") for _ in range(len(topology.hosts) + 1)]
    start = time.perf_counter()
    namespaces = [thread.call(new_namespace) for thread in threads]
    lines = ["link add br0 type bridge mcast_snooping 0", "link set br0 up"]
    for number in range(len(topology.hosts)):
        far = f"/proc/{os.getpid()}/fd/{namespaces[number + 1]}"
        lines += [
            f"link add p{number} type veth peer name eth0 netns {far}",
            f"link set p{number} master br0",
            f"link set p{number} up",
        ]
    threads[0].call(_batch, ip, lines)
    for thread, host in zip(threads[1:], topology.hosts, strict=True):
        address = host.interfaces[0].addresses[0]
        thread.call(
            _batch, ip, ["link set lo up", f"addr add {address.ip}/{address.prefix} brd + dev eth0", "link set eth0 up"]
        )
    seconds = time.perf_counter() - start
    for fd in namespaces:
        os.close(fd)
    for thread in threads:
        thread.close()
    return seconds


def _batch(ip: str, lines: list[str]) -> None:
    subprocess.run([ip, "-batch", "-"], input="\n".join(lines), text=True, check=True)


def spawning() -> tuple[float, float]:
    """Return the seconds to start the first and the next process on a host."""
    with Network(flat(1)) as net:
        start = time.perf_counter()
        net["h1"].spawn(target="os:getpid").wait(10)
        first = time.perf_counter()
        net["h1"].spawn(target="os:getpid").wait(10)
        return first - start, time.perf_counter() - first


def _median(function: Callable[[], float], rounds: int) -> float:
    return statistics.median(function() for _ in range(rounds))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="measurements for each figure (default 15)")
    rounds = parser.parse_args().rounds
    enter()
    ip = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin")
    spawning()  # starts the launcher
    print(f"{'network':<34}{'build ms':>10}{'gone ms':>10}{'ip -batch ms':>14}{'ratio':>8}")
    for count in (2, 10, 50):
        topology = flat(count)
        pairs = [ours(topology) for _ in range(rounds)]
        build, close = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
        line = f"{f'{count} hosts, 1 segment':<34}{build:>10.1f}{close:>10.1f}"
        if ip is not None:
            reference = _median(lambda topology=topology: by_ip(ip, topology), rounds) * 1e3  # type: ignore[misc]
            line += f"{reference:>14.1f}{build / reference:>8.2f}"
        print(line, flush=True)
    pairs = [ours(site(200, 10)) for _ in range(max(1, rounds // 5))]
    build, close = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
    print(f"{'200 hosts, 10 segments, a router':<34}{build:>10.1f}{close:>10.1f}", flush=True)
    starts = [spawning() for _ in range(rounds)]
    first, following = (statistics.median(column) * 1e3 for column in zip(*starts, strict=True))
    print(f"start and end a function on a host: {first:.1f} ms the first, {following:.1f} ms each more")


if __name__ == "__main__":
    main()
