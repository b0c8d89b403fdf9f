"""What is known of record types."""

from __future__ import annotations

import re
from pathlib import Path

import epicscorelibs
import pytest

from canet.server.database.record_types import COMMON, DEVICES, MENUS, RECORD_TYPES

DBD = Path(epicscorelibs.__file__).parent / "dbd"
KINDS = {
    "STRING": "s", "CHAR": "c", "UCHAR": "c", "SHORT": "h", "USHORT": "i", "LONG": "i", "ULONG": "d", "INT64": "d",
    "UINT64": "d", "FLOAT": "f", "DOUBLE": "d", "ENUM": "e", "MENU": "m", "DEVICE": "D", "INLINK": "l", "OUTLINK": "l",
    "FWDLINK": "l",
}  # fmt: skip


def fields_of(file: str) -> dict[str, tuple[str, int, bool]]:
    """Read of each field in a .dbd file: kind, access level, and whether it may not be written."""
    text = re.sub(r"^\s*%.*$|#.*$", "", (DBD / file).read_text(), flags=re.MULTILINE)
    found = re.findall(r"field\(\s*(\w+)\s*,\s*DBF_(\w+)\s*\)\s*\{(.*?)\n\s*\}", text, re.DOTALL)
    return {
        name: (KINDS[kind], int("ASL0" not in body), "SPC_NOMOD" in body)
        for name, kind, body in found
        if kind != "NOACCESS"
    }


@pytest.mark.parametrize("record_type", sorted(set(RECORD_TYPES) - {"busy"}))
def test_fields_are_those_of_epics_base(record_type: str) -> None:
    """Names, types and access levels agree with the .dbd files that EPICS Base ships."""
    ours = {
        name: (field.kind, field.level, field.read_only)
        for name, field in RECORD_TYPES[record_type].items()
        if name not in COMMON
    }
    theirs = fields_of(f"{record_type}Record.dbd")

    ours.pop("VAL", None) if record_type in ("lsi", "lso", "printf") else None  # NOACCESS there, text on the wire
    assert ours == theirs


def test_common_fields_are_those_of_epics_base() -> None:
    """The same for the fields that every record has."""
    ours = {name: (field.kind, field.level, field.read_only) for name, field in COMMON.items() if name != "RTYP"}

    assert ours == fields_of("dbCommon.dbd")


@pytest.mark.parametrize("menu", ["Scan", "AlarmSevr", "AlarmStat", "Ftype", "Pini", "Ivoa", "Omsl", "Simm", "Convert"])
def test_menus_are_those_of_epics_base(menu: str) -> None:
    """Choices and their order."""
    text = (DBD / f"menu{menu}.dbd").read_text()

    assert re.findall(r'choice\(\w+\s*,\s*"([^"]*)"\)', text) == list(MENUS[menu])


def test_devices_are_those_of_epics_base() -> None:
    """The choices of DTYP, and their order."""
    theirs: dict[str, list[str]] = {}
    for kind, name in re.findall(r'device\((\w+),\s*\w+,\s*\w+,\s*"([^"]*)"\)', (DBD / "devSoft.dbd").read_text()):
        theirs.setdefault(kind, []).append(name)

    assert {kind: list(names) for kind, names in DEVICES.items()} == theirs
