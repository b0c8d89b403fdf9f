"""Access security files: text in EPICS ACF syntax → groups of users and hosts, and the rules of each access group.

The grammar is that of EPICS Base (``asLib.y``, ``asLib_lex.l``)::

    file  = { "UAG" "(" name ")" [ "{" name { "," name } "}" ]
            | "HAG" "(" name ")" [ "{" name { "," name } "}" ]
            | "ASG" "(" name ")" [ "{" { "INP"A-U "(" pv ")"  |  rule } "}" ] }
    rule  = "RULE" "(" level "," access [ "," ( "TRAPWRITE" | "NOTRAPWRITE" ) ] ")" [ "{" { condition } "}" ]
    condition = ( "UAG" | "HAG" ) "(" name { "," name } ")"  |  "CALC" "(" expression ")"

A rule with a condition that only newer versions know (METHOD, AUTHORITY, PROTOCOL …) never grants anything, and a
block of an unknown kind is stepped over: both as in EPICS Base, both noted as warnings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from canet.server.core.calc import LETTERS, Calc, CalcError
from canet.server.core.macros import MacroError, expand
from canet.server.core.problem import AcfError, Problem

_TOKEN = re.compile(r'[ \t\r\f]+|#[^\n]*|(?P<newline>\n)|(?P<quoted>"(?:[^"\n\\]|\\.)*")|(?P<bare>[\w\-+:.\[\]<>;]+)'
                    r"|(?P<mark>[(){},])")  # fmt: skip
_INPUT = re.compile(rf"INP([{LETTERS}])")


class Access(IntEnum):
    """What a rule grants; each includes those before it."""

    NONE = 0
    READ = 1
    WRITE = 2
    RPC = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """Grants access to a client that fulfils all its conditions."""

    level: int
    """It speaks for fields of this access security level and below."""
    access: Access
    trap: bool = False
    """Writes that it allows are to be logged (``TRAPWRITE``)."""
    users: tuple[str, ...] = ()
    """Names of user groups, of which the user must be in one; none: every user."""
    hosts: tuple[str, ...] = ()
    """Names of host groups, likewise."""
    calc: Calc | None = None
    enabled: bool = True
    """Whether all its conditions were understood."""


@dataclass(frozen=True, slots=True)
class Group:
    """An access security group (``ASG``)."""

    inputs: Mapping[int, str] = field(default_factory=dict)
    """Index of an input (0 is A) → the PV that gives its value."""
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessFile:
    """All that an access security file says."""

    users: Mapping[str, frozenset[str]]
    hosts: Mapping[str, frozenset[str]]
    """Host names, in lower case."""
    groups: Mapping[str, Group]
    warnings: tuple[Problem, ...] = ()


def parse(text: str, file: str = "access security", macros: Mapping[str, str] | None = None) -> AccessFile:
    """Read an access security file.

    Args:
        text: All of it.
        file: Its name, for problems.
        macros: Values of ``$(NAME)`` in it.

    Returns:
        Its groups and rules; always with a group DEFAULT, which grants nothing unless the file says so.

    Raises:
        AcfError: It departs from the grammar, or names a group that it does not define before; with file and line.
    """
    return _Parser(_expanded(text, file, macros or {}), file).file()


def _expanded(text: str, file: str, macros: Mapping[str, str]) -> str:
    lines = text.split("\n")
    for number, line in enumerate(lines):
        try:
            lines[number] = expand(line.partition("#")[0], macros) if "$" in line else line
        except MacroError as error:
            raise AcfError([Problem(file, number + 1, str(error))]) from None
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """``word``, ``mark`` or ``end``."""
    text: str
    line: int


class _Parser:
    """Recursive descent over the tokens of one file."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.tokens = list(self.split(text))
        self.at = 0
        self.users: dict[str, frozenset[str]] = {}
        self.hosts: dict[str, frozenset[str]] = {}
        self.groups: dict[str, Group] = {"DEFAULT": Group()}
        self.warnings: list[Problem] = []

    def split(self, text: str) -> list[_Token]:
        tokens: list[_Token] = []
        line, at = 1, 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                what = "a quote that is not closed" if text[at] == '"' else repr(text[at])
                raise AcfError([Problem(self.name, line, f"expected a word, '(' or '{{', found {what}")])
            at = found.end()
            if found["newline"]:
                line += 1
            elif found["quoted"]:
                tokens.append(_Token("word", found[0][1:-1], line))
            elif found["bare"]:
                tokens.append(_Token("word", found[0], line))
            elif found["mark"]:
                tokens.append(_Token("mark", found[0], line))
        tokens.append(_Token("end", "the end of the file", line))
        return tokens

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def error(self, message: str, line: int | None = None) -> AcfError:
        return AcfError([Problem(self.name, self.token.line if line is None else line, message)])

    def expected(self, what: str) -> AcfError:
        found = self.token.text if self.token.kind == "end" else repr(self.token.text)
        return self.error(f"expected {what}, found {found}")

    def peek(self, mark: str) -> bool:
        return self.token.kind == "mark" and self.token.text == mark

    def take(self, mark: str) -> None:
        if not self.peek(mark):
            raise self.expected(repr(mark))
        self.at += 1

    def word(self, what: str) -> str:
        if self.token.kind != "word":
            raise self.expected(what)
        self.at += 1
        return self.tokens[self.at - 1].text

    def in_brackets(self, what: str) -> str:
        self.take("(")
        word = self.word(what)
        self.take(")")
        return word

    def words(self, opening: str, closing: str, what: str) -> list[str]:
        self.take(opening)
        found = [self.word(what)]
        while self.peek(","):
            self.at += 1
            found.append(self.word(what))
        self.take(closing)
        return found

    def file(self) -> AccessFile:
        while self.token.kind != "end":
            line = self.token.line
            keyword = self.word("UAG, HAG or ASG")
            if keyword == "UAG":
                self.names(self.users, "user", line)
            elif keyword == "HAG":
                self.names(self.hosts, "host", line)
            elif keyword == "ASG":
                self.group(line)
            else:
                if not self.peek("("):
                    raise self.error(f"expected UAG, HAG or ASG, found {keyword!r}", line)
                self.ignore(f"{keyword} is not known and ignored", line)
        return AccessFile(self.users, self.hosts, self.groups, tuple(self.warnings))

    def names(self, into: dict[str, frozenset[str]], what: str, line: int) -> None:
        """Read the group of users or hosts whose keyword was just taken."""
        name = self.in_brackets(f"the name of a {what} group")
        if name in into:
            raise self.error(f"the {what} group {name} is defined twice", line)
        members = self.words("{", "}", f"a {what} name") if self.peek("{") else []
        into[name] = frozenset(map(str.lower, members) if what == "host" else members)

    def group(self, line: int) -> None:
        name = self.in_brackets("the name of an access group")
        if self.groups.get(name, Group()) != Group():
            raise self.error(f"the access group {name} is defined twice", line)
        inputs: dict[int, str] = {}
        rules: list[Rule] = []
        if self.peek("{"):
            self.at += 1
            while not self.peek("}"):
                line = self.token.line
                keyword = self.word("INPA to INPU, RULE or '}'")
                if keyword == "RULE":
                    rules.append(self.rule())
                elif found := _INPUT.fullmatch(keyword):
                    inputs[LETTERS.index(found[1])] = self.in_brackets("the name of a PV")
                else:
                    raise self.error(f"expected INPA to INPU, RULE or '}}', found {keyword!r}", line)
            self.at += 1
        self.groups[name] = Group(inputs, tuple(rules))

    def rule(self) -> Rule:
        self.take("(")
        level_line, level = self.token.line, self.word("a level (0 or 1)")
        if not level.isdigit():
            raise self.error(f"expected a level (0 or 1), found {level!r}", level_line)
        self.take(",")
        line, access = self.token.line, self.word("NONE, READ or WRITE")
        known = access in Access.__members__
        if not known:
            self.warnings.append(Problem(self.name, line, f"a rule that grants {access!r} is ignored"))
        trap = False
        if self.peek(","):
            self.at += 1
            line, option = self.token.line, self.word("TRAPWRITE or NOTRAPWRITE")
            if option not in ("TRAPWRITE", "NOTRAPWRITE"):
                raise self.error(f"expected TRAPWRITE or NOTRAPWRITE, found {option!r}", line)
            trap = option == "TRAPWRITE"
        self.take(")")
        return self.conditions(int(level), Access[access] if known else Access.NONE, trap, known)

    def conditions(self, level: int, access: Access, trap: bool, enabled: bool) -> Rule:
        users: list[str] = []
        hosts: list[str] = []
        calc: Calc | None = None
        if self.peek("{"):
            self.at += 1
            while not self.peek("}"):
                line = self.token.line
                keyword = self.word("UAG, HAG, CALC or '}'")
                if keyword == "UAG":
                    users += self.references(self.users, "user")
                elif keyword == "HAG":
                    hosts += self.references(self.hosts, "host")
                elif keyword == "CALC":
                    calc = self.calc()
                else:
                    enabled = False
                    self.ignore(f"a rule with {keyword} grants nothing", line)
            self.at += 1
        return Rule(level, access, trap, tuple(users), tuple(hosts), calc, enabled)

    def references(self, known: Mapping[str, object], what: str) -> list[str]:
        line = self.token.line
        names = self.words("(", ")", f"the name of a {what} group")
        for name in names:
            if name not in known:
                raise self.error(f"there is no {what} group {name} before this line", line)
        return names

    def calc(self) -> Calc:
        line = self.token.line
        try:
            return Calc(self.in_brackets("an expression in quotes"))
        except CalcError as error:
            raise self.error(f"CALC: {error}", line) from None

    def ignore(self, message: str, line: int) -> None:
        """Step over ``( … )`` and ``{ … }`` of something that we do not know."""
        self.warnings.append(Problem(self.name, line, message))
        if not self.peek("("):
            raise self.expected("'('")
        for opening in "({":
            if self.peek(opening):
                depth = 0
                while True:
                    if self.token.kind == "end":
                        raise self.expected({"(": "')'", "{": "'}'"}[opening])
                    if self.token.kind == "mark":
                        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(self.token.text, 0)
                    self.at += 1
                    if depth == 0:
                        break
