"""A PV as the author of an IOC sees it: typed, and safe to post to from any thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from canet.server.core.pv import PV
from canet.server.ioc.host import Host
from canet.server.protocol.alarm import Condition, Severity

T = TypeVar("T")


class Variable(Generic[T]):
    """The value of one PV of a group.

    Args:
        pv: What the server serves.
        host: Where it lives.
        read: Makes the author's value of the PV's.
        write: Makes the PV's value of the author's.
    """

    __slots__ = ("_host", "_read", "_write", "pv")

    def __init__(self, pv: PV, host: Host, read: Callable[[Any], T], write: Callable[[Any], Any]) -> None:
        self.pv = pv
        self._host = host
        self._read = read
        self._write = write

    @property
    def name(self) -> str:
        """The full name that clients search for."""
        return self.pv.name

    @property
    def value(self) -> T:
        """The present value."""
        return self._read(self.pv.value)

    @property
    def severity(self) -> Severity:
        """The present alarm severity."""
        return Severity(self.pv.severity)

    def post(
        self,
        value: T,
        *,
        severity: Severity | None = None,
        condition: Condition = Condition.SOFT,
        stamp: int | None = None,
    ) -> None:
        """Set the value and tell all who watch; any thread may do so.

        Args:
            value: The new value.
            severity: ``None``: what the limits of the PV say.
            condition: The reason, where a severity is given.
            stamp: When it was measured, in nanoseconds since 1970; ``None``: now.

        Raises:
            ValueError, TypeError: The value does not fit; nothing is changed then.
        """
        found = self.pv.coerce(self._write(value))
        status = None if severity is None else (int(condition) if severity else 0)
        self._host.call(self.pv.accept, found, stamp, status, None if severity is None else int(severity))

    def alarm(self, severity: Severity, condition: Condition = Condition.SOFT) -> None:
        """Change the alarm and leave the value; any thread may do so."""
        self._host.call(self.pv.set_alarm, int(condition) if severity else 0, int(severity))

    def configure(self, **changes: Any) -> None:
        """Change units, limits, states … (fields of :class:`canet.server.protocol.metadata.Metadata`) by name.

        Raises:
            TypeError: A name is not one of theirs.
        """
        self._host.call(self.pv.configure, **changes)

    def __repr__(self) -> str:
        return f"<{self.name} {self.value!r}>"


class ArrayVariable(Variable[NDArray[Any]]):
    """The value of a PV that holds an array; any sequence of numbers may be posted."""

    __slots__ = ()

    def post(
        self,
        value: ArrayLike | Sequence[Any],
        *,
        severity: Severity | None = None,
        condition: Condition = Condition.SOFT,
        stamp: int | None = None,
    ) -> None:
        """Set the values, as :meth:`Variable.post` does."""
        found = value if isinstance(value, bytes | bytearray) else np.asarray(value)
        super().post(found, severity=severity, condition=condition, stamp=stamp)  # type: ignore[arg-type]
