r"""One database file's text → statements, with the line of each, or the problems that stand in the way.

The grammar (EPICS Base, ``dbYacc.y`` and ``dbLex.l``; white space and ``#`` comments may stand between tokens)::

    file     = { record | alias | "include" word | "path" word | "addpath" word | definition }
    record   = ("record" | "grecord") "(" word "," word ")" [ "{" { item } "}" ]
    item     = ("field" | "info") "(" word "," value ")"  |  "alias" "(" word ")"
    alias    = "alias" "(" word "," word ")"
    value    = word | json
    word     = '"' { any but '"' and newline | "\" any } '"'  |  bare characters a-z A-Z 0-9 _ - + : . [ ] < > ;

``definition`` is what belongs to ``.dbd`` files (``recordtype``, ``menu``, ``device`` …): it is stepped over.

A construct is a table of (what is expected, pattern). All patterns of a construct joined are one regular expression, so
that a good file is read at the speed of ``re``; where it does not match, the table is walked to say what was missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from canet.server.core.problem import Problem

_GAP = r"(?:\s++|#[^\n]*+)*+"
_QUOTED = r'"(?:[^"\\\n]|\\.)*+"'
_BARE = r"[\w\-+:.\[\]<>;]++"
_WORD = f"({_QUOTED}|{_BARE})"
_VALUE = rf"({_QUOTED}|'(?:[^'\\\n]|\\.)*+'|(?![\[{{]){_BARE})"

_Part = tuple[str, str]
_OPEN: _Part = ("'('", r"\(")
_CLOSE: _Part = ("')'", r"\)")
_COMMA: _Part = ("','", ",")


class _Construct:
    """A sequence of tokens that always stand together."""

    def __init__(self, *parts: _Part) -> None:
        self.parts = parts
        self.match = re.compile("".join(_GAP + pattern for _, pattern in parts)).match

    def missing(self, text: str, at: int) -> tuple[int, str]:
        """Where the text departs from the construct, and what was expected there; call it after ``match`` failed."""
        for expected, pattern in self.parts:
            matched = re.compile(_GAP + pattern).match(text, at)
            if matched is None:
                return _skip(text, at), expected
            at = matched.end()
        return at, "nothing else"


_RECORD = _Construct(_OPEN, ("a record type", _WORD), _COMMA, ("a record name", _WORD), _CLOSE)
_ITEM = _Construct(
    ("'field', 'info', 'alias' or '}'", "(field|info)"), _OPEN, ("a name", _WORD), _COMMA, ("a value", _VALUE), _CLOSE
)
_PLAIN_FIELD = re.compile(r'\s*+field\(\s*+"?(\w++)"?\s*+,\s*+"([^"\\\n]*+)"\s*+\)')
"""What most of any file is; it matches nothing that ``_ITEM`` would read otherwise."""
_JSON_ITEM = _Construct(
    ("'field' or 'info'", "(field|info)"), _OPEN, ("a name", _WORD), _COMMA, ("a JSON value", r"(?=[\[{])")
)
_INNER_ALIAS = _Construct(("'alias'", "alias"), _OPEN, ("an alias", _WORD), _CLOSE)
_ALIAS = _Construct(_OPEN, ("a record name", _WORD), _COMMA, ("an alias", _WORD), _CLOSE)
_ONE_WORD = _Construct(("a file name in quotes", _WORD))
_WORD_AT = re.compile(r"\w+")
_STEPPED_OVER = {
    "recordtype", "menu", "device", "driver", "registrar", "function", "variable", "breaktable", "link",
}  # fmt: skip
_RESUME = re.compile(r"^[ \t]*(?:g?record|alias|include)\b", re.MULTILINE)


@dataclass(slots=True)
class RecordBlock:
    """``record(type, name) { … }``."""

    type: str
    """A record type, ``*`` (more of a record that is there already) or ``#`` (remove that record)."""
    name: str
    line: int
    text: str = field(repr=False)
    start: int
    """Where ``line`` is in the text; a line is numbered only when there is something to say about it."""
    fields: list[tuple[str, str, int]] = field(default_factory=list)
    """Name, value, place in the text."""
    infos: list[tuple[str, str]] = field(default_factory=list)
    aliases: list[tuple[str, int]] = field(default_factory=list)
    """Alias, place in the text."""

    def line_of(self, place: int) -> int:
        """Number the line of a place in this record."""
        return self.line + self.text.count("\n", self.start, place)


