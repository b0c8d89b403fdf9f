"""The steps of a scenario, in order: a table from what a step does to the function that does it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from canet.harness.lab import faults, listening, meters, rawbytes, registering, traffic, watching
from canet.scenarios.model import Scenario, Step

if TYPE_CHECKING:
    from canet.harness.lab.lab import Lab


def default_steps(scenario: Scenario) -> tuple[Step, ...]:
    """Return what is done where a scenario says nothing: all probes, then all clients."""
    probes = tuple(Step(do="probe", target=each.name) for each in scenario.probes)
    return probes + tuple(Step(do="client", target=each.name) for each in scenario.clients)


def known() -> tuple[str, ...]:
    """Return what steps can do."""
    return tuple(_ACTIONS)


def do(lab: Lab, step: Step) -> None:
    """Do one step.

    Raises:
        ValueError: nobody knows how.
    """
    try:
        action = _ACTIONS[step.do]
    except KeyError:
        raise ValueError(f"a step {step.do!r} is none of {', '.join(_ACTIONS)}") from None
    action(lab, step)


def _probe(lab: Lab, step: Step) -> None:
    lab.probe(_target(step))


def _client(lab: Lab, step: Step) -> None:
    lab.client(_target(step))


def _start(lab: Lab, step: Step) -> None:
    lab.crew.start([_target(step)])


def _stop(lab: Lab, step: Step) -> None:
    lab.crew.end(_target(step))


def _kill(lab: Lab, step: Step) -> None:
    lab.crew.end(_target(step), signal.SIGKILL)


def _pause(lab: Lab, step: Step) -> None:
    name = _target(step)
    if name in lab.watches:
        watching.pause(lab, name, signal.SIGSTOP)
    else:
        lab.crew.pause(name)


def _resume(lab: Lab, step: Step) -> None:
    name = _target(step)
    if name in lab.watches:
        watching.pause(lab, name, signal.SIGCONT)
    else:
        lab.crew.resume(name)


def _restart(lab: Lab, step: Step) -> None:
    lab.crew.end(_target(step))
    lab.crew.start([_target(step)])


def _target(step: Step) -> str:
    if step.target is None:
        raise ValueError(f"a step {step.do!r} needs a target")
    return step.target


_ACTIONS: Mapping[str, Callable[[Lab, Step], None]] = {
    "probe": _probe,
    "client": _client,
    "start": _start,
    "stop": _stop,
    "kill": _kill,
    "pause": _pause,
    "resume": _resume,
    "restart": _restart,
    "fault": faults.make,
    "beacons": listening.listen,
    "send": rawbytes.send,
    "tcp": rawbytes.tcp,
    "watch": watching.begin,
    "await": watching.wait,
    "leave": watching.leave,
    "announce": traffic.announce,
    "flood": traffic.flood,
    "measure": meters.measure,
    "ports": meters.ports,
    "forget": meters.forget,
    "register": registering.register,
}
