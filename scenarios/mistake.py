"""Find the exact place of a mistake in a document that msgspec refuses.

msgspec's own message names no key below a table with free names (``$[...]``). This walks down the same types until
the smallest part that is refused is found; it runs only when a file is wrong.
"""

from __future__ import annotations

import re
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from canet.scenarios.errors import MistakeError, unknown

WORDS = {
    "`str`": "text",
    "`int`": "a whole number",
    "`int | null`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "a table",
}
"""msgspec's names of types, in the words of TOML."""


def find(value: object, kind: Any, key: str = "") -> MistakeError:
    """Return the mistake for a ``value`` that is not of ``kind``; ``key`` is the path of the value itself.

    Args:
        value: what :mod:`tomllib` read.
        kind: a type that :func:`msgspec.convert` refuses the value for.
        key: dotted path so far.
    """
    inner = _bare(kind)
    if isinstance(value, dict):
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            hints = get_type_hints(inner, include_extras=True)
            for name, part in value.items():
                if name not in hints:
                    return unknown(_join(key, name), str(name), hints, "one of")
                if not _fits(part, hints[name]):
                    return find(part, hints[name], _join(key, name))
            missing = [f.name for f in msgspec.structs.fields(inner) if f.required and f.name not in value]
            if missing:
                return MistakeError(_join(key, missing[0]), "missing", _allowed(hints[missing[0]]))
        elif get_origin(inner) is dict:
            name_kind, part_kind = get_args(inner)
            for name, part in value.items():
                if not _fits(name, name_kind):
                    return _leaf(name, name_kind, _join(key, name))
                if not _fits(part, part_kind):
                    return find(part, part_kind, _join(key, name))
    elif isinstance(value, list) and get_origin(inner) is list:
        (part_kind,) = get_args(inner)
        for index, part in enumerate(value):
            if not _fits(part, part_kind):
                return find(part, part_kind, f"{key}[{index}]")
    return _leaf(value, kind, key)


def _leaf(value: object, kind: Any, key: str) -> MistakeError:
    literals = [each for each in get_args(_bare(kind)) if isinstance(each, str)] if _is_literal(kind) else []
    if literals and isinstance(value, str):
        return unknown(key, value, literals, "one of")
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return MistakeError(key, _shown(value), _reason(str(error)))
    return MistakeError(key, _shown(value), "something else")


def _allowed(kind: Any) -> str:
    return f"one of {', '.join(get_args(_bare(kind)))}" if _is_literal(kind) else _description(kind)


def _description(kind: Any) -> str:
    for each in get_args(kind):
        if isinstance(each, msgspec.Meta) and each.description:
            return each.description.rstrip(".")[:1].lower() + each.description.rstrip(".")[1:]
    return "a value"


def _reason(message: str) -> str:
    text = re.sub(r" - at (key in )?`.*", "", message)
    text = re.sub(r", got .*", "", text.removeprefix("Expected "))
    pattern = re.fullmatch(r"`str` matching regex '(.*)'", text)
    if pattern:
        return "letters, digits, '-' and '_', beginning with a letter or digit"
    return " or ".join(WORDS.get(f"`{each}`", each) for each in text.strip("`").split(" | ") if each != "null")


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _bare(kind: Any) -> Any:
    """Strip ``Annotated`` and ``| None``, which a TOML value never is."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        rest = [each for each in get_args(kind) if each is not type(None)]
        return _bare(rest[0]) if len(rest) == 1 else kind
    return kind


def _is_literal(kind: Any) -> bool:
    return get_origin(_bare(kind)) is Literal


def _join(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)
