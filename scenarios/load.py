"""Read a scenario file: TOML text to one :class:`~canet.scenarios.model.Scenario` for each variant, the base first."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from canet.scenarios import mistake, override
from canet.scenarios.assemble import scenario
from canet.scenarios.document import Document, VariantTable
from canet.scenarios.errors import MistakeError, ScenarioError
from canet.scenarios.model import Scenario

SUFFIXES = (".canet.toml", ".toml")
ROOT = Path(__file__).parent


def load(
    path: str | Path,
    *,
    set: Mapping[str, object] | None = None,  # noqa: A002
    unset: Iterable[str] = (),
) -> tuple[Scenario, ...]:
    """Read a file.

    Args:
        path: the file; its folder and name give the id ``theme/name``.
        set: dotted paths and new values, put on top of every variant.
        unset: dotted paths that are removed from every variant.

    Returns:
        The base, then the variants in the order of the file.

    Raises:
        ScenarioError: if the file cannot be read or says something that is not allowed.
    """
    file = str(path)
    try:
        text = Path(path).read_bytes().decode()
    except OSError as error:
        raise ScenarioError(file, "", f"not readable ({error.strerror or error})", "a file of TOML text") from None
    except UnicodeDecodeError as error:
        raise ScenarioError(file, "", f"not UTF-8 at byte {error.start}", "a file of TOML text in UTF-8") from None
    return load_text(text, file, set=set, unset=unset)


def load_text(
    text: str,
    file: str = "scenario.toml",
    *,
    set: Mapping[str, object] | None = None,  # noqa: A002
    unset: Iterable[str] = (),
) -> tuple[Scenario, ...]:
    """Read a scenario from text; ``file`` gives the id and stands in errors. Otherwise as :func:`load`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(file, "", f"not TOML ({error})", "TOML text, see https://toml.io") from None
    except RecursionError:
        raise ScenarioError(file, "", "nested too deeply", "tables in tables a few levels deep") from None
    return load_document(document, file, set=set, unset=unset)


def load_document(
    document: Mapping[str, Any],
    file: str,
    *,
    set: Mapping[str, object] | None = None,  # noqa: A002
    unset: Iterable[str] = (),
) -> tuple[Scenario, ...]:
    """Read a scenario from nested tables, as TOML gives them. Otherwise as :func:`load`."""
    try:
        whole = _convert(document)
        removed = tuple(unset)
        plain = {key: value for key, value in document.items() if key != "variants"}
        base = _convert(override.apply(plain, set or {}, removed))
        found = [scenario(base, identity(file), whole.base, file)]
    except MistakeError as error:
        raise error.within(file) from None
    for name, variant in whole.variants.items():
        try:
            if name == whole.base:
                raise MistakeError("base", repr(name), "a name that no variant has")
            changed = _vary(plain, document["variants"][name], variant)
            table = _convert(override.apply(changed, set or {}, removed))
            found.append(scenario(table, identity(file), name, file, variant))
        except MistakeError as error:
            error.key = f"variants.{name} → {error.key}"
            raise error.within(file) from None
    return tuple(found)


def identity(file: str | Path) -> str:
    """Return the stable id that a file's place gives: ``theme/name``.

    >>> identity("/somewhere/firewalls/only_udp_open.toml")
    'firewalls/only_udp_open'
    """
    path = Path(file).absolute()
    name = next((path.name.removesuffix(each) for each in SUFFIXES if path.name.endswith(each)), path.name)
    if path.is_relative_to(ROOT):
        return path.relative_to(ROOT).with_name(name).as_posix()
    return f"{path.parent.name}/{name}" if path.parent.name else name


def _vary(plain: Mapping[str, Any], raw: Mapping[str, Any], variant: VariantTable) -> dict[str, Any]:
    """Return the base document with a variant's changes. Its expectations replace those of the same name, whole."""
    changed = override.apply(plain, variant.set, variant.unset)
    changed["expect"] = {**changed.get("expect", {}), **raw.get("expect", {})}
    return changed


def _convert(document: Mapping[str, Any]) -> Document:
    try:
        return msgspec.convert(document, Document)
    except msgspec.ValidationError:
        raise mistake.find(document, Document) from None
