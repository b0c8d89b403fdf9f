"""Scenarios from start to verdict on the real kernel, and what happens when servers do not behave."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from canet.harness.lab import lab
from canet.harness.run import run
from canet.harness.run.cases import Case
from canet.harness.verdict import verdict
from canet.harness.wire.frames import read
from canet.netns.topology import Address
from canet.scenarios.model import SUBJECTS, Expectation, Outcome, Probe, Scenario, Server, Step
from tests.harness.places import BROADCAST, LAN, asking, changed, need_namespaces


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    need_namespaces()


def complaints(scenario: Scenario, subject: str = "asyncio") -> list[str]:
    """Run a scenario and return what does not hold, in words."""
    result = run.run_case(Case(scenario, subject))
    wrong = [f"{c.subject} {c.measure}: {c.seen} ({c.why})" for c in result.verdict.checks if not c.holds]
    return wrong + ([result.verdict.reason] if result.verdict.reason else [])


@pytest.mark.parametrize("subject", [*SUBJECTS, "rsrv", "caproto-trio", "pcaspy"])
def test_a_broadcast_reaches_all_servers(subject: str) -> None:
    """Each implementation starts, hears the broadcast, answers and is read; the model agrees."""
    assert complaints(BROADCAST, subject) == []


@pytest.mark.parametrize("client", ["libca", "caproto", "canet"])
def test_clients_read_what_they_find(client: str) -> None:
    """Each client finds both servers, reads their values, and the wire shows where it searched."""
    expected = Expectation(
        subject=client,
        connects=Outcome.parse("all of a, b"),
        reads=Outcome.parse("all of a:x, b:x"),
        searches_to=("10.1.0.255:5064",),
    )
    scenario = changed(clients=(asking(client),), expectations=(expected,), probes=())
    observation = lab.run(scenario, "trio")
    assert [c for c in verdict.judge(scenario, observation).checks if not c.holds] == []
    assert observation.clients[0].tries[0].values == {"a:x": 1.0, "b:x": 2.0}


def test_absence_is_proven() -> None:
    """A search that nobody can hear comes back as none, with the proof that nothing was under way."""
    probe = Probe(name="other", host="client", to=Address.parse("10.1.0.2/32").ip, port=5066, sources=3)
    observation = lab.run(changed(probes=(probe,), expectations=()))
    (seen,) = observation.probes
    assert seen.sentinel
    assert [shot.received for shot in seen.shots] == [(), (), ()]


def test_replies_that_do_not_come_back_were_still_received() -> None:
    """Behind a firewall that swallows replies, the wire tells who received a search, for foreign servers too."""
    from dataclasses import replace

    from canet.netns.topology import Rule

    client, ioc = LAN.hosts
    deaf = replace(client, rules=(Rule(hook="input", proto="udp", verdict="drop"),))
    scenario = changed(
        topology=replace(LAN, hosts=(deaf, ioc)),
        expectations=(
            Expectation(subject="all", received=Outcome.parse("all of a, b"), answered=Outcome.parse("none")),
        ),
    )
    assert complaints(scenario, "asyncio") == []
    assert complaints(scenario, "caproto-asyncio") == []


def test_a_server_that_dies_is_told_with_its_last_words() -> None:
    """A server that ends at once, or never becomes ready, is an error with its output; nothing hangs."""
    command = (sys.executable, "-c", "print('no database'); raise SystemExit(3)")
    dead = Server(name="a", host="ioc", implementation="command", command=command)
    result = run.run_case(Case(changed(servers=(dead, BROADCAST.servers[1])), "asyncio"))
    assert result.verdict.outcome in ("error", "fails")
    assert "ended with status 3 before it was ready" in result.verdict.reason
    assert "no database" in result.verdict.reason


def test_a_server_that_never_gets_ready_runs_into_its_deadline() -> None:
    """The deadline comes with the last output."""
    command = (sys.executable, "-u", "-c", "import time; print('thinking'); time.sleep(60)")
    slow = Server(name="a", host="ioc", implementation="command", command=command, autostart=False)
    with lab.Lab(changed(servers=(slow,))) as up:
        up.crew.start(["a"], seconds=0.5)
        assert "was not ready in time" in (up.crew.running["a"].died or "")
        assert "thinking" in (up.crew.running["a"].died or "")


def test_steps_change_who_answers() -> None:
    """Servers that are stopped, started, killed, paused and resumed answer accordingly; the history has it all."""
    steps = [
        Step(do="probe", target="all"),
        Step(do="kill", target="b"),
        Step(do="probe", target="all"),
        Step(do="start", target="b"),
        Step(do="pause", target="a"),
        Step(do="probe", target="all"),
        Step(do="resume", target="a"),
        Step(do="restart", target="a"),
        Step(do="probe", target="all"),
    ]
    with lab.Lab(BROADCAST) as up:
        up.play(steps)
        observation = up.observe()
    assert observation.probes[0].sentinel  # also while one was paused
    answers = [frozenset(r.server for r in shot.replies) for shot in observation.probes[0].shots]
    assert answers[:4] == [{"a", "b"}, {"a", "b"}, {"a"}, {"a"}]
    assert answers[4:6] == [{"b"}, {"b"}]
    assert answers[6:] == [{"a", "b"}, {"a", "b"}]
    words = [event.what for event in observation.history]
    assert {"started", "ready", "ended", "paused", "resumed", "probed"} <= set(words)


def test_faults_break_and_heal() -> None:
    """An interface that is down answers nothing; it comes up when told, or by itself after its time."""

    def fault(what: str, **more: object) -> Step:
        return Step(do="fault", args={"host": "ioc", "set": what, "interface": "eth0", **more})

    probe = Step(do="probe", target="all")
    with lab.Lab(BROADCAST) as up:
        up.play([fault("down"), probe, fault("up"), probe, fault("down", heal_after=0.05)])
        deadline = time.monotonic() + 20
        while not any(event.what == "healed" for event in up.history) and time.monotonic() < deadline:
            time.sleep(0.01)
        up.play([probe])
        shots = up.observe().probes[0].shots
    assert [bool(shot.replies) for shot in shots] == [False, False, True, True, True, True]


def test_beacons_are_heard_from_the_start() -> None:
    """A listening step knows the beacons that servers sent while they started."""
    step = Step(do="beacons", args={"host": "client", "label": "heard", "count": 4, "seconds": 10.0})
    wanted = Expectation(
        subject="heard", extra={"beacons_from": ["10.1.0.2"], "announces": ["10.1.0.2"], "beacon_count_at_least": 4}
    )
    assert complaints(changed(probes=(), steps=(step,), expectations=(wanted,))) == []


def test_raw_bytes_are_survived() -> None:
    """Garbage over UDP and TCP gets no answer, and the servers are still there."""
    steps = (
        Step(do="send", args={"host": "client", "address": "10.1.0.255", "payload": b"\xff" * 33, "label": "udp"}),
        Step(do="tcp", args={"host": "client", "address": "10.1.0.2", "payload": b"\xff" * 33, "label": "stream"}),
        Step(do="probe", target="all"),
    )
    expected = (
        Expectation(subject="udp", extra={"replies": 0, "proven": True}),
        Expectation(subject="stream", extra={"connects": True}),
        *BROADCAST.expectations,
    )
    assert complaints(changed(steps=steps, expectations=expected), "mix") == []


def test_sentinels_leave_no_trace_in_what_was_seen() -> None:
    """The frames of an observation are the participants' own."""
    observation = lab.run(BROADCAST)
    kinds = {int.from_bytes(frame.data[12:14], "big") for frame in observation.frames}
    assert kinds <= {0x0800, 0x0806}
    assert any((headers := read(frame.data)) and headers.to_port == 5064 for frame in observation.frames)
    assert observation.dropped == 0


