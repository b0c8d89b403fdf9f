r"""Macros of EPICS database and access security files: ``$(NAME)``, ``${NAME=default}``, and references inside them.

The rules are those of EPICS Base's macro library (``macLib``): a reference may hold another one, in its name or in its
default; ``$(NAME,A=1,B=2)`` defines A and B while NAME is expanded; a value is expanded where it is used, so it may
name macros itself; between single quotes nothing is expanded, and a backslash protects the character after it.

>>> expand("$(P)$(N=${M=1}):ai", parse_macros("P=lab:"))
'lab:1:ai'
"""

from __future__ import annotations

from collections.abc import Mapping

_CLOSING = {"(": ")", "{": "}"}
_DEEPEST = 20
"""References nested more deeply than this refer to themselves."""


class MacroError(ValueError):
    """A macro reference that cannot be expanded, or a definition that cannot be read."""


def parse_macros(text: str) -> dict[str, str]:
    r"""Read macro definitions as they are given to ``dbLoadRecords`` or ``-m``.

    Args:
        text: ``NAME=value`` pairs with commas or white space between them; values may be quoted, ``\\`` protects a
            character.

    Returns:
        Values by name. A name without ``=`` is a macro with no value: it hides one of the environment, and is left out.

    Raises:
        MacroError: A quote is not closed, or a value has no name.

    >>> parse_macros("P=lab:, R='a, b',N=1")
    {'P': 'lab:', 'R': 'a, b', 'N': '1'}
    """
    macros: dict[str, str] = {}
    for part in _split(text):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not name:
            raise MacroError(f"expected NAME=value, found {part.strip()!r}")
        if equals:
            macros[name] = _unquote(value.strip())
    return macros


def expand(text: str, macros: Mapping[str, str]) -> str:
    """Replace every macro reference in ``text``.

    Args:
        text: One line.
        macros: Values by name.

    Returns:
        The line, with quotes and backslashes as they were.

    Raises:
        MacroError: A macro has neither a value nor a default, refers to itself, or its reference is not closed.
    """
    if "$(" not in text and "${" not in text:
        return text
    return _Expansion(macros).text(text, 0)


class _Expansion:
    """One text being expanded; ``macros`` grows by scoped definitions while a reference is read."""

    def __init__(self, macros: Mapping[str, str]) -> None:
        self.macros = macros

    def text(self, text: str, depth: int) -> str:
        """Expand all references of a text; ``depth`` counts how many values we are inside of."""
        if depth > _DEEPEST:
            raise MacroError(f"a macro refers to itself in {text!r}")
        out: list[str] = []
        quote = ""
        at = 0
        while at < len(text):
            char = text[at]
            if char == "\\" and at + 1 < len(text):
                out.append(text[at : at + 2])
                at += 2
                continue
            if char == "$" and quote != "'" and text[at + 1 : at + 2] in ("(", "{"):
                value, at = self.reference(text, at, depth)
                out.append(value)
                continue
            if char in "'\"":
                quote = "" if quote == char else quote or char
            out.append(char)
            at += 1
        return "".join(out)

    def reference(self, text: str, start: int, depth: int) -> tuple[str, int]:
        """Expand the reference that begins at ``start``; the value, and where the text goes on."""
        end = _closing(text, start + 1)
        head, *scoped = _split(text[start + 2 : end], keep_spaces=True)
        name, has_default, default = head.partition("=") if _plain_equals(head) else _cut(head)
        name = self.text(name, depth + 1).strip()
        inner = self
        if scoped:
            extra = {key.strip(): self.text(value, depth + 1) for key, _, value in (s.partition("=") for s in scoped)}
            inner = _Expansion({**self.macros, **extra})
        value = inner.macros.get(name)
        if value is None:
            if not has_default:
                raise MacroError(
                    f"macro {name} has no value: define it with -m {name}=…, or give a default, $({name}=…)"
                )
            value = default
        return inner.text(value, depth + 1), end + 1


def _closing(text: str, opening: int) -> int:
    """Find the bracket that closes the one at ``opening``, past those of nested references."""
    waiting = [_CLOSING[text[opening]]]
    for at in range(opening + 1, len(text)):
        char = text[at]
        if char == waiting[-1]:
            waiting.pop()
            if not waiting:
                return at
        elif char in _CLOSING and text[at - 1] == "$":
            waiting.append(_CLOSING[char])
    raise MacroError(f"macro reference {text[opening - 1 :].strip()!r} is not closed: expected {waiting[-1]!r}")


def _plain_equals(head: str) -> bool:
    return "$" not in head.partition("=")[0]


def _cut(head: str) -> tuple[str, str, str]:
    """Part a name that holds references from its default, at the first ``=`` outside of them."""
    at = 0
    while at < len(head):
        if head[at] == "$" and head[at + 1 : at + 2] in ("(", "{"):
            at = _closing(head, at + 1)
        elif head[at] == "=":
            return head[:at], "=", head[at + 1 :]
        at += 1
    return head, "", ""


def _split(text: str, *, keep_spaces: bool = False) -> list[str]:
    """Part definitions at commas, and at white space after a value, outside of quotes and nested references."""
    parts: list[str] = []
    part = ""
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text):
            part += text[at : at + 2]
            at += 2
            continue
        if not quote and char == "$" and text[at + 1 : at + 2] in ("(", "{"):
            end = _closing(text, at + 1)
            part += text[at : end + 1]
            at = end + 1
            continue
        if char in "'\"":
            quote = "" if quote == char else quote or char
        ends = char == "," or (char.isspace() and not keep_spaces and _complete(part, text[at:]))
        if ends and not quote:
            parts.append(part)
            part = ""
        else:
            part += char
        at += 1
    if quote:
        raise MacroError(f"{text!r}: a quote {quote} is not closed")
    parts.append(part)
    return parts if keep_spaces else [part for part in parts if part.strip()]


def _complete(part: str, rest: str) -> bool:
    """Whether white space ends this definition: it has a value, or no ``=`` follows."""
    if "=" in part:
        return bool(part.partition("=")[2].strip())
    return bool(part.strip()) and not rest.lstrip().startswith("=")


def _unquote(value: str) -> str:
    """Drop quotes and backslashes, as ``macParseDefns`` does with values."""
    out: list[str] = []
    quote = ""
    escaped = False
    for char in value:
        if escaped:
            out.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == quote:
            quote = ""
        elif char in "'\"" and not quote:
            quote = char
        else:
            out.append(char)
    return "".join(out)
