"""Store a run in a directory, and read it back.

A run directory holds ``scenario.json``, ``observation.json``, ``verdict.json``, ``prediction.json`` (if there is one),
``capture.pcapng`` (the frames; they stand nowhere else) and ``logs/NAME.log`` (each participant's output).
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from canet.harness.observation import Observation, Verdict
from canet.harness.wire import pcapng
from canet.scenarios.model import Scenario

T = TypeVar("T")
SCENARIO, OBSERVATION, VERDICT = "scenario.json", "observation.json", "verdict.json"
PREDICTION, CAPTURE, LOGS = "prediction.json", "capture.pcapng", "logs"


class RecordError(Exception):
    """A run directory cannot be read: which file, what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One stored run."""

    scenario: Scenario
    observation: Observation
    verdict: Verdict
    prediction: Any = None
    """As plain JSON values; the model's own types may change."""
    directory: Path | None = None


def case_id(scenario: str, subject: str) -> str:
    """Return the stable id of a case, ``theme/name[variant]@subject``."""
    return f"{scenario}@{subject}"


def directory_name(scenario: str, subject: str) -> str:
    """Return the name of a case's directory.

    >>> directory_name("statements/unicast[plain]", "trio")
    'statements.unicast.plain@trio'
    """
    return re.sub(r"[^A-Za-z0-9._@-]+", ".", case_id(scenario, subject)).replace(".@", "@")


def save(
    directory: Path, scenario: Scenario, observation: Observation | None, verdict: Verdict, prediction: object = None
) -> None:
    """Write a run into ``directory``, which is made where it is missing; older files of the same names are replaced.

    ``observation`` is ``None`` for a case that was skipped: its reason is worth a place in the report too.
    """
    observation = observation or Observation(scenario=scenario.key, subject=verdict.subject)
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / SCENARIO, scenario)
    _write(directory / OBSERVATION, replace(observation, frames=()))
    _write(directory / VERDICT, verdict)
    if prediction is not None:
        _write(directory / PREDICTION, prediction)
    pcapng.write(directory / CAPTURE, observation.frames, scenario.topology, comment=scenario.key)
    (directory / LOGS).mkdir(exist_ok=True)
    for each in observation.participants:
        (directory / LOGS / f"{each.name}.log").write_text(each.output, encoding="utf-8")


def load(directory: Path) -> Record:
    """Read a run back.

    Raises:
        RecordError: If a file is missing or is not what :func:`save` wrote.
    """
    observation = _read(directory / OBSERVATION, Observation)
    capture = directory / CAPTURE
    return Record(
        scenario=_read(directory / SCENARIO, Scenario),
        observation=replace(observation, frames=pcapng.read(capture)) if capture.exists() else observation,
        verdict=_read(directory / VERDICT, Verdict),
        prediction=_read_json(directory / PREDICTION) if (directory / PREDICTION).exists() else None,
        directory=directory,
    )


def find(*directories: Path) -> tuple[Path, ...]:
    """Return every run directory at or below ``directories``, sorted, each once."""
    found = {path.parent for each in directories for path in each.rglob(VERDICT)}
    return tuple(sorted(found))


def encode(value: object) -> bytes:
    """Write any value of ours as JSON; addresses and networks become text."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=1)


def decode(kind: type[T], data: object) -> T:
    """Make a dataclass from plain JSON values, by its type hints.

    Raises:
        ValueError, TypeError, KeyError: If they do not fit.
    """
    return typing.cast("T", _build(kind, data))


def _write(path: Path, value: object) -> None:
    path.write_bytes(encode(value) + b"\n")


def _read(path: Path, kind: type[T]) -> T:
    data = _read_json(path)
    try:
        return decode(kind, data)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecordError(f"{path}: is no stored {kind.__name__} of this version of canet ({error})") from error


def _read_json(path: Path) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}); is this a run directory?") from error
    except msgspec.DecodeError as error:
        raise RecordError(f"{path}: is not JSON ({error})") from error


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _build(hint: Any, data: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = _hints(hint)
        return hint(**{key: _build(hints[key], value) for key, value in data.items() if key in hints})
    if hint in (IPv4Address, IPv4Interface, IPv4Network):
        return hint(data)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_build(arguments[0], each) for each in data)
        return tuple(_build(each, value) for each, value in zip(arguments, data, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _build(arguments[1], value) for key, value in data.items()}
    if origin in (typing.Union, types.UnionType):
        if data is None and types.NoneType in arguments:
            return None
        real = [each for each in arguments if each is not types.NoneType]
        return _build(real[0], data) if len(real) == 1 else _frozen(data)
    return _frozen(data) if hint in (object, Any) else data


def _frozen(data: Any) -> Any:
    return tuple(map(_frozen, data)) if isinstance(data, list) else data
