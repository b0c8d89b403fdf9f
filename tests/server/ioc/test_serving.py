"""What runs when: hooks, threads, errors, statistics, the end; on all three backends."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from canet.harness.client.blocking import ClientError
from canet.server.core.problem import AcfError
from canet.server.io.seam import Event, Queue
from canet.server.ioc import Group, Refused, background, pv, run, scan, shutdown, startup, stop
from canet.server.protocol import eca
from tests.server.ioc.client import TIMEOUT, Client


class Diary(Group):
    """Notes what happens when."""

    value = pv(0.0)
    started = pv(0)
    read = pv(0)
    refused = pv(0)
    broken = pv(0)
    ticks = pv(0)
    odd = pv(0)
    from_thread = pv(0.0)

    def __init__(self, prefix: str = "", **options: Any) -> None:
        super().__init__(prefix, **options)
        self.notes: list[str] = []
        self.reads = 0
        self.queue: Queue | None = None
        self.flag: Event | None = None

    @startup
    async def begin(self) -> None:
        """Take time."""
        self.notes.append("begin")
        await self.io.sleep(0.02)
        self.queue = self.io.queue()
        self.flag = self.io.event()
        self.notes.append("begun")

    @started.startup
    async def first(self) -> int:
        """Give the first value."""
        return 7

    @read.getter
    async def count(self) -> int:
        """Count reads."""
        await self.io.sleep(0)
        self.reads += 1
        return self.reads

    @value.putter
    async def put(self, value: float) -> None:
        """Take longer the greater the value."""
        self.notes.append(f"put {value:g}")
        await self.io.sleep(value / 100)
        self.notes.append(f"done {value:g}")

    @refused.putter
    def refuse(self, value: int) -> None:
        """Refuse."""
        raise Refused(eca.NOWTACCESS)

    @broken.putter
    def fail(self, value: int) -> None:
        """Fail."""
        raise ZeroDivisionError("this hook is broken")

    @ticks.scan(0.02)
    async def tick(self) -> int:
        """Count."""
        return self.ticks.value + 1

    @scan(0.02)
    def stumble(self) -> None:
        """Fail now and then."""
        self.odd.post(self.odd.value + 1)
        if self.odd.value % 2:
            raise ValueError("odd")

    @shutdown
    async def end(self) -> None:
        """Take time at the end."""
        await self.io.sleep(0.01)
        self.notes.append("end")


def test_hooks_run_at_their_times(backend: str) -> None:
    """Start-up ends before the first client is answered, scans go on, the end is noted."""
    diary = Diary("d:")
    with background(diary, backend) as where, Client(where) as client:
        assert diary.notes == ["begin", "begun"]
        assert client.get("d:started") == 7
        assert [client.get("d:read") for _ in range(3)] == [1, 2, 3]
        client.until("d:ticks", lambda ticks: ticks > 3)

    assert diary.notes == ["begin", "begun", "end"]


def test_writes_are_done_when_their_putters_are(backend: str) -> None:
    """Writes to one PV run one after the other; other clients are served meanwhile."""
    diary = Diary("d:")
    with background(diary, backend) as where, Client(where) as slow, Client(where) as client:
        slow.begin("d:value", 10)
        client.until("d:ticks", lambda ticks: ticks > 1 and "put 10" in diary.notes)
        client.put("d:value", 1)

    assert diary.notes[2:-1] == ["put 10", "done 10", "put 1", "done 1"]
    assert diary.value.value == 1


def test_hooks_that_fail_hurt_nobody(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    """The client gets an error, the log says where, scans go on."""
    with background(Diary("d:"), backend) as where, Client(where) as client:
        with pytest.raises(ClientError, match="ECA_NOWTACCESS"):
            client.put("d:refused", 1)
        with pytest.raises(ClientError, match="ECA_PUTFAIL"):
            client.put("d:broken", 1)
        client.until("d:odd", lambda odd: odd > 4)

    said = [record.getMessage() for record in caplog.records]
    assert "Diary.stumble failed" in said
    assert any("this hook is broken" in text for text in said)


def test_any_thread_may_post(backend: str) -> None:
    """Values from another thread arrive, in order, and so do PVs that it adds."""
    diary = Diary("d:")
    with background(diary, backend) as where, Client(where) as client:

        def work() -> None:
            for number in range(100):
                diary.from_thread.post(float(number))
            diary.add("new", 1.5)
            diary.from_thread.post(1000.0)

        thread = threading.Thread(target=work)
        thread.start()
        client.until("d:from_thread", lambda value: value == 1000)
        thread.join(TIMEOUT)

        assert client.get("d:new") == 1.5


def test_io_has_what_hooks_need(backend: str) -> None:
    """Tasks, flags, queues and worker threads, the same everywhere."""

    class Worker(Group):
        """Passes values through a queue, a task and a thread."""

        given = pv(0)
        result = pv(0)

        @startup
        def begin(self) -> None:
            """Start a task that never ends by itself."""
            self.queue = self.io.queue()
            self.done = self.io.event()
            self.task = self.io.spawn(self.work)

        async def work(self) -> None:
            """Square what comes."""
            while True:
                value = await self.queue.get()
                self.result.post(await self.io.run_in_thread(pow, value, 2))
                self.done.set()

        @given.putter
        async def give(self, value: int) -> None:
            """Wait for the result."""
            self.done.clear()
            self.queue.put(value)
            await self.done.wait()

        @shutdown
        def end(self) -> None:
            """End the task."""
            self.task.cancel()

    with background(Worker(), backend) as where, Client(where) as client:
        for value in (3, 12):
            client.put("given", value)
            assert client.get("result") == value**2


def test_slow_starts_are_spoken_of(
    backend: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A start-up hook that does not end is named as the reason why nobody is answered; it can be stopped."""
    monkeypatch.setattr("canet.server.ioc.serving._PATIENCE", 0.01)

    class Endless(Group):
        """Never begins."""

        @startup
        async def begin(self) -> None:
            """Work for ever."""
            while True:
                await self.io.sleep(1)

    group = Endless()
    thread = threading.Thread(target=run, args=(group, backend), kwargs={"environment": {}})
    thread.start()
    deadline = time.monotonic() + TIMEOUT
    while "startup hooks have not finished" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.005)
    stop(group)
    thread.join(TIMEOUT)

    assert "Work that never ends belongs into scan()" in caplog.text
    assert not thread.is_alive()


