"""Where groups live: calls go to the loop's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from canet.server.ioc.host import Host


class Loop:
    """Stands for a backend: keeps what other threads ask for."""

    def __init__(self) -> None:
        self.asked: list[Callable[..., object]] = []

    def from_thread(self, function: Callable[..., object], *_args: Any) -> None:
        """Keep it."""
        self.asked.append(function)


def test_calls_are_made_at_once_or_soon() -> None:
    """At once before a loop runs and in its thread, soon from any other thread."""
    host, loop = Host(), Loop()
    made: list[str] = []
    host.call(made.append, "before")
    host.started(loop)  # type: ignore[arg-type]  # as much of a backend as is needed
    host.call(made.append, "inside")
    thread = threading.Thread(target=host.call, args=(made.append, "outside"))
    thread.start()
    thread.join()

    assert made == ["before", "inside"]
    (function,) = loop.asked
    function()
    host.stopped()
    host.call(made.append, "after")
    assert made == ["before", "inside", "outside", "after"]


def test_io_is_there_while_a_loop_runs() -> None:
    """And says so otherwise."""
    host, loop = Host(), Loop()
    host.started(loop)  # type: ignore[arg-type]  # as above
    assert host.io is loop  # type: ignore[comparison-overlap]
    host.stopped()
    with pytest.raises(RuntimeError, match="when the IOC runs"):
        _ = host.io
