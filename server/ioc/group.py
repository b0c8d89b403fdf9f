"""Groups: classes whose PVs and hooks are declared in their bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar, Unpack

from canet.server.core.pv import PV
from canet.server.ioc.bind import bind_getter, bind_putter
from canet.server.ioc.declare import Declaration, Subgroup, declaration
from canet.server.ioc.hooks import Mark, When, marks_of
from canet.server.ioc.host import IO, Host
from canet.server.ioc.options import Options
from canet.server.ioc.variable import Variable

T = TypeVar("T")
G = TypeVar("G", bound="Group")
_OUTER: ContextVar[Host | None] = ContextVar("outer", default=None)
"""The host of the group that is making an inner one."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A method of one group's instance, ready to be called."""

    name: str
    """For logs: ``Class.method``."""
    call: Callable[[], Any]
    variable: Variable[Any] | None
    """Where the result is to be posted."""
    period: float = 0.0


class Group:
    """PVs that belong together.

    Args:
        prefix: What the names of all PVs begin with; may hold macros.
        macros: Values for ``$(NAME)`` in the prefix, in names, units, descriptions and text values.

    Raises:
        ValueError, TypeError: A declaration does not fit together; the message begins with the PV's name.
        MacroError: A macro has no value.
    """

    _declarations: ClassVar[tuple[Declaration[Any], ...]] = ()
    _subgroups: ClassVar[tuple[Subgroup[Any], ...]] = ()
    _marks: ClassVar[tuple[tuple[str, Mark], ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        members: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            members.update(vars(base))
        declared = {name: each for name, each in members.items() if isinstance(each, Declaration | Subgroup)}
        for name in declared:
            if name in _RESERVED:
                raise TypeError(
                    f"{cls.__name__}.{name}: groups have a member of this name; call the attribute otherwise, and give"
                    f" its PV the name by pv(…, name={name!r})"
                )
        cls._declarations = tuple(each for each in declared.values() if isinstance(each, Declaration))
        cls._subgroups = tuple(each for each in declared.values() if isinstance(each, Subgroup))
        marks: dict[tuple[str, str, object], tuple[str, Mark]] = {}
        for base in reversed(cls.__mro__):
            for name, member in vars(base).items():
                for found in marks_of(member):
                    if found.declaration is not None:  # a derived class may have declared it anew, or given it up
                        current = declared.get(found.declaration.member)
                        if current is None:
                            continue
                        found = replace(found, declaration=current)
                    # A putter or getter of a derived class takes the place of its base's; other hooks add up.
                    single = found.when in ("getter", "putter")
                    marks[found.when, "" if single else name, found.declaration] = (name, found)
        cls._marks = tuple(marks.values())

    def __init__(self, prefix: str = "", macros: Mapping[str, str] | None = None) -> None:
        self.prefix = prefix
        self.macros = dict(macros or {})
        self._host = _OUTER.get() or Host()
        self._inner: dict[Subgroup[Any], Group] = {}
        self._attached: list[Group] = []
        self._variables: dict[Declaration[Any], Variable[Any]] = {}
        for each in self._declarations:
            variable = self._variables[each] = each.build(prefix, self.macros, self._host)
            self._host.directory.add(variable.pv)
        for name, found in self._marks:
            if found.declaration is not None and found.when in ("getter", "putter"):
                self._bind(found, found.declaration, getattr(self, name))
        for inner in self._subgroups:
            self._inner[inner] = self._adopt(inner.group, prefix + (inner.prefix or ""), inner.macros)

    @property
    def io(self) -> IO:
        """What hooks may do with time, tasks and threads.

        Raises:
            RuntimeError: The IOC does not run yet.
        """
        return self._host.io

    def _variable(self, found: Declaration[T]) -> Variable[T]:
        """Return the variable of a declaration."""
        return self._variables[found]

    def _subgroup(self, found: Subgroup[Any]) -> Any:
        """Return the inner group of a declaration."""
        return self._inner[found]

    def _groups(self) -> Iterator[Group]:
        """Yield this group, then all inner ones."""
        yield self
        for each in (*self._inner.values(), *self._attached):
            yield from each._groups()

    def add(
        self,
        name: str,
        value: T,
        /,
        *,
        getter: Callable[[], Any] | None = None,
        putter: Callable[[T], Any] | None = None,
        **options: Unpack[Options],
    ) -> Variable[T]:
        """Add a PV that is not declared in the class, before or while the IOC runs; any thread may do so.

        Args:
            name: Behind the group's prefix.
            value: The first value, as for :func:`~canet.server.ioc.pv`.
            getter: Called before each read; what it returns, unless ``None``, is posted first.
            putter: Called with each value that a client writes; returns what is to be stored.
            options: As for :func:`~canet.server.ioc.pv`.

        Returns:
            Its variable.

        Raises:
            ValueError, TypeError: The name is taken, or what is said does not fit together.
        """
        options["name"] = name
        found: Declaration[T] = declaration(value, options)
        variable = found.build(self.prefix, self.macros, self._host)
        if self._host.directory.find(variable.name) is not None:
            raise ValueError(f"{variable.name!r} is already served")
        if getter is not None:
            variable.pv.getter = bind_getter(found.kind, getter)
        if putter is not None:
            variable.pv.putter = bind_putter(found.kind, putter)
        self._host.call(self._host.directory.add, variable.pv)
        return variable

    def attach(self, group: type[G], prefix: str, **macros: str) -> G:
        """Add a group that is not declared in the class; only before the IOC runs.

        Args:
            group: Its class.
            prefix: What its PVs' names begin with, all of it.
            macros: Values for ``$(NAME)`` in it, besides ours.

        Returns:
            The group.
        """
        made = self._adopt(group, prefix, macros)
        self._attached.append(made)
        return made

    def remove(self, variable: Variable[Any]) -> None:
        """Serve a PV no longer: its clients are told that it is gone; any thread may do so."""
        self._host.call(self._withdraw, variable.pv)

    def _withdraw(self, pv: PV) -> None:
        self._host.directory.remove(pv.name)
        self._host.withdraw(pv)

    def _bind(self, found: Mark, of: Declaration[Any], method: Callable[..., Any]) -> None:
        pv = self._variables[of].pv
        if found.when == "getter":
            pv.getter = bind_getter(of.kind, method)
        else:
            pv.putter = bind_putter(of.kind, method)

    def _adopt(self, group: type[G], prefix: str, macros: Mapping[str, str]) -> G:
        """Make an inner group that lives in our host."""
        # Its class may have an __init__ of its own, so the host goes in by the side.
        token = _OUTER.set(self._host)
        try:
            return group(prefix, {**self.macros, **macros})
        finally:
            _OUTER.reset(token)


_RESERVED = frozenset(dir(Group)) | {"prefix", "macros"}
"""What attributes of groups must not be called."""


def host_of(group: Group) -> Host:
    """Return what a group shares with all others of its tree: the directory of their PVs, and the loop."""
    return group._host


def hooks_of(group: Group, when: When) -> Iterator[Hook]:
    """Yield what is to be called at the start, periodically, or at the end, of a group and all inner ones."""
    for each in group._groups():
        for name, found in each._marks:
            if found.when == when:
                variable = each._variables[found.declaration] if found.declaration is not None else None
                yield Hook(f"{type(each).__name__}.{name}", getattr(each, name), variable, found.period)


def stop(group: Group) -> None:
    """End the IOC that serves a group, as a signal would; any thread or hook may ask for it."""
    group._host.call(group._host.stop)
