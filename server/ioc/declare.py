"""Declare PVs and sub-groups in the body of a group's class.

A declaration is what the class holds; the group's instance gives the :class:`~canet.server.ioc.variable.Variable` in
its place. Both know the type of the value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from canet.server.core.macros import expand
from canet.server.core.pv import PV
from canet.server.ioc.bind import bind_putter, keep
from canet.server.ioc.hooks import Mark, check_period, mark
from canet.server.ioc.host import Host
from canet.server.ioc.kinds import kind_of
from canet.server.ioc.options import Options, check, metadata_of
from canet.server.ioc.variable import ArrayVariable, Variable
from canet.server.protocol.dbr import MAX_STRING

if TYPE_CHECKING:
    from typing import Self, Unpack

    from canet.server.ioc.group import Group

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")
G = TypeVar("G", bound="Group")


class Declaration(Generic[T]):
    """One PV in the body of a class."""

    def __init__(self, value: Any, options: Options) -> None:
        check(options)
        self.first = value
        self.options = options
        self.kind = kind_of(value, options.get("states", ()), options.get("type"))
        self.member = options.get("name", "")
        """What the class calls it, and its PV unless a name is given."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.member = name

    @overload
    def __get__(self, group: None, owner: type) -> Self: ...
    @overload
    def __get__(self, group: Group, owner: type) -> Variable[T]: ...
    def __get__(self, group: Group | None, owner: type) -> Self | Variable[T]:
        """Return the declaration from the class, the variable from an instance."""
        return self if group is None else group._variable(self)

    def putter(self, function: Callable[[S, T], R]) -> Callable[[S, T], R]:
        """Call a method with each value that a client writes, one at a time.

        The method, plain or async, returns what is to be stored: nothing for the value as it was written. What it
        raises refuses the write (:class:`~canet.server.core.pv.Refused` with a status of its own). A client that asked
        to be told when its write is done is told when the method has finished.
        """
        return mark(function, Mark("putter", self))

    def getter(self, function: Callable[[S], R]) -> Callable[[S], R]:
        """Call a method before each read by a client; what it returns, unless nothing, is posted first."""
        return mark(function, Mark("getter", self))

    def startup(self, function: Callable[[S], R]) -> Callable[[S], R]:
        """Call a method before the first client is served; what it returns, unless nothing, is posted."""
        return mark(function, Mark("startup", self))

    def scan(self, period: float) -> Callable[[Callable[[S], R]], Callable[[S], R]]:
        """Call a method every ``period`` seconds; what it returns, unless nothing, is posted.

        Raises:
            ValueError: The period is not more than 0.
        """
        check_period(period)
        return lambda function: mark(function, Mark("scan", self, period))

    def build(self, prefix: str, macros: Mapping[str, str], host: Host) -> Variable[T]:
        """Make the PV of one group's instance.

        Raises:
            ValueError, TypeError: What is declared does not fit together; the message begins with the PV's name.
        """
        options = self.options
        name = expand(prefix + options.get("name", self.member), macros)
        first = expand(self.first, macros) if isinstance(self.first, str) else self.kind.write(self.first)
        try:
            pv = PV(
                name,
                first,
                type=self.kind.native,
                max_count=options.get("max_count"),
                metadata=metadata_of(self.options, self.kind, macros),
                max_length=options.get("max_length", MAX_STRING),
                read_only=options.get("read_only", False),
                group=options.get("group", "DEFAULT"),
                description=expand(options.get("description", ""), macros),
                record_type=options.get("record_type", ""),
                putter=bind_putter(self.kind, keep) if self.kind.states else None,
            )
        except (ValueError, TypeError) as error:
            raise type(error)(f"{name}: {error}") from error
        return self.wrap(pv, host)

    def wrap(self, pv: PV, host: Host) -> Variable[T]:
        """Return the variable of a PV."""
        return Variable(pv, host, self.kind.read, self.kind.write)


class Array(Declaration[NDArray[Any]]):
    """One PV that holds an array, in the body of a class."""

    @overload
    def __get__(self, group: None, owner: type) -> Self: ...
    @overload
    def __get__(self, group: Group, owner: type) -> ArrayVariable: ...
    def __get__(self, group: Group | None, owner: type) -> Self | ArrayVariable:
        """Return the declaration from the class, the variable from an instance."""
        return self if group is None else group._variable(self)  # type: ignore[return-value]

    def wrap(self, pv: PV, host: Host) -> ArrayVariable:
        """Return the variable of a PV."""
        return ArrayVariable(pv, host, self.kind.read, self.kind.write)


@overload
def pv(value: str, **options: Unpack[Options]) -> Declaration[str]: ...
@overload
def pv(value: list[str] | tuple[str, ...], **options: Unpack[Options]) -> Declaration[tuple[str, ...]]: ...
@overload
def pv(value: NDArray[Any] | Sequence[float], **options: Unpack[Options]) -> Array: ...
@overload
def pv(value: T, **options: Unpack[Options]) -> Declaration[T]: ...
def pv(value: Any, **options: Unpack[Options]) -> Declaration[Any]:
    """Declare a PV in the body of a group's class.

    Args:
        value: The first value; it also says what the PV is: a float, an int, a bool (Off or On), text, a member of an
            :class:`enum.Enum` (its members are the states), or an array: a numpy array, bytes, a sequence of numbers
            or of texts.
        options: See :class:`~canet.server.ioc.options.Options`.

    Returns:
        A declaration; instances of the class have a :class:`~canet.server.ioc.variable.Variable` in its place.

    Raises:
        TypeError: There is no such keyword.
        ValueError: The type or the states are none that Channel Access knows.
    """
    return declaration(value, options)


def declaration(value: Any, options: Options) -> Declaration[Any]:
    """Return the declaration that fits a value."""
    is_array = isinstance(value, np.ndarray | bytes | bytearray) or (
        isinstance(value, Sequence) and not isinstance(value, str) and not any(isinstance(each, str) for each in value)
    )
    return Array(value, options) if is_array else Declaration(value, options)


class Subgroup(Generic[G]):
    """A group inside of a group."""

    def __init__(self, group: type[G], prefix: str | None, macros: Mapping[str, str]) -> None:
        self.group = group
        self.prefix = prefix
        self.macros = macros

    def __set_name__(self, owner: type, name: str) -> None:
        if self.prefix is None:
            self.prefix = f"{name}:"

    @overload
    def __get__(self, group: None, owner: type) -> Self: ...
    @overload
    def __get__(self, group: Group, owner: type) -> G: ...
    def __get__(self, group: Group | None, owner: type) -> Self | G:
        """Return the declaration from the class, the inner group from an instance."""
        if group is None:
            return self
        found: G = group._subgroup(self)
        return found


def subgroup(group: type[G], prefix: str | None = None, **macros: str) -> Subgroup[G]:
    """Declare a group inside of a group.

    Args:
        group: Its class.
        prefix: What its PVs' names have behind the outer prefix; by default the attribute's name and a colon.
        macros: Values for ``$(NAME)`` in it, besides those of the outer group.
    """
    return Subgroup(group, prefix, macros)
