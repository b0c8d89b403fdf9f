"""The seam, on each of the three libraries."""

import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from canet.server import backends
from canet.server.io.seam import Backend
from tests.server.live import BACKENDS, TIMEOUT

T = TypeVar("T")
Run = Callable[[Callable[[Backend], Awaitable[T]]], T]


@pytest.fixture(params=BACKENDS)
def run(request: pytest.FixtureRequest) -> Run[object]:
    """Run a coroutine function on a backend, in a thread, as servers in tests are."""

    def run_it(main: Callable[[Backend], Awaitable[object]]) -> object:
        results: list[object] = []
        errors: list[BaseException] = []

        def thread() -> None:
            try:
                results.append(backends.backend(request.param).run(main))
            except BaseException as error:
                errors.append(error)

        worker = threading.Thread(target=thread)
        worker.start()
        worker.join(TIMEOUT)
        assert not worker.is_alive()
        if errors:
            raise errors[0]
        return results[0]

    return run_it


def test_result_and_error_of_main(run: Run[object]) -> None:
    """Run gives back what main returns or raises."""

    async def fine(seam: Backend) -> str:
        return seam.name

    async def wrong(seam: Backend) -> None:
        raise KeyError(seam.name)

    assert run(fine) in BACKENDS
    with pytest.raises((KeyError, ExceptionGroup)):
        run(wrong)


def test_events_and_tasks(run: Run[object]) -> None:
    """A task wakes another through an event, again and again."""

    async def main(seam: Backend) -> list[int]:
        seen: list[int] = []
        ping, pong = seam.event(), seam.event()

        async def answer() -> None:
            for number in range(3):
                await ping.wait()
                ping.clear()
                seen.append(number)
                pong.set()

        seam.spawn(answer)
        for _ in range(3):
            ping.set()
            await pong.wait()
            pong.clear()
        assert not ping.is_set()
        return seen

    assert run(main) == [0, 1, 2]


def test_queue_keeps_order(run: Run[object]) -> None:
    """Items come out as they went in, also before anybody waits."""

    async def main(seam: Backend) -> list[object]:
        queue = seam.queue()
        queue.put(1)
        queue.put(2)

        async def late() -> None:
            await seam.sleep(0)
            queue.put(3)

        seam.spawn(late)
        return [await queue.get() for _ in range(3)]

    assert run(main) == [1, 2, 3]


def test_threads(run: Run[object]) -> None:
    """A worker thread gives a result, and calls back into the loop."""

    async def main(seam: Backend) -> tuple[bool, str]:
        here = threading.get_ident()
        called = seam.event()
        names: list[int] = []

        def note() -> None:
            names.append(threading.get_ident())

        def work(word: str) -> str:
            seam.from_thread(note)
            seam.from_thread(called.set)
            assert threading.get_ident() != here
            return word

        word = await seam.run_in_thread(work, "done")
        await called.wait()
        return names == [here], word

    assert run(main) == (True, "done")


def test_soon_runs_after_the_present_callback(run: Run[object]) -> None:
    """What is wanted soon happens in the loop, in order."""

    async def main(seam: Backend) -> list[int]:
        seen: list[int] = []
        done = seam.event()
        seam.soon(lambda: seen.append(1))
        seam.soon(lambda: seen.append(2))
        seam.soon(done.set)
        seen.append(0)
        await done.wait()
        return seen

    assert run(main) == [0, 1, 2]


def test_task_that_raises_is_logged_and_alone(run: Run[object], caplog: pytest.LogCaptureFixture) -> None:
    """Others go on."""

    async def main(seam: Backend) -> bool:
        done = seam.event()

        async def broken() -> None:
            raise RuntimeError("boom")

        async def fine() -> None:
            done.set()

        seam.spawn(broken)
        seam.spawn(fine)
        await done.wait()
        await seam.sleep(0.01)
        return True

    with caplog.at_level(logging.ERROR):
        assert run(main)
    assert "boom" in caplog.text


def test_task_is_cancelled(run: Run[object]) -> None:
    """A cancelled task ends; its clean-up runs."""

    async def main(seam: Backend) -> bool:
        started, ended = seam.event(), seam.event()

        async def forever() -> None:
            started.set()
            try:
                await seam.event().wait()
            finally:
                ended.set()

        task = seam.spawn(forever)
        await started.wait()
        task.cancel()
        await ended.wait()
        return True

    assert run(main)


def test_watch_until_false(run: Run[object]) -> None:
    """The callback is called while it returns True; then watching may begin anew."""

    async def main(seam: Backend) -> list[bytes]:
        near, far = socket.socketpair()
        near.setblocking(False)
        seen: list[bytes] = []

        def readable() -> bool:
            seen.append(near.recv(1))
            return len(seen) % 2 == 1

        with near, far:
            far.sendall(b"abcd")
            await seam.watch(near, readable)
            await seam.watch(near, readable)
        return seen

    assert run(main) == [b"a", b"b", b"c", b"d"]


def test_watch_for_writing(run: Run[object]) -> None:
    """A full socket is reported when it can take more."""

    async def main(seam: Backend) -> bool:
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        with near, far:
            sent = 0
            try:
                while True:
                    sent += near.send(bytes(65536))
            except BlockingIOError:
                pass

            async def empty() -> None:
                left = sent
                while left:
                    left -= len(far.recv(1 << 20))

            seam.spawn(empty)
            await seam.watch(near, lambda: False, write=True)
        return True

    assert run(main)


def test_closing_ends_a_watch(run: Run[object]) -> None:
    """A socket may be closed under the eyes of who watches it."""

    async def main(seam: Backend) -> bool:
        near, far = socket.socketpair()
        near.setblocking(False)
        ended = seam.event()

        async def watcher() -> None:
            await seam.watch(near, lambda: near.fileno() >= 0 and bool(near.recv(1)))
            ended.set()

        seam.spawn(watcher)
        await seam.sleep(0.01)
        seam.close(near)
        await ended.wait()
        far.close()
        return True

    assert run(main)


def test_unknown_backend_is_named() -> None:
    """The error says which there are."""
    with pytest.raises(ValueError, match="asyncio, curio, trio"):
        backends.backend("twisted")


def test_backends_are_short() -> None:
    """A backend has room for waiting, and for nothing else."""
    folder = Path(backends.__file__).parent

    assert {
        path.name: len(path.read_text().splitlines())
        for path in folder.glob("*.py")
        if len(path.read_text().splitlines()) >= 150
    } == {}
