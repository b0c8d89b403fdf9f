"""Threads that live in namespaces."""

from __future__ import annotations

import os
import threading

import pytest

from canet.netns.namespace import Thread, new_namespace


def test_a_thread_runs_jobs_in_order_and_hands_back_errors() -> None:
    """Values and errors come to whoever called."""
    thread = Thread("worker")
    done: list[int] = []

    def fail() -> None:
        raise KeyError("gone")

    for number in range(3):
        thread.call(done.append, number)
    with pytest.raises(KeyError, match="gone"):
        thread.call(fail)
    assert thread.call(lambda: threading.current_thread().name) == "worker"
    thread.close()

    assert done == [0, 1, 2]


def test_a_job_may_call_its_own_thread() -> None:
    """A call from inside runs at once instead of waiting for itself."""
    thread = Thread("worker")

    assert thread.call(lambda: thread.call(lambda: 5)) == 5
    thread.close()


def test_a_thread_enters_its_namespace(network: object) -> None:
    """The thread's network differs from ours, and ours stays."""
    ours = os.readlink("/proc/thread-self/ns/net")  # noqa: PTH115 - a name, not a path
    maker = Thread("maker")
    fd = maker.call(new_namespace)
    thread = Thread("guest", fd)
    theirs = thread.call(os.readlink, "/proc/thread-self/ns/net")

    assert theirs == os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115
    assert os.readlink("/proc/thread-self/ns/net") == ours != theirs  # noqa: PTH115
    for each in (maker, thread):
        each.close()
    os.close(fd)
