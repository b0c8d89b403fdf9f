"""Anonymous network namespaces that are held by a descriptor, and threads that live in them.

Nothing has a name, so nothing clashes and nothing has to be cleaned up by name: the kernel drops a namespace with
its last descriptor, socket and process. ``/proc/self/ns/net`` shows the main thread's, hence ``thread-self``.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

from canet.netns.errors import NetworkError
from canet.netns.syscalls import CLONE_NEWNET, setns, unshare

P = ParamSpec("P")
T = TypeVar("T")


def new_namespace() -> int:
    """Move the calling thread into a new network namespace and return the descriptor that holds it.

    Only for threads that are made for this: the thread stays there.
    """
    unshare(CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class Thread:
    """A long-lived thread that runs functions one after the other, so that it can be in other namespaces.

    The thread is a daemon: a controlling process that ends does not wait for it. Python stops such threads before it
    collects what is left at exit, so from then on none of them does anything any more.
    """

    def __init__(self, name: str, namespace: int | None = None) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._namespace = namespace
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            job()
            del job  # its closure may hold sockets and descriptors

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in the thread and return what it returns, or raise what it raises.

        Raises:
            NetworkError: the thread was closed, or the interpreter is ending.
        """
        if threading.current_thread() is self._thread:
            return function(*args, **kwargs)
        if sys.is_finalizing():
            raise NetworkError(f"{self._thread.name} has stopped: the interpreter is ending; close the network before")
        future: Future[T] = Future()

        def job() -> None:
            try:
                if self._namespace is not None:
                    namespace, self._namespace = self._namespace, None
                    setns(namespace, CLONE_NEWNET)
                future.set_result(function(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        with self._lock:
            if self._closed:
                raise NetworkError(f"{self._thread.name} has ended: the network is closed")
            self._queue.put(job)
        return future.result()

    def close(self) -> None:
        """End the thread after what it has to do; wait for it unless it is the caller."""
        if sys.is_finalizing():
            return
        with self._lock:
            self._closed = True
            self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(5.0)  # a job that never ends must not keep the caller
