"""A process variable: a value with its alarm, time and properties, and who is told when it changes.

A PV knows no circuit and no loop. What it sends to subscribers it hands to objects with ``offer``; what it has
encoded it keeps until the value changes. Hooks may be plain or async functions: the core calls them and hands
awaitables to the driver.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, ClassVar, Protocol

from canet.server.core.limits import severity_of
from canet.server.core.update import ALARM, LOG, PROPERTY, VALUE, Update, Value
from canet.server.core.values import array, guess_native, scalar
from canet.server.protocol.dbr import ENUM, MAX_STRING, STRING, Native
from canet.server.protocol.metadata import PLAIN, Metadata

Hook = Callable[..., Awaitable[Value] | Value]


class Listener(Protocol):
    """A subscription, as a PV sees it."""

    def offer(self, mask: int) -> None:
        """Take note that the PV changed; ``mask`` says what of it (VALUE, LOG, ALARM, PROPERTY)."""


class Record(Protocol):
    """Supplies fields of a PV that the PV itself does not know, such as those of a database record."""

    def field(self, pv: PV, name: str) -> PV | None:
        """Return the PV of field ``name`` (upper case, without the dot), or ``None``."""


class Encodings:
    """What was encoded of a PV's present value."""

    __slots__ = ("payloads", "replies", "updates")

    def __init__(self) -> None:
        self.payloads: dict[tuple[int, int], bytes] = {}
        """(DBR type, count) → padded payload."""
        self.replies: dict[int, tuple[bytes, bytes]] = {}
        """First eight bytes of a READ_NOTIFY request → (first twelve bytes of its reply, payload)."""

        self.updates: dict[tuple[int, int], tuple[bytes, bytes, int]] = {}
        """(DBR type, count that was asked for) → first twelve bytes of an update, payload, size of the whole."""

    def clear(self) -> None:
        """Forget all: the value changed."""
        self.payloads.clear()
        self.replies.clear()
        self.updates.clear()


