"""Channel names: a PV, one of its fields, its text as a long string, or any of them seen through filters.

``NAME[.FIELD][$][FILTERS]``, where the filters are a JSON object or an array range (``dbChannel.c``). A
:class:`Directory` holds PVs by name; anything else that can find PVs is a :class:`Provider`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from canet.server.core.fields import find_field
from canet.server.core.pv import PV


@dataclass(frozen=True, slots=True)
class Target:
    """What a channel name stands for."""

    pv: PV
    filters: str = ""
    """The filters as the client wrote them; empty: none."""


class Provider(Protocol):
    """Finds PVs by their plain names, without fields and filters."""

    def find(self, name: str) -> PV | None:
        """Return the PV called ``name``, or ``None``; called for each search, so an unknown name must cost little."""


@runtime_checkable
class Referrer(Protocol):
    """A provider that also knows where names are served that it does not serve: what a name server is."""

    def refer(self, name: str) -> tuple[int, int] | None:
        """Return the IPv4 address, as a number, and the TCP port of the server that has ``name``, or ``None``."""


class Directory:
    """PVs by name.

    >>> directory = Directory([PV("x", 1.0)])
    >>> directory.find("x"), directory.find("y")
    (<PV x DOUBLE[1] 1.0>, None)
    """

    __slots__ = ("pvs", "version", "wire")

    def __init__(self, pvs: Iterable[PV] = ()) -> None:
        self.pvs: dict[str, PV] = {}
        self.wire: dict[bytes, PV] = {}
        """The same by the names' bytes, as searches bring them."""
        self.version = 0
        """Counts changes."""
        for each in pvs:
            self.add(each)

    def add(self, pv: PV, *aliases: str) -> None:
        """Serve a PV under its name, and under other names.

        Raises:
            ValueError: if one of the names is taken or empty.
        """
        for name in (pv.name, *aliases):
            if not name or name in self.pvs:
                raise ValueError(f"{name!r} is already served" if name else "a PV needs a name")
            self.pvs[name] = pv
            self.wire[name.encode("utf-8", "surrogateescape")] = pv
        self.version += 1

    def remove(self, name: str) -> None:
        """Serve a name no longer; channels that are open stay."""
        del self.pvs[name]
        del self.wire[name.encode("utf-8", "surrogateescape")]
        self.version += 1

    def find(self, name: str) -> PV | None:
        """Return the PV called ``name``, or ``None``."""
        return self.pvs.get(name)

    def __len__(self) -> int:
        return len(self.pvs)

    def __iter__(self) -> Iterator[PV]:
        return iter(self.pvs.values())


class Names:
    """Resolves channel names with a list of providers, the first that knows a name wins."""

    __slots__ = ("_alone", "_elsewhere", "providers", "wire")

    def __init__(self, *providers: Provider) -> None:
        self.providers = providers
        first = providers[0] if providers else None
        self.wire: dict[bytes, PV] = first.wire if isinstance(first, Directory) else {}
        """Plain names that need no look-up but this one."""
        self._alone = all(isinstance(each, Directory) for each in providers[:1]) and len(providers) < 2
        self._elsewhere = [each for each in providers if isinstance(each, Referrer)]

    @property
    def generation(self) -> int:
        """A number that differs when names came or went; -1 where nobody can tell, since a provider is no directory."""
        total = 0
        for each in self.providers:
            if not isinstance(each, Directory):
                return -1
            total += each.version
        return total

    def knows(self, raw: bytes) -> bool:
        """Return whether a search for a name (without its zeros) is to be answered."""
        if raw in self.wire:
            return True
        if self._alone and not (b"." in raw or b"$" in raw or b"{" in raw or b"[" in raw):
            return False
        return self.resolve(raw) is not None or self.place(raw) is not None

    def place(self, raw: bytes) -> tuple[int, int] | None:
        """Return (IPv4 address as a number, TCP port) of a name that is served elsewhere; ``None``: here."""
        for each in self._elsewhere:
            found = each.refer(raw.decode("utf-8", "surrogateescape"))
            if found is not None:
                return found
        return None

    def resolve(self, raw: bytes) -> Target | None:
        """Return what a name stands for, or ``None``."""
        pv = self.wire.get(raw)
        if pv is not None:
            return Target(pv)
        name = raw.decode("utf-8", "surrogateescape")
        found = self._find(name)
        if found is not None:
            return Target(found)
        name, filters = split_filters(name)
        long = name.endswith("$")
        name = name[:-1] if long else name
        base, dot, field = name.rpartition(".")
        found = self._find(name) if filters or long else None
        if found is None and dot:
            owner = self._find(base)
            found = find_field(owner, field) if owner is not None else None
        if found is not None and long:
            found = find_field(found, "$")
        if found is None or (filters and not valid_filters(filters)):
            return None
        return Target(found, filters)

    def _find(self, name: str) -> PV | None:
        """Ask the providers in turn."""
        if not name:
            return None
        for provider in self.providers:
            pv = provider.find(name)
            if pv is not None:
                return pv
        return None


def split_filters(name: str) -> tuple[str, str]:
    """Return the name and the filters that follow it.

    >>> split_filters('x.VAL{"dbnd":{"abs":1}}'), split_filters("x.[1:2:9]"), split_filters("x")
    (('x.VAL', '{"dbnd":{"abs":1}}'), ('x', '[1:2:9]'), ('x', ''))
    """
    starts = [at for at in (name.find("{"), name.find("[")) if at > 0]
    if not starts:
        return name, ""
    return name[: min(starts)].removesuffix("."), name[min(starts) :]


def valid_filters(filters: str) -> bool:
    """Return whether filters can be read; a channel whose filters cannot does not exist (``dbChannelCreate``)."""
    from canet.server.core.filters import parse

    try:
        parse(filters)
    except ValueError:
        return False
    return True