def test_several_labs_at_once_do_not_meet() -> None:
    """Labs with the same addresses run side by side."""
    results = run.run_all([Case(BROADCAST, subject) for subject in ("asyncio", "trio", "mix")], jobs=3)
    assert [result.verdict.outcome for result in results] == ["holds"] * 3


def test_what_is_missing_is_skipped_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is not installed skips the case, or fails it where everything is required."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    case = Case(BROADCAST, "rsrv")
    assert run.run_case(case).verdict.outcome == "skipped"
    assert "pip install 'canet[peers]'" in run.run_case(case).verdict.reason
    assert run.run_case(case, require_all=True).verdict.outcome == "error"


@pytest.mark.parametrize("implementations", [("canet", "canet"), ("rsrv", "caproto")], ids=" and ".join)
def test_nothing_is_left_after_sigkill(tmp_path: Path, implementations: tuple[str, str]) -> None:
    """A controlling process that is killed in the middle takes all its servers, clients and namespaces along."""
    script = tmp_path / "hold.py"
    script.write_text(
        "import sys, time\n"
        "from canet.netns import enter\n"
        "enter()\n"
        "from dataclasses import replace\n"
        "from canet.harness.lab.lab import Lab\n"
        "from tests.harness.places import BROADCAST, changed\n"
        f"kinds = {implementations}\n"
        "servers = [replace(s, implementation=kind) for s, kind in zip(BROADCAST.servers, kinds)]\n"
        "with Lab(changed(servers=tuple(servers)), 'trio') as up:\n"
        "    print(*[each.process.pid for each in up.crew], flush=True)\n"
        "    time.sleep(60)\n"
    )
    root = Path(__file__).resolve().parent.parent.parent.parent
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=env) as holder:
        assert holder.stdout is not None
        pids = [int(word) for word in holder.stdout.readline().split()]
        watched = [os.pidfd_open(pid) for pid in pids]
        holder.send_signal(signal.SIGKILL)
    assert len(pids) == 2
    poll = select.poll()
    for each in watched:
        poll.register(each, select.POLLIN)
    deadline, gone = time.monotonic() + 10, set[int]()
    while len(gone) < len(watched) and time.monotonic() < deadline:
        gone |= {fd for fd, _ in poll.poll(100)}
    for each in watched:
        os.close(each)
    assert len(gone) == 2
