"""Steps beyond probes and clients: staying clients, beacons, floods, measures, repeaters, foreign programs."""

from __future__ import annotations

import time
from dataclasses import replace
from ipaddress import IPv4Address
from types import SimpleNamespace
from typing import Any

import pytest

from canet.harness.lab import lab, traffic
from canet.harness.lab.disturbed import DisturbedError
from canet.harness.lab.lab import Lab
from canet.harness.participants.recipe import missing
from canet.harness.run import run
from canet.harness.run.cases import Case
from canet.scenarios.model import Client, Scenario, Server, Step
from tests.harness.places import LAN, need_namespaces

QUIET = {"EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO"}
SCENARIO = Scenario(
    id="tests/steps",
    title="Steps",
    story="",
    topology=LAN,
    servers=(Server(name="ioc", host="ioc", pvs={"ioc:value": 1.5}, env=QUIET),),
    clients=(Client(name="libca", host="client"), Client(name="caproto", host="client", implementation="caproto")),
)


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    need_namespaces()


def step(do: str, target: str | None = None, **args: Any) -> Step:
    return Step(do=do, target=target, args=args)


def play(*steps: Step, servers: tuple[Server, ...] = (), **changes: Any) -> dict[str, dict[str, object]]:
    """Play steps and return the measures by label."""
    scenario = replace(SCENARIO, servers=(*servers, *SCENARIO.servers), steps=steps, **changes)
    with Lab(scenario) as lab:
        lab.play()
        return {label: dict(seen) for label, seen in lab.observe().measures.items()}


@pytest.mark.parametrize("client", ["libca", "caproto"])
def test_a_client_stays_and_tells_what_happens_to_it(client: str) -> None:
    """It connects, gets a value, loses its server, and finds it again."""
    if client == "caproto" and (reason := missing("caproto client")):
        pytest.skip(reason)
    seen = play(
        step("watch", client),
        step("await", client, event="value", label="first", seconds=10),
        step("kill", "ioc"),
        step("await", client, event="disconnected", label="lost", seconds=10),
    )
    assert seen["first"]["happens"] is True
    assert seen["first"]["circuits"] == 1
    assert seen["lost"]["happens"] is True


def test_searches_in_vain_prove_that_nothing_happened() -> None:
    """The wait ends when the client has searched so many times, and says that it did not connect."""
    seen = play(
        step("kill", "ioc"),
        step("watch", "libca"),
        step("await", "libca", event="connected", searches=4, seconds=20, label="vain"),
    )
    assert seen["vain"]["happens"] is False
    assert seen["vain"]["within"] is None
    assert int(str(seen["vain"]["searches"])) >= 4


def test_a_client_that_left_is_gone() -> None:
    """What it saw until then is kept as a try of its own."""
    scenario = replace(SCENARIO, steps=(step("watch", "libca"), step("await", "libca", event="value")))
    with Lab(scenario) as lab:
        lab.play()
        lab.play([step("leave", "libca")])
        (client,) = lab.observe().clients
    assert client.tries[0].values == {"ioc:value": 1.5}
    assert client.searched == ("10.1.0.255:5064",)


def test_beacons_are_announced_and_heard() -> None:
    """Their numbers and the server that they announce arrive as they were sent."""
    seen = play(
        step("announce", host="ioc", address="10.1.0.255", numbers=[3, 4, 5], period=0.01, server="10.1.0.9:6064"),
        step("beacons", host="client", count=3, label="heard"),
    )
    assert seen["heard"]["announces"] == ("10.1.0.9:6064",)
    assert seen["heard"]["in_sequence"] is True