@dataclass(frozen=True, slots=True)
class Alias:
    """``alias(name, alias)`` outside of a record."""

    name: str
    alias: str
    line: int


@dataclass(frozen=True, slots=True)
class Include:
    """``include "file"``."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class SearchPath:
    """``path "…"`` (``adds`` is false) or ``addpath "…"``: folders in which included files are searched."""

    folders: tuple[str, ...]
    adds: bool


Statement = RecordBlock | Alias | Include | SearchPath


def parse(text: str, file: str, problems: list[Problem]) -> Iterator[Statement]:
    """Read the statements of one file, in order.

    Args:
        text: The whole file, its macros expanded.
        file: Its name, for problems.
        problems: Every mistake is appended here; reading goes on at the next statement that starts a line.

    Yields:
        What the file says. Statements with a mistake are left out.
    """
    return _Parser(text, file, problems).statements()


class _Parser:
    """A place in a text; ``line`` follows it."""

    def __init__(self, text: str, file: str, problems: list[Problem]) -> None:
        self.text = text
        self.file = file
        self.problems = problems
        self.at = 0
        self._counted = 0
        self._line = 1

    def statements(self) -> Iterator[Statement]:
        while (start := _skip(self.text, self.at)) < len(self.text):
            try:
                word = _WORD_AT.match(self.text, start)
                if word is None:
                    raise _MistakeError(start, "a statement: 'record', 'alias', 'include' …")
                self.at = word.end()
                statement = self.statement(word[0], start, self.line(start))
            except _MistakeError as mistake:
                self.report(mistake)
                continue
            if statement is not None:
                yield statement

    def statement(self, word: str, start: int, line: int) -> Statement | None:
        if word in ("record", "grecord"):
            return self.record(line)
        if word == "alias":
            name, alias = self.take(_ALIAS)
            return Alias(_text(name), _text(alias), line)
        if word == "include":
            return Include(_text(self.take(_ONE_WORD)[0]), line)
        if word in ("path", "addpath"):
            folders = _text(self.take(_ONE_WORD)[0]).split(":")
            return SearchPath(tuple(folder or "." for folder in folders), word == "addpath")
        if word in _STEPPED_OVER:
            self.step_over("(", ")", start)
            if self.text.startswith("{", _skip(self.text, self.at)):
                self.step_over("{", "}", start)
            return None
        raise _MistakeError(start, "'record', 'grecord', 'alias' or 'include'")

    def record(self, line: int) -> RecordBlock:
        kind, name = self.take(_RECORD)
        block = RecordBlock(_text(kind), _text(name), line, self.text, self._counted)
        opening = _skip(self.text, self.at)
        if not self.text.startswith("{", opening):
            return block
        self.at = opening + 1
        text, plain, item, fields = self.text, _PLAIN_FIELD.match, _ITEM.match, block.fields
        while True:
            while (matched := plain(text, self.at)) is not None:
                self.at = matched.end()
                word, value = matched.groups()
                fields.append((word, value, matched.start(1)))
            matched = item(text, self.at)
            if matched is not None:
                self.at = matched.end()
                keyword, word, value = matched.groups()
                if keyword == "field":
                    fields.append((_text(word), _text(value), matched.start(1)))
                else:
                    block.infos.append((_text(word), _text(value)))
                continue
            end = _skip(text, self.at)
            if text.startswith("}", end):
                self.at = end + 1
                return block
            if (inner := _INNER_ALIAS.match(text, self.at)) is not None:
                self.at = inner.end()
                block.aliases.append((_text(inner[1]), inner.start(1)))
                continue
            if (head := _JSON_ITEM.match(text, self.at)) is not None:
                self.at = head.end()
                value = self.json()
                if head[1] == "field":
                    fields.append((_text(head[2]), value, head.start(1)))
                else:
                    block.infos.append((_text(head[2]), value))
                continue
            if end >= len(text):
                raise _MistakeError(end, f"'}}' to close record {block.name!r} of line {line}")
            wanted = _INNER_ALIAS if text.startswith("alias", end) else _ITEM
            raise _MistakeError(*wanted.missing(text, self.at))

    def json(self) -> str:
        """Take a JSON object or list, as it stands, and the bracket that closes the item."""
        start = self.at
        self.step_over(self.text[start], "}" if self.text[start] == "{" else "]", start)
        value = self.text[start : self.at]
        closing = _skip(self.text, self.at)
        if not self.text.startswith(")", closing):
            raise _MistakeError(closing, "')'")
        self.at = closing + 1
        return value

    def take(self, construct: _Construct) -> tuple[str, ...]:
        matched = construct.match(self.text, self.at)
        if matched is None:
            raise _MistakeError(*construct.missing(self.text, self.at))
        self.at = matched.end()
        return matched.groups()

    def step_over(self, opening: str, closing: str, start: int) -> None:
        """Go behind the bracket that closes the next one, past quoted text and comments."""
        at = _skip(self.text, self.at)
        if not self.text.startswith(opening, at):
            raise _MistakeError(at, repr(opening))
        depth = 0
        for token in _BRACKETS.finditer(self.text, at):
            depth += {opening: 1, closing: -1}.get(token[0], 0)
            if depth == 0:
                self.at = token.end()
                return
        raise _MistakeError(len(self.text), f"{closing!r} for the {opening!r} of line {self.line(start)}")

    def line(self, at: int) -> int:
        """Number the line of a place; places come in order, so each newline is counted once."""
        if at < self._counted:
            return self.text.count("\n", 0, at) + 1
        self._line += self.text.count("\n", self._counted, at)
        self._counted = at
        return self._line

    def report(self, mistake: _MistakeError) -> None:
        """Note a mistake and go on at the next statement that begins a line."""
        found = _found(self.text, mistake.at)
        line = self.text.count("\n", 0, mistake.at) + 1
        self.problems.append(Problem(self.file, line, f"expected {mistake.expected}, found {found}"))
        resume = _RESUME.search(self.text, min(max(mistake.at, self.at) + 1, len(self.text)))
        self.at = len(self.text) if resume is None else resume.start()


_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"|\'(?:[^\'\\\n]|\\.)*+\'|#[^\n]*|[()\[\]{}]')
_GAP_AT = re.compile(_GAP)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class _MistakeError(Exception):
    """The text departs from the grammar here."""

    def __init__(self, at: int, expected: str) -> None:
        super().__init__(expected)
        self.at = at
        self.expected = expected


def _skip(text: str, at: int) -> int:
    gap = _GAP_AT.match(text, at)
    return at if gap is None else gap.end()


def _found(text: str, at: int) -> str:
    if at >= len(text):
        return "the end of the file"
    line_end = text.find("\n", at)
    rest = text[at : len(text) if line_end < 0 else line_end].strip()
    if rest.startswith('"') and rest.count('"') == 1:
        return f"{rest[:40]} without its closing quote"
    word = re.match(_BARE, rest)
    return repr(word[0] if word else rest[:1])


def _text(word: str) -> str:
    """Drop the quotes of a word and replace its escapes (``dbLexRoutines.c`` uses ``dbTranslateEscape``)."""
    if word[0] in "\"'":
        word = word[1:-1]
        return _ESCAPE.sub(_unescape, word) if "\\" in word else word
    return word


def _unescape(escape: re.Match[str]) -> str:
    code = escape[1]
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    return _ESCAPES.get(code, code)
