"""Faults as steps: change the network while a scenario runs, and heal it after a time.

A table from what a step sets to the change of :mod:`canet.netns.change`; the network knows how each is undone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from canet.netns import NetworkError, change
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
    wanted = fault(args)
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


def fault(args: Args) -> change.Change:
    """Return the change that a step's arguments name; raises :class:`ValueError` for one that nobody knows."""
    try:
        return _FAULTS[str(args["set"])](args)
    except KeyError as error:
        if str(args.get("set")) in _FAULTS:
            raise ValueError(f"a fault {args['set']!r} needs {error}") from None
        raise ValueError(f"a fault {args.get('set')!r} is none of {', '.join(_FAULTS)}") from None


def words(args: Args) -> str:
    """Say a fault in a line.

    >>> words({"set": "down", "host": "ioc", "interface": "eth0"})
    'eth0 down'
    """
    rest = [str(args[key]) for key in ("interface", "direction", "address", "route", "name", "value") if args.get(key)]
    place = [rest.pop(0)] if args.get("interface") else []
    return " ".join([*place, str(args["set"]), *rest])


def _cut(args: Args) -> change.Change:
    directions: list[Any] = [args["direction"]] if args.get("direction") else ["in", "out"]
    return change.Several(
        tuple(change.Cut(host=args["host"], interface=args["interface"], direction=each) for each in directions)
    )


def _place(kind: Callable[..., change.Change]) -> Callable[[Args], change.Change]:
    """Return the maker of a change that names a host and an interface only."""
    return lambda args: kind(host=args["host"], interface=args["interface"])


_FAULTS: Mapping[str, Callable[[Args], change.Change]] = {
    "up": _place(change.LinkUp),
    "down": _place(change.LinkDown),
    "unplug": _place(change.Unplug),
    "plug": _place(change.Plug),
    "cut": _cut,
    "heal": lambda args: change.Heal(
        host=args["host"], interface=args["interface"], direction=args.get("direction") or None
    ),
    "add-address": lambda args: change.AddAddress(
        host=args["host"], interface=args["interface"], address=args["address"]
    ),
    "remove-address": lambda args: change.RemoveAddress(
        host=args["host"], interface=args["interface"], address=args["address"]
    ),
    "add-route": lambda args: change.AddRoute(host=args["host"], route=args["route"]),
    "remove-route": lambda args: change.RemoveRoute(host=args["host"], route=args["route"]),
    "add-rule": lambda args: change.AddRule(host=args["host"], rule=args["rule"]),
    "remove-rules": lambda args: change.RemoveRules(host=args["host"]),
    "impair": lambda args: change.Impair(host=args["host"], interface=args["interface"], impairment=args["impairment"]),
    "sysctl": lambda args: change.SetSysctl(host=args["host"], key=args["name"], value=str(args["value"])),
    "write-file": lambda args: change.SetFile(host=args["host"], path=args["name"], text=str(args["value"])),
}
"""What a step sets → the change."""
