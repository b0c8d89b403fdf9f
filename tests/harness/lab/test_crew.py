"""When a server counts as having bound its sockets, by what the kernel's tables say, and what is looked at for it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from canet.harness.lab.crew import Crew, Running
from canet.harness.participants.sockets import LISTENING, Socket


class Host:
    """A host whose tables are set by hand, and that counts how often each is read."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Socket]] = {"udp": [], "tcp": []}
        self.read: list[str] = []

    def call(self, _table: object, proto: str) -> list[Socket]:
        """Be the table of this host."""
        self.read.append(proto)
        return self.tables[proto]


class Served:
    """A server in this process, which has one UDP socket and one listener, and the tables of its host."""

    def __init__(self) -> None:
        self.udp, self.tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
        self.host = Host()
        self.stream = SimpleNamespace(text="", reports=[])
        self.recipe = SimpleNamespace(implementation="command", reports=False, ready=None)
        server: Any = SimpleNamespace(name="ioc", host="h", env={})
        process: Any = SimpleNamespace(pid=os.getpid())
        parts: dict[str, Any] = {"recipe": self.recipe, "host": self.host, "stream": self.stream}
        self.running = Running(server=server, process=process, **parts)

    def bind(self, proto: str, state: int = 7, queued: int = 0) -> None:
        """Let a socket of this process appear in a table."""
        inode = os.fstat((self.udp if proto == "udp" else self.tcp).fileno()).st_ino
        self.host.tables[proto] = [Socket(proto, "0.0.0.0", 5064, state, queued, inode, 0)]  # type: ignore[arg-type]

    def look(self) -> Running:
        """Look at it as the lab does while it starts."""
        crew = Crew(None, (), "asyncio", None, lambda *_: None)  # type: ignore[arg-type]  # neither is needed to look
        crew._look(self.running)
        return self.running


@pytest.fixture
def served() -> Iterator[Served]:
    """Return a server that has bound nothing yet."""
    server = Served()
    with server.udp, server.tcp:
        yield server


def test_both_sockets_are_seen_twice(served: Served) -> None:
    """A search socket alone is not enough, and the first look that shows both is not the last."""
    served.bind("udp")
    assert not served.look().bound
    assert not served.look().bound
    served.bind("tcp", LISTENING)
    assert not served.look().bound
    assert served.look().ready
    assert (served.running.udp, served.running.tcp) == (("0.0.0.0:5064",), ("0.0.0.0:5064",))


def test_tcp_is_not_read_before_a_search_socket_has_come(served: Served) -> None:
    """The kernel takes long to tell of it; a listener that came first is seen with the search socket."""
    served.bind("tcp", LISTENING)
    served.look()
    served.look()
    assert served.host.read == ["udp", "udp"]
    served.bind("udp")
    served.look()
    assert served.look().ready


def test_search_sockets_of_others_are_not_its_own(served: Served) -> None:
    """Servers of one host share a port: whose a new socket is is looked up, once."""
    served.host.tables["udp"] = [Socket("udp", "0.0.0.0", 5064, 7, 0, 1, 0)]
    served.look()
    served.look()
    assert not served.running.held.udp
    assert served.host.read == ["udp", "tcp", "udp"]


def test_what_says_that_it_is_ready_is_asked_what_it_has(served: Served) -> None:
    """A server without a search socket has listeners all the same."""
    served.recipe.ready = "^up$"
    served.bind("tcp", LISTENING)
    assert not served.look().ready
    served.stream.text = "up\n"
    assert served.look().ready
    assert served.running.tcp == ("0.0.0.0:5064",)
