"""Clients that stay: what they notice of servers that end, pause and come back, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from canet.harness.predict import play
from canet.netns.topology import Topology
from canet.scenarios.model import Client, Server, Step

from .nets import host, lan, scenario

IOC = Server(name="ioc", host="ioc", pvs={"x": 1.0}, env={"EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO"})
OTHER = Server(name="other", host="far", pvs={"x": 2.0}, autostart=False)
QUICK = {"EPICS_CA_CONN_TMO": "1"}


def net(**client: Any) -> Topology:
    return lan(host("client", "10.1.0.1/24", **client), host("ioc", "10.1.0.2/24"), host("far", "10.1.0.3/24"))


def step(do: str, target: str | None = None, **args: Any) -> Step:
    return Step(do=do, target=target, args=args)


def wait(event: str = "connected", seconds: float = 5.0, **args: Any) -> Step:
    return step("await", "libca", event=event, seconds=seconds, label="wait", **args)


FOUND = (step("watch", "libca"), step("await", "libca", event="value", label="first"))
CUT = step("fault", set="cut", host="ioc", interface="eth0")
DOWN = step("fault", set="down", host="ioc", interface="eth0")


def last(
    *steps: Step,
    env: dict[str, str] | None = None,
    servers: tuple[Server, ...] = (IOC, OTHER),
    topology: Topology | None = None,
    client: str = "libca",
) -> bool | None:
    """Play steps and say whether the last wait succeeds; ``None``: the model does not say."""
    one = Client(name="libca", host="client", env=env or {}, implementation=client)
    base = replace(scenario(topology or net(), *servers), clients=(one,), steps=steps)
    told = play(base).happenings[-1]
    return told.happens if told.modelled else None


def test_a_closed_circuit_is_noticed_and_its_pvs_are_found_again() -> None:
    """Within ten seconds of search; where nobody has them, never; in less time nobody knows."""
    ended = (*FOUND, step("kill", "ioc"))

    assert last(*ended, step("start", "other"), wait(seconds=30)) is True
    assert last(*ended, step("start", "other"), wait(seconds=3)) is None
    assert last(*ended, wait(seconds=30)) is False


@pytest.mark.parametrize(("retries", "seconds", "expected"), [("15", 14, False), ("2", 30, True), ("2", 5, None)])
def test_a_circuit_whose_peer_has_gone_lasts_until_the_kernel_gives_it_up(
    retries: str, seconds: float, expected: bool | None
) -> None:
    """The PVs are not searched meanwhile, though another server has them."""
    topology = net(sysctls=(("net.ipv4.tcp_retries2", retries),))
    steps = (*FOUND, DOWN, step("start", "other"), wait(seconds=seconds))

    assert last(*steps, env=QUICK, topology=topology) is expected


@pytest.mark.parametrize(
    ("timeout", "seconds", "expected"), [("1", 12, True), ("1", 2, False), ("1", 7, None), ("30", 12, False)]
)
def test_a_silent_server_is_called_unresponsive(timeout: str, seconds: float, expected: bool | None) -> None:
    """After EPICS_CA_CONN_TMO and five seconds for the echo; a healthy one never."""
    env = {"EPICS_CA_CONN_TMO": timeout}

    assert last(*FOUND, step("pause", "ioc"), wait("disconnected", seconds), env=env) is expected
    assert last(*FOUND, step("ports", host="ioc"), wait("disconnected", seconds), env=env) is False


def test_an_unresponsive_circuit_comes_back_with_its_server() -> None:
    """On the same connection."""
    paused = (*FOUND, step("pause", "ioc"), step("await", "libca", event="disconnected", seconds=12))

    assert last(*paused, step("resume", "ioc"), wait("value"), env=QUICK) is True


def test_who_slept_learns_of_a_restart_by_its_echo() -> None:
    """With the usual 30 seconds not soon; with one, it searches and finds again."""
    slept = (*FOUND, step("pause", "libca"), CUT, step("restart", "ioc"))
    woken = (*slept, step("fault", set="heal", host="ioc", interface="eth0"), step("resume", "libca"))

    assert last(*woken, wait("disconnected", 4)) is False
    assert last(*woken, wait(seconds=16), env=QUICK) is True
    assert last(*slept, wait(seconds=16), env=QUICK) is None


def test_a_server_that_accepts_nobody_holds_its_clients() -> None:
    """They try for two minutes and do not search; when it ends, they do."""
    dead = replace(IOC, implementation="scripted", options={"accept": False})
    searched = (step("watch", "libca"), step("await", "libca", event="search"), step("start", "other"))

    assert last(*searched[:2], servers=(dead, OTHER)) is True
    assert last(*searched, wait(seconds=20), servers=(dead, OTHER)) is False
    assert last(*searched, step("kill", "ioc"), wait(seconds=40), servers=(dead, OTHER)) is True


def test_a_name_is_looked_up_once() -> None:
    """A client that was there before goes on searching at the old address."""
    topology = net(files=(("/etc/hosts", "10.1.0.2 ioc\n"),))
    moved = (
        *FOUND,
        step("kill", "ioc"),
        step("fault", set="write-file", host="client", name="/etc/hosts", value="10.1.0.3 ioc\n"),
        step("start", "other"),
    )
    listed = {"EPICS_CA_ADDR_LIST": "ioc", "EPICS_CA_AUTO_ADDR_LIST": "NO"}

    assert last(*moved, wait(seconds=20), env=listed, topology=topology) is False
    assert last(*moved, wait(seconds=20), topology=topology) is True


def test_beacons_of_a_new_server_end_a_long_pause() -> None:
    """Caproto's client has retired its searches; a beacon on the repeater's port wakes it, another one does not."""
    env = {"CAPROTO_CLIENT_SEARCH_RETIREMENT_AGE_SEC": "1", "EPICS_CA_ADDR_LIST": "10.1.0.2"}
    steps = (step("watch", "libca"), wait(seconds=3), step("start", "ioc"), wait(seconds=3))
    for to, expected in (("10.1.0.255", True), ("10.1.0.255:5066", False), ("10.1.0.3", False)):
        beacons = {"EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO", "EPICS_CAS_BEACON_ADDR_LIST": to}
        late = replace(IOC, autostart=False, env=beacons)
        assert last(*steps, env=env, servers=(late,), client="caproto") is expected, to


def test_libca_searches_again_after_pauses_that_grow() -> None:
    """A wait that is longer than the time it has searched finds a new server; a shorter one may not."""
    late = replace(IOC, autostart=False)
    steps = (step("watch", "libca"), wait(seconds=20), step("start", "ioc"))

    assert last(*steps, wait(seconds=40), servers=(late,)) is True
    assert last(*steps, wait(seconds=10), servers=(late,)) is None


@pytest.mark.parametrize(("server", "expected"), [("10.1.0.2:5064", False), ("10.1.0.9:5064", True)])
def test_regular_beacons_of_its_server_spare_a_client_its_echoes(server: str, expected: bool) -> None:
    """Those of another one do not."""
    train = step("announce", host="client", address="127.0.0.1", count=17, client="libca", period=0.5, server=server)

    assert last(*FOUND, train, wait("echo", 0.1, skip=4.0), env={"EPICS_CA_CONN_TMO": "2"}) is expected


@pytest.mark.parametrize(("number", "seconds", "expected"), [(6, 30, True), (5, 0.2, False), (5, 0.6, None)])
def test_a_server_that_answers_late_searches_only(number: int, seconds: float, expected: bool | None) -> None:
    """The fifth search comes after half a second."""
    slow = replace(IOC, implementation="scripted", options={"answer_from": number})
    one = Client(name="libca", host="client", timeout=seconds)
    told = play(replace(scenario(net(), slow), clients=(one,))).client("libca").pvs[0].verdict

    assert told == {True: "always", False: "never", None: "luck"}[expected]