def test_statistics_count(backend: str) -> None:
    """Clients, channels and bytes, as PVs under a prefix."""
    with background(Diary("d:"), backend, statistics="st:") as where, Client(where) as client:
        assert client.until("st:clients", lambda clients: clients == 1)
        assert client.until("st:channels", lambda channels: channels >= 1)
        assert client.until("st:bytesOut", lambda sent: sent > 0)
        assert client.get("st:memory") > 1
        assert client.get("st:memory.EGU") == "MiB"


def test_bad_access_files_are_told(backend: str, tmp_path: Path) -> None:
    """Nothing is served with rules that cannot be read."""
    file = tmp_path / "x.acf"
    file.write_text("ASG(")
    with pytest.raises(AcfError, match=r"x\.acf:1: expected the name of an access group"):
        run(Diary(), backend, acf=file, environment={})
    with pytest.raises(FileNotFoundError):
        run(Diary(), backend, acf=tmp_path / "none", environment={})


def test_rules_that_wait_in_vain_are_told(backend: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An input that is not served here, and what is not understood, is in the log."""
    file = tmp_path / "x.acf"
    file.write_text('ASG(DEFAULT) { INPA("$(P)none") RULE(1, READ) RULE(1, WRITE) { METHOD("x") } }')
    caplog.set_level(logging.WARNING)
    with background(Diary("d:"), backend, acf=file) as where, Client(where) as client:
        assert not client.channel("d:value").writable

    assert "rules that need d:none do not hold: it is not served here" in caplog.text
    assert "a rule with METHOD grants nothing" in caplog.text


def test_hosts_are_known_by_their_addresses(backend: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What a client says of its host does not count, where its address does; names without address are told."""
    file = tmp_path / "x.acf"
    file.write_text("HAG(h) { 127.0.0.1, no.such.host.invalid }\nASG(DEFAULT) { RULE(1, WRITE) { HAG(h) } }")
    with (
        background(Diary("d:"), backend, acf=file, check_client_ip=True) as where,
        Client(where, host="liar") as client,
    ):
        assert client.channel("d:value").writable

    assert "host no.such.host.invalid has no address" in caplog.text


def test_unknown_backends_are_told() -> None:
    """With the names of those that there are."""
    with pytest.raises(ValueError, match="choose one of asyncio, curio, trio"):
        run(Diary(), "twisted", environment={})