class PV:
    """A named value that clients read, write and watch.

    Args:
        name: the full name that clients search for.
        value: the first value; it also decides the type where ``type`` is ``None``.
        type: native DBR type.
        max_count: element count announced to clients; more than 1 makes the value an array.
        metadata: units, limits, states …
        max_length: bytes of a string, its terminating zero included; more than 40 are read as ``NAME$``.
        getter: called as ``getter(pv)`` before each read; what it returns (or its awaitable gives), unless ``None``,
            is posted first.
        putter: called as ``putter(pv, value)`` for each write, one at a time, in order. ``None`` stores the value as
            it was written, any other result instead of it. An exception refuses the write: the client gets
            ``ECA_PUTFAIL``, or the status of a :class:`Refused`.
        group: access security group; level: access security level: 0 for values, 1 for most fields.
        read_only: writes are refused with ``ECA_NOWTACCESS`` and rights are announced so.
        record_type: what ``CLASS_NAME`` and ``.RTYP`` say.

    Raises:
        ValueError, TypeError: if ``value`` does not fit the type.
    """

    __slots__ = (
        "acknowledge_transient",
        "cache",
        "count",
        "description",
        "fields",
        "getter",
        "group",
        "last_log",
        "last_value",
        "level",
        "listeners",
        "max_count",
        "max_length",
        "metadata",
        "name",
        "puts",
        "putter",
        "read_only",
        "record",
        "record_type",
        "severity",
        "stamp",
        "status",
        "type",
        "unacknowledged",
        "value",
        "watched",
    )

    clock: ClassVar[Callable[[], int]] = staticmethod(lambda: 0)
    """Where time stamps come from when none is given: nanoseconds since 1970.

    The core has no clock: :mod:`canet.server.io.driver` sets the real one, a simulation its own.
    """

    def __init__(
        self,
        name: str,
        value: Value = 0.0,
        *,
        type: Native | None = None,  # noqa: A002 - the field's word
        max_count: int | None = None,
        metadata: Metadata = PLAIN,
        max_length: int = MAX_STRING,
        getter: Hook | None = None,
        putter: Hook | None = None,
        group: str = "DEFAULT",
        level: int = 0,
        read_only: bool = False,
        description: str = "",
        record_type: str = "",
        record: Record | None = None,
        stamp: int | None = None,
    ) -> None:
        if type is None or max_count is None:
            guessed, count = (
                guess_native(value) if not metadata.states or not isinstance(value, str | int) else (ENUM, 1)
            )
            type = guessed if type is None else type  # noqa: A001
            if max_count is None:
                max_count = 1 if isinstance(value, str) and type != Native.CHAR else count
        if max_count < 1:
            raise ValueError(f"{name}: max_count is {max_count}, must be at least 1")
        self.name = name
        self.type = type
        self.max_count = max_count
        self.metadata = metadata
        self.max_length = max_length
        self.getter = getter
        self.putter = putter
        self.group = group
        self.level = level
        self.read_only = read_only
        self.description = description
        self.record_type = record_type
        self.record = record
        self.fields: dict[str, PV] | None = None
        """Field PVs that were asked for or given: name without the dot → PV."""
        self.cache: Encodings | None = None
        self.listeners: list[Listener] | None = None
        self.puts: deque[Any] | None = None
        """Writes that wait for the putter; kept by :mod:`canet.server.core.hooks`."""
        self.watched: list[Callable[[PV], None]] | None = None
        """Called after each change, whoever made it; for fields, which mirror their PV."""
        self.acknowledge_transient = True
        self.unacknowledged = 0
        """Highest severity that nobody acknowledged (``ACKS``)."""
        self.value: Value = self.coerce(value)
        self.count: int = len(self.value) if max_count > 1 else 1
        self.status = 0
        self.severity = 0
        self.last_value = self.last_log = self.value
        self.stamp: int = PV.clock() if stamp is None else stamp
        if metadata is not PLAIN and max_count == 1:
            self.status, self.severity = severity_of(self.value, self.type, metadata, 0)

    def coerce(self, value: Value) -> Value:
        """Return ``value`` in the form that this PV holds it.

        Raises:
            ValueError, TypeError: if it does not fit.
        """
        if self.max_count == 1:
            if isinstance(value, list | tuple) and len(value) == 1:
                value = value[0]
            return scalar(self.type, value, self.metadata.states, self.max_length)
        if not hasattr(value, "__len__"):
            value = [value]
        return array(self.type, value, self.max_count, self.metadata.states, self.max_length)

    def post(
        self, value: Value, *, stamp: int | None = None, status: int | None = None, severity: int | None = None
    ) -> None:
        """Set the value, and tell subscribers.

        Args:
            value: anything that :meth:`coerce` takes.
            stamp: nanoseconds since 1970; ``None``: now.
            status: the alarm condition, where ``severity`` is given.
            severity: ``None`` computes alarm condition and severity from the limits of the metadata.

        Raises:
            ValueError, TypeError: if the value does not fit; nothing is changed then.
        """
        self.accept(self.coerce(value), stamp, status, severity)

    def accept(
        self, value: Value, stamp: int | None = None, status: int | None = None, severity: int | None = None
    ) -> None:
        """Do as :meth:`post` with a value that is already in the PV's own form."""
        self.value = value
        self.stamp = PV.clock() if stamp is None else stamp
        if self.max_count > 1:
            self.count = len(value)
        if self.cache is not None:
            self.cache.clear()
        metadata = self.metadata
        if severity is None:
            if metadata is PLAIN:
                status = severity = 0
            else:
                status, severity = severity_of(value, self.type, metadata, self.status)
        mask = VALUE | LOG
        if metadata is not PLAIN:
            mask = self._deadbands(value)
        if severity != self.severity or status != self.status:
            mask |= ALARM
            if not self.acknowledge_transient or severity >= self.unacknowledged:
                self.unacknowledged = severity
            self.status = status or 0
            self.severity = severity
        if self.listeners:
            for listener in self.listeners:
                listener.offer(mask)
        for mirror in self.watched or ():
            mirror(self)

    def _deadbands(self, value: Value) -> int:
        """Return which of VALUE and LOG happened, by MDEL and ADEL (``recGblCheckDeadband``)."""
        metadata = self.metadata
        if self.max_count > 1 or self.type in (STRING, ENUM):
            return VALUE | LOG
        mask = 0
        # "not <=" and not ">": a NaN on either side is always a change, as in recGblCheckDeadband.
        if metadata.monitor_deadband < 0 or not abs(value - self.last_value) <= metadata.monitor_deadband:
            mask |= VALUE
            self.last_value = value
        if metadata.archive_deadband < 0 or not abs(value - self.last_log) <= metadata.archive_deadband:
            mask |= LOG
            self.last_log = value
        return mask

    def set_alarm(self, status: int, severity: int, *, stamp: int | None = None) -> None:
        """Change the alarm and leave the value."""
        self.accept(self.value, stamp, status, severity)

    def configure(self, **changes: Any) -> None:
        """Change fields of the metadata by name, and send a property event.

        Raises:
            TypeError: for a name that :class:`Metadata` does not have.
        """
        self.metadata = replace(self.metadata, **changes)
        if self.cache is not None:
            self.cache.clear()
        for listener in self.listeners or ():
            listener.offer(PROPERTY)
        self.touched()

    def touched(self) -> None:
        """Bring the PVs that mirror this one up to date."""
        for mirror in self.watched or ():
            mirror(self)

    def acknowledge(self, severity: int) -> None:
        """Acknowledge alarms up to ``severity`` (a write of ``DBR_PUT_ACKS``; ``dbPut``, ``putAcks``)."""
        if severity >= self.unacknowledged:
            self.unacknowledged = 0
            self._acknowledged()

    def set_acknowledge_transient(self, flag: bool) -> None:
        """Say whether alarms that are gone still need acknowledgement (``DBR_PUT_ACKT``; ``putAckt``)."""
        if flag == self.acknowledge_transient:
            return
        self.acknowledge_transient = flag
        if not flag and self.unacknowledged > self.severity:
            self.unacknowledged = self.severity
        self._acknowledged()

    def _acknowledged(self) -> None:
        """Tell those who watch alarms."""
        if self.cache is not None:
            self.cache.clear()
        for listener in self.listeners or ():
            listener.offer(ALARM)

    def update(self, mask: int) -> Update:
        """Return the present value as an :class:`Update`."""
        return Update(self.value, self.status, self.severity, self.stamp, mask)

    def __repr__(self) -> str:
        return f"<PV {self.name} {self.type.name}[{self.max_count}] {self.value!r}>"


STORED = object()
"""What a putter returns that has posted the value (or another) itself."""


class Refused(Exception):  # noqa: N818 - what a putter does, not an error of ours
    """Raised by a hook to refuse with a CA status of its own (for example ``eca.NOWTACCESS``)."""

    def __init__(self, status: int, reason: str = "") -> None:
        super().__init__(reason or f"refused with status {status}")
        self.status = status
