"""The tries of a client: what each found, and when that counts."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from canet.harness.lab import crew, lab, tries
from canet.harness.lab.disturbed import DisturbedError
from canet.harness.participants.recipe import client_recipe
from canet.netns.process import Process
from canet.scenarios.model import Client
from tests.harness.places import asking, changed, need_namespaces


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    need_namespaces()


SLEEPER = Client(name="sleeper", host="client", implementation="command", command=("sleep", "60"), timeout=0.1)


def test_a_client_that_does_not_end_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine never let a client come to its end, the run is spoilt; it has not read "nothing"."""
    monkeypatch.setattr(tries, "OWN_GRACE", 0.1)
    monkeypatch.setattr(tries, "client_recipe", lambda _client, pvs: client_recipe(SLEEPER, pvs))

    with pytest.raises(DisturbedError, match="libca 1 has read nothing"):
        lab.run(changed(clients=(asking("libca"),), expectations=(), probes=()))


def test_a_command_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command printed until then stands, and that the lab ended it."""
    monkeypatch.setattr(tries, "GRACE", 0.1)
    seen = lab.run(changed(clients=(SLEEPER,), expectations=(), probes=())).clients[0]

    assert "(ended by the lab" in seen.tries[0].output


@pytest.mark.parametrize("client", ["libca", "caproto", "canet"])
def test_a_client_that_is_held_up_reads_all_the_same(client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that gets no time for ten times its time-out, twice, has still the whole time-out before it."""
    spawn = crew.spawn

    def hold_up(*args: Any) -> Process:
        process = spawn(*args)
        for _ in range(2):
            time.sleep(0.15)  # into the import of its library, the first search, or the wait for an answer
            process.signal(signal.SIGSTOP)
            time.sleep(1.0)
            process.signal(signal.SIGCONT)
        return process

    monkeypatch.setattr(tries, "spawn", hold_up)
    asks = Client(name=client, host="client", implementation=client, env=dict(asking(client).env), timeout=0.3)
    seen = lab.run(changed(clients=(asks,), expectations=(), probes=())).clients[0]

    assert seen.tries[0].values == {"a:x": 1.0, "b:x": 2.0}, os.linesep.join(each.output for each in seen.tries)
