"""PVs that are given as text: on a command line (``NAME:type=VALUE``) or in a TOML file."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from canet.server.core.json5 import Json5Error, parse
from canet.server.ioc.group import Group
from canet.server.ioc.kinds import NATIVE_NAMES
from canet.server.ioc.options import Options
from canet.server.protocol.alarm import Severity

_GIVEN = re.compile(
    rf"(?P<name>[^=]+?)(?::(?P<type>{'|'.join(NATIVE_NAMES)})(?:\[(?P<count>\d+)\])?)?=(?P<value>.*)", re.DOTALL
)


class GivenError(ValueError):
    """A PV that is given in a way that cannot be understood."""


def add_argument(group: Group, text: str) -> None:
    """Add the PV that one word of a command line gives.

    Args:
        group: What it is added to.
        text: ``NAME=VALUE`` or ``NAME:type=VALUE``, with ``type`` one of double, float, long, short, char, enum and
            string, and behind it perhaps the greatest count of elements, ``[N]``. A value is a number, a list
            (``[1,2,3]``), ``true`` or ``false``, or else text; for an enum the names of its states with commas.

    Raises:
        GivenError: It cannot be understood.

    >>> from canet.server.ioc.group import host_of
    >>> group = Group()
    >>> add_argument(group, "lab:mode:enum=off,on"); add_argument(group, "lab:x=1.5"); list(host_of(group).directory)
    [<PV lab:mode ENUM[1] 0>, <PV lab:x DOUBLE[1] 1.5>]
    """
    found = _GIVEN.fullmatch(text)
    if found is None:
        raise GivenError(f"{text!r}: expected NAME=VALUE or NAME:type=VALUE")
    options: Options = {}
    given, kind = found["value"], found["type"]
    value: Any = given
    if kind == "enum":
        options["states"] = given.split(",")
        value = options["states"][0]
    elif kind != "string":
        value = _value(given, kind)
    if kind is not None:
        options["type"] = kind
    if found["count"]:
        options["max_count"] = int(found["count"])
    _add(group, found["name"], value, options, repr(text))


def add_file(group: Group, file: Path) -> None:
    """Add the PVs of a TOML file.

    Args:
        group: What they are added to.
        file: Its table ``pvs`` holds a value for each name, or a table with ``value`` and what else may be said of a
            PV (:class:`~canet.server.ioc.options.Options`).

    Raises:
        GivenError: It is no such file; the message begins with its name and the key.
        OSError: It cannot be read.
    """
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GivenError(f"{file}: {error}") from None
    for key in document:
        if key != "pvs":
            raise GivenError(f"{file}: there is no key {key!r}: expected a table 'pvs'")
    pvs = document.get("pvs")
    if not isinstance(pvs, dict):
        raise GivenError(f"{file}: expected a table 'pvs' with the names of PVs")
    for name, said in pvs.items():
        where = f"{file}: pvs.{name}"
        value, options = _said(said, where) if isinstance(said, dict) else (said, Options())
        _add(group, name, value, options, where)


def _said(said: Mapping[str, Any], where: str) -> tuple[Any, Options]:
    """Part a PV's table into its value and its options."""
    if "value" not in said:
        raise GivenError(f"{where}: expected a key 'value'")
    options: dict[str, Any] = {}
    for key, value in said.items():
        if key == "value":
            continue
        check = _CHECKS.get(key)
        if check is None:
            near = difflib.get_close_matches(key, _CHECKS, 1)
            raise GivenError(f"{where}: there is no key {key!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
        expected, convert = check
        try:
            options[key] = convert(value)
        except (ValueError, TypeError, KeyError):
            raise GivenError(f"{where}.{key}: expected {expected}, found {value!r}") from None
    return said["value"], cast("Options", options)


def _exactly(*types: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) not in types:
            raise TypeError
        return value

    return check


def _limits(value: Any) -> tuple[float | None, float | None]:
    low, high = value
    return float(low), float(high)


def _names(value: Any) -> list[str]:
    return [_exactly(str)(each) for each in _exactly(list)(value)]


def _type_name(value: Any) -> str:
    return NATIVE_NAMES[value].name.lower()


def _severities(value: Any) -> dict[str, Severity]:
    return {state: Severity[name] for state, name in _exactly(dict)(value).items()}


_TEXT = ("text", _exactly(str))
_WHOLE = ("a whole number", _exactly(int))
_NUMBER = ("a number", _exactly(int, float))
_LIMITS = ("two numbers, [low, high]", _limits)
_CHECKS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "description": _TEXT,
    "units": _TEXT,
    "precision": _WHOLE,
    "limits": _LIMITS,
    "control": _LIMITS,
    "warning": _LIMITS,
    "alarm": _LIMITS,
    "hysteresis": _NUMBER,
    "deadband": _NUMBER,
    "archive_deadband": _NUMBER,
    "states": ("a list of names", _names),
    "severities": ("a table of state = NO_ALARM, MINOR, MAJOR or INVALID", _severities),
    "type": (f"one of {', '.join(sorted(NATIVE_NAMES))}", _type_name),
    "max_count": _WHOLE,
    "max_length": _WHOLE,
    "read_only": ("true or false", _exactly(bool)),
    "group": _TEXT,
    "record_type": _TEXT,
}
"""Key of a PV's table → what it must be, in words and as a check."""


def _value(text: str, kind: str | None) -> Any:
    """Read a value of the command line."""
    try:
        value = parse(text)
    except Json5Error:
        if kind not in (None, "char"):
            raise GivenError(f"{text!r} is no {kind}: expected a number or a list of numbers") from None
        return text.encode() if kind == "char" else text
    return text if isinstance(value, dict) or value is None else value


def _add(group: Group, name: str, value: Any, options: Options, where: str) -> None:
    try:
        group.add(name, value, **options)
    except (ValueError, TypeError) as error:
        raise GivenError(f"{where}: {error}") from None
