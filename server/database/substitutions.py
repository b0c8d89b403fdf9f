r"""Substitution files: which templates are to be loaded, how often, and with which macros (``dbLoadTemplate``).

The grammar (EPICS Base, ``dbLoadTemplate.y``; commas may be left out, ``#`` begins a comment)::

    file     = { "global" set | "file" word "{" { "global" set | rows } "}" }
    rows     = { set }  |  "pattern" "{" { name } "}" { "{" { value } "}" }
    set      = "{" { name "=" value } "}"
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from canet.server.core.problem import Problem

_TOKEN = re.compile(
    r'\s+|#[^\n]*|(?P<quoted>"(?:[^"\\\n]|\\.)*")|(?P<bare>[\w\-+:./\\\[\]<>;$()]+)|(?P<mark>[{},=])|(?P<bad>.)'
)
SUFFIXES = frozenset({".substitutions", ".substitution", ".subs", ".sub"})
"""Files with one of these names' ends are substitution files."""


@dataclass(frozen=True, slots=True)
class Use:
    """One template to be loaded once."""

    template: str
    macros: tuple[tuple[str, str], ...]
    """Names and values, in the order in which they count: a later one overrules an earlier."""
    line: int


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


def parse(text: str, file: str, problems: list[Problem]) -> list[Use]:
    """Read a substitution file.

    Args:
        text: All of it.
        file: Its name, for problems.
        problems: The first mistake is appended here.

    Returns:
        What is to be loaded, in order; nothing, where there is a mistake.
    """
    parser = _Parser(text)
    try:
        parser.file()
    except _MistakeError as mistake:
        problems.append(Problem(file, mistake.line, str(mistake)))
        return []
    return parser.uses


class _MistakeError(Exception):
    """The text departs from the grammar in this line."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Parser:
    """Recursive descent over the tokens of one file."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[_Token] = []
        self.at = 0
        self.globals: list[tuple[str, str]] = []
        self.uses: list[Use] = []

    def split(self) -> None:
        line = 1
        for found in _TOKEN.finditer(self.text):
            kind = found.lastgroup or ""
            if kind == "bad":
                what = "a quote that is not closed" if found[0] == '"' else repr(found[0])
                raise _MistakeError(f"expected a word or a bracket, found {what}", line)
            if kind == "quoted":
                self.tokens.append(_Token("word", found[0][1:-1].replace('\\"', '"'), line))
            elif kind:
                self.tokens.append(_Token("word" if kind == "bare" else "mark", found[0], line))
            line += found[0].count("\n")
        self.tokens.append(_Token("end", "the end of the file", line))

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def expected(self, what: str) -> _MistakeError:
        found = self.token.text if self.token.kind == "end" else repr(self.token.text)
        return _MistakeError(f"expected {what}, found {found}", self.token.line)

    def accept(self, mark: str) -> bool:
        taken = self.token.kind == "mark" and self.token.text == mark
        self.at += taken
        return taken

    def take(self, mark: str) -> None:
        if not self.accept(mark):
            raise self.expected(repr(mark))

    def word(self, what: str) -> str:
        if self.token.kind != "word":
            raise self.expected(what)
        self.at += 1
        return self.tokens[self.at - 1].text

    def file(self) -> None:
        self.split()
        while self.token.kind != "end":
            keyword = self.word("'file' or 'global'")
            if keyword == "global":
                self.globals += self.set()
            elif keyword == "file":
                self.template(self.word("the name of a template"))
            else:
                self.at -= 1
                raise self.expected("'file' or 'global'")

    def template(self, name: str) -> None:
        self.take("{")
        while not self.accept("}"):
            if self.token.text == "pattern":
                self.at += 1
                self.pattern(name)
            elif self.token.text == "global":
                self.at += 1
                self.globals += self.set()
            else:
                line = self.token.line
                self.use(name, self.set(), line)

    def set(self) -> list[tuple[str, str]]:
        self.take("{")
        found: list[tuple[str, str]] = []
        while not self.accept("}"):
            if self.accept(","):
                continue
            name = self.word("a macro's name or '}'")
            self.take("=")
            found.append((name, self.word("a value") if self.token.kind == "word" else ""))
        return found

    def pattern(self, name: str) -> None:
        names = self.words("a macro's name or '}'")
        while self.token.text == "{":
            line = self.token.line
            values = self.words("a value or '}'")
            if len(values) > len(names):
                raise _MistakeError(f"expected {len(names)} values, one for each name, found {len(values)}", line)
            self.use(name, list(zip(names, values, strict=False)), line)

    def words(self, what: str) -> list[str]:
        self.take("{")
        found: list[str] = []
        while not self.accept("}"):
            if not self.accept(","):
                found.append(self.word(what))
        return found

    def use(self, name: str, macros: list[tuple[str, str]], line: int) -> None:
        self.uses.append(Use(name, (*self.globals, *macros), line))
