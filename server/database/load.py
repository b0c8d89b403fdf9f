"""Database files and what they include → records, as the author meant them.

Records keep the order of their first appearance. A record that appears again adds to what is there; ``record("*", …)``
does so without naming the type, and ``record("#", …)`` removes it (EPICS Base, ``dbLexRoutines.c``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from canet.server.core.macros import MacroError, expand
from canet.server.core.problem import DatabaseError, Problem
from canet.server.database.parser import Alias, Include, RecordBlock, SearchPath, parse
from canet.server.database.record_types import field_problem
from canet.server.database.substitutions import SUFFIXES
from canet.server.database.substitutions import parse as parse_substitutions

_MAX_NAME = 60
_DEEPEST = 20
_REFERENCE = re.compile(r"\$[({](\w*)[^)}]*[)}]?")
_BAD_NAME = re.compile(r"[\x00-\x20\"'.$]")
ReadText = Callable[[Path], str]


@dataclass(slots=True)
class Record:
    """One record as its files describe it."""

    type: str
    name: str
    file: str
    line: int
    fields: dict[str, str] = field(default_factory=dict)
    """Only what the files set; values are text."""
    infos: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Database:
    """All records that were loaded; ``load`` may add more files to one database."""

    records: dict[str, Record] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    """Alias → record name."""


def load(
    *files: str | Path,
    macros: Mapping[str, str] | None = None,
    path: Iterable[str | Path] = (),
    into: Database | None = None,
    read: ReadText | None = None,
) -> Database:
    """Load database files.

    Args:
        files: Their paths, loaded in this order; substitution files too, by the ends of their names.
        macros: Values of macros in them.
        path: Folders in which included files are searched, after the folder of the file that includes them.
        into: A database to add to; by default a new one.
        read: How a file is read; by default from disk, as UTF-8.

    Returns:
        The database.

    Raises:
        DatabaseError: Something in the files is wrong; the error lists all that was found, with file and line.
    """
    loader = _Loader(into if into is not None else Database(), dict(macros or {}), [Path(p) for p in path], read)
    for file in files:
        loader.file(Path(file), None)
    if loader.problems:
        raise DatabaseError(loader.problems)
    return loader.database


class _Loader:
    """Statements of files being joined into one database."""

    def __init__(self, database: Database, macros: dict[str, str], folders: list[Path], read: ReadText | None) -> None:
        self.database = database
        self.macros = macros
        self.folders = folders
        self.read = read or (lambda file: file.read_text(encoding="utf-8", errors="surrogateescape"))
        self.problems: list[Problem] = []
        self.open: list[Path] = []

    def file(self, file: Path, included: tuple[str, int] | None) -> None:
        where = included or (str(file), 1)
        if len(self.open) >= _DEEPEST or file in self.open:
            self.problems.append(Problem(*where, f"{file} includes itself"))
            return
        try:
            text = self.read(file)
        except OSError as error:
            reason = error.strerror or str(error)
            self.problems.append(Problem(*where, f"cannot read {file}: {reason}"))
            return
        self.open.append(file)
        name = str(file)
        if file.suffix in SUFFIXES:
            self.templates(file, text)
            self.open.pop()
            return
        for statement in parse(self.expanded(text, name), name, self.problems):
            match statement:
                case RecordBlock():
                    self.record(statement, name)
                case Alias():
                    self.alias(statement.name, statement.alias, name, statement.line)
                case Include():
                    self.file(self.find(file, statement.file), (name, statement.line))
                case SearchPath(folders, adds):
                    self.folders = (self.folders if adds else []) + [Path(folder) for folder in folders]
        self.open.pop()

    def templates(self, file: Path, text: str) -> None:
        """Load the templates that a substitution file names, each with its macros."""
        outer = self.macros
        for use in parse_substitutions(text, str(file), self.problems):
            where = (str(file), use.line)
            self.macros = dict(outer)
            try:
                for name, value in use.macros:
                    self.macros[name] = expand(value, self.macros)
                template = expand(use.template, self.macros)
            except MacroError as error:
                self.problems.append(Problem(*where, str(error)))
                continue
            self.file(self.find(file, template), where)
        self.macros = outer

    def find(self, by: Path, name: str) -> Path:
        """Search an included file beside the file that names it, then in the folders of the path."""
        candidates = [by.parent / name, *(folder / name for folder in self.folders)]
        return next((candidate for candidate in candidates if candidate.exists()), candidates[0])

    def expanded(self, text: str, file: str) -> str:
        """Expand macros line by line, so that lines keep their numbers; comments may name macros that have no value."""
        if "$(" not in text and "${" not in text:
            return text
        lines = text.split("\n")
        for number, line in enumerate(lines):
            if "$(" not in line and "${" not in line:
                continue
            try:
                lines[number] = expand(_without_comment(line), self.macros).replace("\n", " ")
            except MacroError as error:
                self.problems.append(Problem(file, number + 1, str(error)))
                lines[number] = _REFERENCE.sub(r"\1", line)
        return "\n".join(lines)

    def record(self, block: RecordBlock, file: str) -> None:
        name = self.database.aliases.get(block.name, block.name)
        record = self.database.records.get(name)
        if block.type == "#":
            self.remove(block, name, file)
            return
        if record is None:
            problem = _name_problem(name)
            if block.type == "*":
                problem = f'record("*", "{name}") adds to a record that is not there yet'
            if problem:
                self.problems.append(Problem(file, block.line, problem))
                return
            record = self.database.records[name] = Record(block.type, name, file, block.line)
        elif block.type not in ("*", record.type):
            self.problems.append(
                Problem(
                    file,
                    block.line,
                    f"record {name} is of type {record.type} since {record.file}:{record.line}, not {block.type}",
                )
            )
            return
        fields, kind = record.fields, record.type
        for field_name, value, place in block.fields:
            problem = field_problem(kind, field_name, value)
            if problem:
                self.problems.append(Problem(file, block.line_of(place), f"record {name}: {problem}"))
            else:
                fields[field_name] = value
        if block.infos:
            record.infos.update(block.infos)
        for alias, place in block.aliases:
            self.alias(name, alias, file, block.line_of(place))

    def remove(self, block: RecordBlock, name: str, file: str) -> None:
        if self.database.records.pop(name, None) is None:
            self.problems.append(Problem(file, block.line, f'record("#", "{name}") removes a record that is not there'))
            return
        self.database.aliases = {a: n for a, n in self.database.aliases.items() if n != name}

    def alias(self, name: str, alias: str, file: str, line: int) -> None:
        name = self.database.aliases.get(name, name)
        if name not in self.database.records:
            problem: str | None = f"alias {alias}: there is no record {name}"
        elif alias in self.database.records or self.database.aliases.get(alias, name) != name:
            problem = f"alias {alias}: the name is taken already"
        else:
            problem = _name_problem(alias)
        if problem:
            self.problems.append(Problem(file, line, problem))
        else:
            self.database.aliases[alias] = name


def _name_problem(name: str) -> str | None:
    """Say why a record cannot be called so (EPICS Base, ``dbRecordNameValidate``)."""
    if not name:
        return "a record needs a name"
    if len(name) > _MAX_NAME:
        return f"record name {name!r} has {len(name)} characters, {_MAX_NAME} are allowed"
    bad = _BAD_NAME.search(name)
    return f"record name {name!r} must not hold {bad[0]!r}" if bad else None


def _without_comment(line: str) -> str:
    """Cut a comment that is not inside of quotes: macros in it need no value."""
    if "#" not in line:
        return line
    quoted = False
    at = 0
    while at < len(line):
        char = line[at]
        if char == "\\":
            at += 1
        elif char == '"':
            quoted = not quoted
        elif char == "#" and not quoted:
            return line[:at]
        at += 1
    return line
