"""Changes by the names that people give them: a table from a word and its arguments to a change.

>>> named({"set": "down", "host": "ioc", "interface": "eth0"})
LinkDown(host='ioc', interface='eth0')
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from canet.netns import change

Args = Mapping[str, Any]


def named(args: Args) -> change.Change:
    """Return the change that ``args["set"]`` names.

    Raises:
        ValueError: nobody knows it, or it needs an argument that is not there.
    """
    try:
        return _CHANGES[str(args["set"])](args)
    except KeyError as error:
        if str(args.get("set")) in _CHANGES:
            raise ValueError(f"a fault {args['set']!r} needs {error}") from None
        raise ValueError(f"a fault {args.get('set')!r} is none of {', '.join(_CHANGES)}") from None


def _cut(args: Args) -> change.Change:
    directions: list[Any] = [args["direction"]] if args.get("direction") else ["in", "out"]
    return change.Several(
        tuple(change.Cut(host=args["host"], interface=args["interface"], direction=each) for each in directions)
    )


def _place(kind: Callable[..., change.Change]) -> Callable[[Args], change.Change]:
    """Return the maker of a change that names a host and an interface only."""
    return lambda args: kind(host=args["host"], interface=args["interface"])


_CHANGES: Mapping[str, Callable[[Args], change.Change]] = {
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
"""Word → the change."""
