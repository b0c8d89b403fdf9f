"""A firewall and its snapshot decide alike, shown by real packets: what arrives where, and what is refused."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest

from canet.harness.site.snapshot_network import read_machine
from canet.harness.site.snapshot_rules import Found, read_rules
from canet.netns import HostNamespace, Network, enter
from canet.netns.change import SetRules
from canet.netns.topology import Rule
from canet.scenarios.document import RuleTable
from canet.scenarios.network import rule as scenario_rule
from tests.harness.site.rulesets import NFT, NOTHING, TOPOLOGY, UFW, load, needs, some

PORTS = (5064, 5065, 5066, 5067, 7000)
SOURCES = ("10.1.0.1", "10.1.0.9", "10.9.0.1")
SECONDS = 10.0
Asked = tuple[socket.socket, tuple[str, str, int]]
"""A socket, and from where to where it sends."""
Seen = set[tuple[Any, ...]]


@pytest.fixture(autouse=True)
def _one_processor() -> Iterator[None]:
    """Keep order: only on one processor is what is sent first also delivered first, and a sentinel proof."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(allowed)[os.getpid() % len(allowed)]})
    yield
    os.sched_setaffinity(0, allowed)


@pytest.fixture
def net() -> Iterator[Network]:
    """Client, firewall, and a machine behind it."""
    needs("nft")
    enter()
    with Network(TOPOLOGY) as network:
        yield network


def rules_of(found: Found) -> tuple[Rule, ...]:
    """Return the rules of a snapshot as a site file's reader makes them."""
    return tuple(scenario_rule("rules", msgspec.convert(each, RuleTable)) for each in found[0])


def _listeners(place: HostNamespace, stack: contextlib.ExitStack) -> list[socket.socket]:
    found = []
    for kind, port in product((socket.SOCK_DGRAM, socket.SOCK_STREAM), (22, *PORTS)):
        one = stack.enter_context(place.socket(kind=kind))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("", port))
        if kind == socket.SOCK_STREAM:
            one.listen(50)
        one.setblocking(False)
        found.append(one)
    return found


def _arrivals(name: str, listeners: list[socket.socket]) -> Iterator[tuple[Any, ...]]:
    for one in listeners:
        port = one.getsockname()[1]
        with contextlib.suppress(BlockingIOError):
            while port != 22:
                if one.type == socket.SOCK_DGRAM:
                    data, (source, _) = one.recvfrom(100)
                    yield name, "udp", port, source, data.decode()
                else:
                    taken, (source, _) = one.accept()
                    taken.close()
                    yield name, "tcp", port, source


def _send(place: HostNamespace, sources: tuple[str, ...], to: str, stack: contextlib.ExitStack) -> list[Asked]:
    """Send a datagram and ask for a connection from each source to each port; wait for none."""
    found = []
    for kind, source, port in product((socket.SOCK_DGRAM, socket.SOCK_STREAM), sources, PORTS):
        one = stack.enter_context(place.socket(kind=kind))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        one.setblocking(False)
        one.bind((source, 0))
        if kind == socket.SOCK_DGRAM:
            one.connect((to, port))
            one.send(f"{source}>{to}:{port}".encode())
        elif to.endswith(".255"):
            continue
        else:
            assert one.connect_ex((to, port)) == errno.EINPROGRESS
        found.append((one, (source, to, port)))
    return found


def _answers(asked: list[Asked]) -> Iterator[tuple[Any, ...]]:
    """Yield which were refused, and which connections came about."""
    for one, words in asked:
        if error := one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            assert error in (errno.ECONNREFUSED, errno.EHOSTUNREACH), os.strerror(error)
            yield "refused", one.type.name, *words
        elif one.type == socket.SOCK_STREAM:
            with contextlib.suppress(OSError):
                one.getpeername()
                yield "connected", *words


def _wait(place: HostNamespace, source: str, to: str) -> None:
    """Connect to port 22: what was sent before has arrived by then, and what it causes has come back."""
    with place.socket(kind=socket.SOCK_STREAM) as sentinel:
        sentinel.settimeout(SECONDS)
        sentinel.bind((source, 0))
        sentinel.connect((to, 22))


def traffic(net: Network) -> Seen:
    """Send from all sides; return what arrived, and what was answered."""
    client, server, container = net["client"], net["server"], net["container"]
    seen: Seen = set()
    with contextlib.ExitStack() as stack:
        listeners = {each.name: _listeners(each, stack) for each in (client, server, container)}
        for to in ("10.1.0.2", "10.255.255.255"):
            asked = _send(client, SOURCES, to, stack)
            _wait(client, SOURCES[0], "10.1.0.2")
            seen |= set(_answers(asked))
        asked = _send(server, ("10.1.0.2",), "10.1.0.1", stack)
        asked += _send(server, ("10.1.0.2",), "10.1.0.2", stack)
        _wait(server, "10.1.0.2", "10.1.0.1")
        seen |= set(_answers(asked))
        for name, each in listeners.items():
            seen |= set(_arrivals(name, each))
    return seen


def both_ways(net: Network, program: str, ruleset: str) -> tuple[Seen, Seen, Found]:
    """Return what a ruleset lets through, what its snapshot does, and the snapshot."""
    server = net["server"]
    net.change(SetRules(host="server"))
    server.call(load, program, ruleset)
    real = traffic(net)
    found = server.call(lambda: read_rules(read_machine("server").cards))
    server.call(load, program, NOTHING[program])
    net.change(SetRules(host="server", rules=rules_of(found), policies=tuple(found[1].items())))  # type: ignore[arg-type]
    return real, traffic(net), found


@pytest.mark.parametrize("name", NFT)
def test_a_real_firewall_and_its_snapshot_decide_alike(net: Network, name: str) -> None:
    """The same packets pass, are dropped and are refused, and arrive with the same addresses."""
    real, copied, _ = both_ways(net, "nft", NFT[name])

    assert copied == real
    assert real


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_a_firewall_of_iptables_and_its_snapshot_decide_alike(net: Network, kind: str) -> None:
    """What nft does not tell of the rules of either iptables is read from iptables itself."""
    needs(f"iptables-{kind}-restore", f"iptables-{kind}-save")
    if kind == "legacy" and not Path("/proc/net/ip_tables_names").exists():
        pytest.skip("this kernel has no ip_tables")
    real, copied, found = both_ways(net, f"iptables-{kind}-restore", UFW)

    assert copied == real
    assert [each for each in found[2] if "rejects with tcp reset" not in each] == []
    assert ("server", "udp", 5064, "10.1.0.9", "10.1.0.9>10.255.255.255:5064") in real


@pytest.mark.parametrize("seed", [*range(30), 138, 304])
def test_firewalls_at_random_and_their_snapshots_decide_alike(net: Network, seed: int) -> None:
    """Jumps, returns, verdict maps, sets and several base chains: nothing is left out, and nothing differs."""
    text = some(seed)
    real, copied, found = both_ways(net, "nft", text)

    assert [each for each in found[2] if "rejects with" not in each] == [], text
    assert copied == real, text
