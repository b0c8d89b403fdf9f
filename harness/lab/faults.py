"""Faults as steps: change the network while a scenario runs, and heal it after a time.

The network knows how each is undone.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from canet.netns import NetworkError, change
from canet.netns.named import named
from canet.scenarios.model import Step

if TYPE_CHECKING:
    from canet.harness.lab.lab import Lab

Args = Mapping[str, Any]


def make(lab: Lab, step: Step) -> None:
    """Make the fault of a step; with ``heal_after`` it is undone so many seconds later.

    Raises:
        ValueError: there is no such fault.
        NetworkError: it does not fit the network.
    """
    args = step.args
    wanted = named(args)
    back = lab.network.change(wanted)
    lab.barrier.forget_cuts()
    lab.note("fault", str(args["host"]), words(args))
    if args.get("heal_after") is not None:
        heal_later(lab, back, float(args["heal_after"]), args)  # type: ignore[arg-type]  # a number, by the schema


def heal_later(lab: Lab, back: change.Change, seconds: float, args: Args) -> None:
    """Undo a change after a time, unless the lab has ended by then."""

    def heal() -> None:
        try:
            lab.network.change(back)
        except NetworkError as error:
            lab.note("not healed", str(args["host"]), str(error))
            return
        lab.barrier.forget_cuts()
        lab.note("healed", str(args["host"]), words(args))

    timer = threading.Timer(seconds, heal)
    timer.daemon = True
    lab.at_end(timer.cancel)
    timer.start()


def words(args: Args) -> str:
    """Say a fault in a line.

    >>> words({"set": "down", "host": "ioc", "interface": "eth0"})
    'eth0 down'
    """
    rest = [str(args[key]) for key in ("interface", "direction", "address", "route", "name", "value") if args.get(key)]
    place = [rest.pop(0)] if args.get("interface") else []
    return " ".join([*place, str(args["set"]), *rest])
