"""Reading and writing through an author's hooks, which may be async: the core never waits, it hands jobs on.

A write goes through the putter of its PV, one at a time and in order; it is done when the putter has finished. What
is awaited is a :class:`Job` that the driver runs.
"""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any

from canet.server.core.pv import PV, STORED, Refused
from canet.server.core.update import Value
from canet.server.protocol import eca

log = logging.getLogger("canet.server")

Done = Callable[[int], None]
"""Told the ECA status in the end."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something to await, and what to do with the outcome. Call exactly one of both callbacks."""

    awaitable: Awaitable[Any]
    done: Callable[[Any], None]
    failed: Callable[[BaseException], None]


Start = Callable[[Job], None]
"""Takes a job that the driver shall run."""


def read(pv: PV, start: Start, done: Done) -> None:
    """Bring a PV up to date by its getter, then tell ``done`` NORMAL, or why it cannot be read."""

    def finish(value: Value) -> None:
        try:
            if value is not None:
                pv.post(value)
        except (ValueError, TypeError) as error:
            failed(error)
        else:
            done(eca.NORMAL)

    def failed(error: BaseException) -> None:
        done(_status_of(error, eca.GETFAIL, f"getter of {pv.name}"))

    if pv.getter is None:
        done(eca.NORMAL)
        return
    try:
        result = pv.getter(pv)
    except Exception as error:  # an author's hook may raise anything; its client gets an error
        failed(error)
        return
    if inspect.isawaitable(result):
        start(Job(result, finish, failed))
    else:
        finish(result)


def submit(pv: PV, value: Value, start: Start, done: Done) -> None:
    """Write a value that is in the PV's own form; ``done`` is told the status when the putter has finished."""
    if pv.putter is None:
        pv.accept(value)
        done(eca.NORMAL)
    elif pv.puts is not None:
        pv.puts.append((value, start, done))
    else:
        _put(pv, value, start, done)


def _put(pv: PV, value: Value, start: Start, done: Done) -> None:
    """Run the putter for one write, then for those that queued up behind it."""
    assert pv.putter is not None  # submit() looked

    def finish(result: Value) -> None:
        try:
            _store(pv, value, result)
        except (ValueError, TypeError) as error:
            failed(error)
        else:
            settle(eca.NORMAL)

    def failed(error: BaseException) -> None:
        settle(_status_of(error, eca.PUTFAIL, f"putter of {pv.name}"))

    def settle(status: int) -> None:
        waiting = pv.puts
        pv.puts = None
        done(status)
        if waiting:
            following, its_start, its_done = waiting.popleft()
            _put(pv, following, its_start, its_done)
            if pv.puts is None:
                for each in waiting:
                    submit(pv, *each)
            else:
                pv.puts.extend(waiting)

    pv.puts = deque()
    try:
        result = pv.putter(pv, value)
    except Exception as error:  # an author's hook may raise anything; its client gets an error
        failed(error)
        return
    if inspect.isawaitable(result):
        start(Job(result, finish, failed))
    else:
        finish(result)


def _status_of(error: BaseException, default: int, where: str) -> int:
    """Return the status that a client gets for what a hook raised, and log where it happened."""
    if isinstance(error, Refused):
        return error.status
    log.error("%s raised %s: %s", where, type(error).__name__, error, exc_info=error)
    return default


def _store(pv: PV, value: Value, result: Value) -> None:
    """Do with a written value what the putter's result says."""
    if result is None:
        pv.accept(value)
    elif result is not STORED:
        pv.post(result)


def write(pv: PV, value: Value) -> Value:
    """Write to a PV from a putter of another one, which returns what this returns.

    Returns:
        :data:`STORED`, or an awaitable of it where the PV's putter is async.

    Raises:
        Refused: (at once, or where it is awaited) if the putter refuses.
        ValueError, TypeError: if the value does not fit.
    """
    value = pv.coerce(value)
    result = pv.putter(pv, value) if pv.putter is not None else None
    if inspect.isawaitable(result):
        return _Finishing(pv, value, result)
    _store(pv, value, result)
    return STORED


class _Finishing:
    """Awaits a putter, then stores; gives :data:`STORED`. Written without ``await``, which the core has none of."""

    def __init__(self, pv: PV, value: Value, result: Awaitable[Value]) -> None:
        self._pv = pv
        self._value = value
        self._result = result

    def __await__(self) -> Generator[Any, Any, Value]:
        given = yield from self._result.__await__()
        _store(self._pv, self._value, given)
        return STORED