def test_a_train_of_beacons_that_leaves_late_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client makes of beacons depends on their pace, so a pace that was not kept ends the run."""
    sleep = time.sleep
    monkeypatch.setattr(traffic, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda s: sleep(s + 0.05)))

    with pytest.raises(DisturbedError, match=r"beacon 0 from client left 0\.\d+ s late"):
        play(
            step("watch", "libca"),
            step("await", "libca", event="value"),
            step("announce", client="libca", host="client", address="127.0.0.1", server="10.1.0.2:5064", period=0.2),
        )


def test_a_disturbed_run_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that the machine disturbed is no verdict about a server, unless it is so each time."""
    scenario = replace(SCENARIO, clients=(), steps=())
    real, failures = lab.run, [2]

    def disturbed(*args: Any) -> Any:
        failures[0] -= 1
        if failures[0] >= 0:
            raise DisturbedError("the machine is busy")
        return real(*args)

    monkeypatch.setattr(lab, "run", disturbed)
    assert run.run_case(Case(scenario, "asyncio")).verdict.outcome == "holds"

    failures[0] = 3
    verdict = run.run_case(Case(scenario, "asyncio")).verdict
    assert (verdict.outcome, verdict.reason) == ("error", "the machine is busy")


@pytest.mark.parametrize("kind", ["libca", "caproto"])
def test_a_repeater_hands_beacons_on_to_whoever_registered(kind: str) -> None:
    """Each registered client gets each beacon; the port is held by one socket."""
    repeater = Server(name="repeater", host="client", implementation="repeater", options={"kind": kind})
    seen = play(
        step("register", host="client", count=3),
        step("ports", host="client", port=5065),
        step("announce", host="ioc", address="10.1.0.255", count=1, label="told"),
        servers=(repeater,),
    )
    assert seen["register"]["confirmed"] == 3
    assert seen["ports"] == {"held": True, "holders": 1}
    assert seen["told"]["repeated_to"] == 3


def test_without_a_repeater_nobody_is_told() -> None:
    """Registrations are not confirmed, and the beacon goes to nobody."""
    seen = play(
        step("register", host="client", count=1, seconds=0.1),
        step("announce", host="ioc", address="10.1.0.255", count=1, label="told"),
    )
    assert seen["register"]["confirmed"] == 0
    assert seen["told"] == {"repeated_to": 0, "proven": True}


def test_a_flood_is_worked_off_or_dropped() -> None:
    """A running server reads everything; one that is stopped loses what its buffer does not take."""
    flood: dict[str, Any] = {"host": "client", "address": IPv4Address("10.1.0.255")}
    seen = play(
        step("flood", **flood, count=2000, label="calm"),
        step("pause", "ioc"),
        step("flood", **flood, count=60000, burst=True, label="storm"),
        step("resume", "ioc"),
        step("flood", **flood, count=100, label="after"),
    )
    assert seen["calm"]["served_all"] is True
    assert seen["calm"]["dropped_at_least"] == 0
    assert int(str(seen["storm"]["dropped_at_least"])) > 0
    assert seen["after"]["served_all"] is True


def test_a_server_is_measured() -> None:
    """Memory and descriptors are there, and their growth since an earlier measure."""
    tcp: dict[str, Any] = {
        "host": "client",
        "address": IPv4Address("10.1.0.2"),
        "payload": b"\0" * 16,
        "seconds": 0,
        "count": 30,
    }
    seen = play(
        step("measure", "ioc", label="one"), step("tcp", **tcp), step("measure", "ioc", label="two", since="one")
    )
    assert int(str(seen["one"]["memory"])) > 100_000
    assert int(str(seen["one"]["descriptors"])) > 3
    assert int(str(seen["two"]["descriptors_grow_at_most"])) <= 1


def test_a_foreign_program_holds_its_port() -> None:
    """The occupant has UDP 5064 alone, so that our server ends with a reason."""
    foreign = Server(name="foreign", host="ioc", implementation="occupant", options={"udp": 5064})
    seen = play(servers=(foreign,))
    assert seen["foreign"]["alive"] is True
    assert seen["ioc"]["starts"] is False


def test_closed_connections_are_forgotten() -> None:
    """A host that has nothing to close has nothing to forget."""
    assert play(step("forget", host="ioc", port=5064))["forget"] == {"forgotten": True}
