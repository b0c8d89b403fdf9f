"""What a scenario file has wrong, in one sentence that says where, what was found and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ScenarioError(ValueError):
    """A mistake in a scenario file. Nothing has been started; the command line ends with exit code 2.

    Args:
        file: path of the file, as the user gave it.
        key: dotted path of the value, such as ``hosts.ioc.interfaces.eth0.segment``; empty for the whole file.
        found: what stands there, in words.
        allowed: what may stand there, in words.
        nearest: the allowed spelling that is most like what was found; empty if none is.
    """

    def __init__(self, file: str, key: str, found: str, allowed: str, nearest: str = "") -> None:
        self.file, self.key, self.found, self.allowed, self.nearest = file, key, found, allowed, nearest
        super().__init__(str(self))

    def __str__(self) -> str:
        where = f"{self.file}: {self.key if self.key.isprintable() else repr(self.key)}" if self.key else self.file
        hint = f"; did you mean {self.nearest!r}?" if self.nearest else "."
        return f"{where} is {self.found}; allowed is {self.allowed}{hint}"

    def __reduce__(self) -> tuple[type[ScenarioError], tuple[str, ...]]:
        return type(self), (self.file, self.key, self.found, self.allowed, self.nearest)


class MistakeError(ValueError):
    """The same without the file: raised where the file's name is not known, and caught by the loader."""

    def __init__(self, key: str, found: str, allowed: str, nearest: str = "") -> None:
        self.key, self.found, self.allowed, self.nearest = key, found, allowed, nearest
        super().__init__(f"{key} is {found}; allowed is {allowed}")

    def within(self, file: str) -> ScenarioError:
        """Return the error that names the file too."""
        return ScenarioError(file, self.key, self.found, self.allowed, self.nearest)


def unknown(key: str, found: str, known: Iterable[str], what: str) -> MistakeError:
    """Return the mistake of a name that does not exist; ``what`` says what it should have been.

    >>> print(unknown("servers.ioc1.host", "ico", ["client", "ioc"], "a host of this file"))
    servers.ioc1.host is 'ico'; allowed is a host of this file (client, ioc)
    """
    names = list(known)
    allowed = f"{what} ({', '.join(names) or 'there is none'})"
    return MistakeError(key, repr(found), allowed, nearest(found, names))


def nearest(found: str, known: Iterable[str]) -> str:
    """Return the known name that is most like what was found, whatever its case; empty if none is.

    >>> nearest("IOC1:Value", ["ioc1:value", "ioc2:value"])
    'ioc1:value'
    """
    names = {each.lower(): each for each in known}
    return next((names[each] for each in get_close_matches(found.lower(), list(names), n=1, cutoff=0.5)), "")
