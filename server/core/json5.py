"""JSON with the freedoms that EPICS allows: bare keys, single quotes, trailing commas, comments, ``.5``, ``0x10``.

Channel filters (``NAME.{dbnd:{abs:1.5}}``) and link values in database files are written in it.
"""

from __future__ import annotations

import re
from typing import Any

_GAP = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r""""((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'""", re.DOTALL)
_NUMBER = re.compile(
    r"[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|Infinity|NaN)(?![\w.])", re.IGNORECASE
)
_KEY = re.compile(r"[A-Za-z_$][\w$]*")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0", "\n": ""}
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
_DEEPEST = 32


class Json5Error(ValueError):
    """Text that is no JSON5; says what was expected, and at which character."""


def parse(text: str) -> Any:
    """Read one value.

    Args:
        text: All of it must be one value; white space and comments may surround it.

    Returns:
        dict, list, str, int, float, bool or None.

    Raises:
        Json5Error: It is none.

    >>> parse("{dbnd: {'abs': .5, }}")
    {'dbnd': {'abs': 0.5}}
    """
    reader = _Reader(text)
    value = reader.value(0)
    reader.gap()
    if reader.at < len(text):
        raise reader.expected("the end")
    return value


class _Reader:
    """A place in a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def expected(self, what: str) -> Json5Error:
        found = repr(self.text[self.at]) if self.at < len(self.text) else "the end"
        return Json5Error(f"expected {what} at character {self.at + 1}, found {found}")

    def gap(self) -> str:
        """Go past white space and comments; the next character, or nothing."""
        matched = _GAP.match(self.text, self.at)
        assert matched is not None
        self.at = matched.end()
        return self.text[self.at : self.at + 1]

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        matched = pattern.match(self.text, self.at)
        if matched is not None:
            self.at = matched.end()
        return matched

    def value(self, depth: int) -> Any:
        char = self.gap()
        if depth > _DEEPEST:
            raise self.expected(f"at most {_DEEPEST} levels")
        if char == "{":
            return dict(self.members("}", depth))
        if char == "[":
            return [value for _, value in self.members("]", depth)]
        if char in ("'", '"'):
            return self.string()
        if (number := self.take(_NUMBER)) is not None:
            return _number(number[0])
        if (word := self.take(_KEY)) is not None and word[0] in _WORDS:
            return _WORDS[word[0]]
        raise self.expected("a value")

    def members(self, closing: str, depth: int) -> list[tuple[str, Any]]:
        """Read up to the closing bracket: key and value of an object, a value alone of a list."""
        found: list[tuple[str, Any]] = []
        self.at += 1
        while self.gap() != closing:
            key = ""
            if closing == "}":
                key = self.key()
                if self.gap() != ":":
                    raise self.expected("':'")
                self.at += 1
            found.append((key, self.value(depth + 1)))
            if self.gap() == ",":
                self.at += 1
            elif self.gap() != closing:
                raise self.expected(f"',' or '{closing}'")
        self.at += 1
        return found

    def key(self) -> str:
        if self.text.startswith(('"', "'"), self.at):
            return self.string()
        if (word := self.take(_KEY)) is not None:
            return word[0]
        raise self.expected("a key")

    def string(self) -> str:
        matched = self.take(_STRING)
        if matched is None:
            raise self.expected("a string with its closing quote")
        return _ESCAPE.sub(_unescape, matched[1] if matched[1] is not None else matched[2])


def _unescape(escape: re.Match[str]) -> str:
    code = escape[1]
    if code[0] in "ux" and len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPES.get(code, code)


def _number(text: str) -> int | float:
    plain = text.lstrip("+-").lower()
    sign = -1 if text.startswith("-") else 1
    if plain.startswith("0x"):
        return sign * int(plain, 16)
    if plain.isdigit():
        return sign * int(plain)
    return sign * float(plain)
