"""Files, includes and macros → records."""

from __future__ import annotations

from pathlib import Path

import pytest

from canet.server.database import Database, DatabaseError, load

DATA = Path(__file__).parents[2] / "data"


def from_text(text: str, **macros: str) -> Database:
    return load("x.db", macros=macros, read=lambda _: text)


def problems_of(text: str) -> list[str]:
    with pytest.raises(DatabaseError) as caught:
        from_text(text)
    return [str(problem) for problem in caught.value.problems]


def test_includes_and_macros() -> None:
    """An included template takes the macros of the file that includes it; defaults nest; ``*`` adds."""
    database = load(DATA / "templates" / "vacuum.db", macros={"P": "SR:", "G": "g1"})

    record = database.records["SR:g1:pressure"]
    assert record.fields == {
        "DESC": "Pressure at g1", "EGU": "mbar", "HIHI": "1e-5", "HHSV": "MAJOR", "PREC": "2",
    }  # fmt: skip
    assert record.infos == {"archive": "1 s"}
    assert record.line == 2
    assert database.aliases == {"SR:g1:p": "SR:g1:pressure"}


def test_a_file_may_be_loaded_again_with_other_macros() -> None:
    """One database takes as many files as it is given."""
    database = load(DATA / "templates" / "vacuum.template", macros={"P": "A:", "G": "g", "EGU": "Pa"})
    load(DATA / "templates" / "vacuum.template", macros={"P": "B:", "G": "g", "LIMIT": "1"}, into=database)

    assert [(r.name, r.fields["EGU"], r.fields["HIHI"]) for r in database.records.values()] == [
        ("A:g:pressure", "Pa", "1e-5"),
        ("B:g:pressure", "mbar", "1"),
    ]


def test_a_path_is_searched(tmp_path: Path) -> None:
    """Included files are searched in the folders of the path."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.db").write_text("record(ai, x)")
    (tmp_path / "top.db").write_text('include "a.db"')

    assert "x" in load(tmp_path / "top.db", path=[tmp_path / "inner"]).records


def test_records_merge_and_vanish() -> None:
    """A record that comes again adds its fields; ``#`` removes it, with its aliases."""
    database = from_text(
        "record(ai, a) { field(EGU, mm) field(PREC, 1) alias(b) }\nrecord(ai, b) { field(PREC, 2) }\n"
        'record(bo, c) alias(c, d)\nrecord("#", c)\n'
    )

    assert {n: r.fields for n, r in database.records.items()} == {"a": {"EGU": "mm", "PREC": "2"}}
    assert database.aliases == {"b": "a"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("record(ai, x) {\n\n field(HIHII, 1) }", "x.db:3: record x: ai has no field HIHII (did you mean HIHI?)"),
        ("record(ai, x) { field(PREC, two) }", "x.db:1: record x: field PREC: expected a whole number, found 'two'"),
        ("record(ai, x) { field(HIHI, two) }", "x.db:1: record x: field HIHI: expected a number, found 'two'"),
        (
            "record(ai, x) { field(SCAN, \"1 secnd\") }",
            "x.db:1: record x: field SCAN: '1 secnd' is not a choice; did you mean '1 second'?",
        ),
        ("record(ai, x) { field(HHSV, 7) }", "x.db:1: record x: field HHSV: expected 0 to 3, found 7"),
        ("record(ai, x)\nrecord(bo, x)", "x.db:2: record x is of type ai since x.db:1, not bo"),
        ('record("*", x)', 'x.db:1: record("*", "x") adds to a record that is not there yet'),
        ('record("#", x)', 'x.db:1: record("#", "x") removes a record that is not there'),
        ("alias(x, y)", "x.db:1: alias y: there is no record x"),
        ("record(ai, x)\nrecord(ai, y)\nalias(x, y)", "x.db:3: alias y: the name is taken already"),
        ('record(ai, "a.b")', "x.db:1: record name 'a.b' must not hold '.'"),
        ('record(ai, "")', "x.db:1: a record needs a name"),
        (f"record(ai, {'n' * 61})", f"x.db:1: record name '{'n' * 61}' has 61 characters, 60 are allowed"),
        ("\nrecord(ai, $(P)x)", "x.db:2: macro P has no value: define it with -m P=…, or give a default, $(P=…)"),
    ],
)  # fmt: skip
def test_mistakes_are_told(text: str, expected: str) -> None:
    """What is wrong, in which file and line."""
    assert problems_of(text) == [expected]


def test_missing_and_circular_includes(tmp_path: Path) -> None:
    """A file that is missing or includes itself is told at the line that includes it."""
    (tmp_path / "a.db").write_text('\ninclude "b.db"\ninclude "a.db"\n')

    with pytest.raises(DatabaseError) as caught:
        load(tmp_path / "a.db")

    missing, circular = map(str, caught.value.problems)
    assert missing == f"{tmp_path}/a.db:2: cannot read {tmp_path}/b.db: No such file or directory"
    assert circular == f"{tmp_path}/a.db:3: {tmp_path}/a.db includes itself"


def test_every_mistake_is_listed() -> None:
    """One run tells all mistakes of all files."""
    assert len(problems_of("record(ai, a) { field(X1, 1) field(PREC, x) }\nrecord(ai b)\nalias(q, r)\n")) == 4


def test_unknown_record_types_are_taken_as_they_are() -> None:
    """A facility's own record types may have any fields."""
    assert from_text("record(motor, m) { field(VELO, 1.5) field(DTYP, asynMotor) }").records["m"].fields == {
        "VELO": "1.5",
        "DTYP": "asynMotor",
    }
