r"""A table of PVs and where they are served, as text: one name and one address each line.

``NAME HOST[:PORT]``; ``#`` begins a comment; a name may hold ``*`` and ``?``. Entries may also be separated by ``;``,
which is handy on a command line. The first line that fits wins; plain names win over patterns.

>>> table = Table.parse("ring:current 10.1.0.2\nvac:* 10.1.0.3:5066  # all gauges")
>>> table.where("ring:current"), table.where("vac:1"), table.where("x")
('10.1.0.2:5064', '10.1.0.3:5066', None)
"""

from __future__ import annotations

import fnmatch
import re
import socket
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

PORT = 5064


class TableError(ValueError):
    """A line of a table cannot be read; the text says which, what was found and what is allowed."""


@dataclass(frozen=True, slots=True)
class Table:
    """Names and patterns → ``A:PORT``."""

    names: dict[str, str]
    patterns: tuple[tuple[re.Pattern[str], str], ...] = ()

    @classmethod
    def parse(cls, text: str, *, resolve: bool = False) -> Table:
        """Read a table.

        Args:
            text: its lines.
            resolve: look host names up; without it only addresses are allowed.

        Raises:
            TableError: a line with another number of words, a port that is none, or a host that is not found.
        """
        names: dict[str, str] = {}
        patterns: list[tuple[re.Pattern[str], str]] = []
        for number, line in enumerate(text.replace(";", "\n").splitlines(), 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            if len(words) != 2:
                raise TableError(f"line {number}: {line.strip()!r} is not NAME HOST[:PORT]")
            name, address = words[0], _address(number, words[1], resolve)
            if "*" in name or "?" in name:
                patterns.append((re.compile(fnmatch.translate(name.replace("[", "[[]"))), address))
            else:
                names.setdefault(name, address)
        return cls(names, tuple(patterns))

    def where(self, name: str) -> str | None:
        """Return the ``A:PORT`` of a name, or ``None``."""
        known = self.names.get(name)
        if known is not None:
            return known
        return next((address for pattern, address in self.patterns if pattern.match(name)), None)

    def __len__(self) -> int:
        return len(self.names) + len(self.patterns)


def _address(number: int, text: str, resolve: bool) -> str:
    host, _, port = text.partition(":")
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise TableError(f"line {number}: {port!r} is no port (1 to 65535)")
    try:
        address = str(IPv4Address(host))
    except AddressValueError:
        if not resolve:
            raise TableError(f"line {number}: {host!r} is no IPv4 address") from None
        try:
            address = socket.gethostbyname(host)
        except (OSError, UnicodeError):
            raise TableError(f"line {number}: the host {host!r} is not found") from None
    return f"{address}:{port or PORT}"
