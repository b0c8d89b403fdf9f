"""Access security at work."""

from __future__ import annotations

import pytest

from canet.server.core.access import AccessSecurity
from canet.server.core.acf import parse
from canet.server.core.pv import PV
from canet.server.core.security import Security
from tests.server.core.test_acf import FILE


def security(text: str = FILE) -> AccessSecurity:
    return AccessSecurity(parse(text))


@pytest.mark.parametrize(
    ("group", "level", "user", "host", "expected"),
    [
        ("DEFAULT", 1, "eve", "pc", (True, False)),
        ("DEFAULT", 0, "eve", "pc", (True, True)),
        ("not-defined", 1, "eve", "pc", (True, False)),
        ("closed", 0, "anna", "console1", (False, False)),
        ("shutter", 1, "anna", "console1", (True, False)),
    ],
)
def test_rights(group: str, level: int, user: str, host: str, expected: tuple[bool, bool]) -> None:
    """Groups, levels; an input that nobody feeds makes its rule fail."""
    rules: Security = security()

    assert rules.rights(group, level, user, host) == expected


def test_conditions_all_count() -> None:
    """User, host (in any case) and CALC must all fit."""
    rules = security()
    rules.feed("BL7:permit", 1.0)
    assert rules.rights("shutter", 1, "anna", "console1") == (True, False)
    rules.feed("BL7:mode.VAL", 0.0)

    assert rules.rights("shutter", 1, "anna", "CONSOLE1") == (True, True)
    assert rules.rights("shutter", 1, "eve", "console1") == (True, False)
    assert rules.rights("shutter", 1, "anna", "laptop") == (True, False)


def test_writes_that_are_to_be_logged() -> None:
    """TRAPWRITE belongs to the rule that grants."""
    assert security().decide("DEFAULT", 0, "eve", "pc").trap
    assert not security().decide("DEFAULT", 1, "eve", "pc").trap


def test_hosts_may_be_known_by_their_addresses() -> None:
    """Names of the file are resolved once; what a client claims does not count then."""
    file = parse("HAG(h) { Console1, lost }\nASG(DEFAULT) { RULE(1, WRITE) { HAG(h) } }")
    rules = AccessSecurity(file, resolve={"console1": "192.0.2.7"}.get)

    assert rules.check_client_ip
    assert rules.unresolved == {"lost"}
    assert rules.rights("DEFAULT", 1, "anna", "192.0.2.7") == (True, True)
    assert rules.rights("DEFAULT", 1, "anna", "console1") == (False, False)
    assert not AccessSecurity(file).check_client_ip


def test_trapped_writes_say_who_and_what(caplog: pytest.LogCaptureFixture) -> None:
    """User, host, PV, the value and what it was before; only for writes that such a rule allows."""
    caplog.set_level("INFO")
    rules = security()
    assert rules.traps
    assert not security("ASG(DEFAULT) { RULE(1, WRITE) }").traps
    rules.wrote(PV("x", 1.0, level=0), "eve", "pc", 2.0)
    rules.wrote(PV("y", 1.0, level=1), "eve", "pc", 2.0)

    assert [record.getMessage() for record in caplog.records] == ["eve@pc writes x: 2.0, was 1.0"]


def test_rights_follow_a_pv() -> None:
    """When an input changes the condition, whoever watches is told; not otherwise, and INVALID makes it fail."""
    permit, mode = PV("BL7:permit", 0.0), PV("BL7:mode", 0)
    pvs = {"BL7:permit": permit, "BL7:mode.VAL": mode}
    rules = security()
    told: list[tuple[bool, bool]] = []
    rules.watch(lambda: told.append(rules.rights("shutter", 1, "bert", "console1")))

    assert rules.connect(pvs.get) == frozenset()
    assert told == []
    for value in (1.0, 1.0, 1.005, 2.0, 1.0):
        permit.post(value)
    permit.set_alarm(1, 3)
    mode.post(2)

    # 1 (1 and 1.005 change nothing), 2, 1, INVALID (and the mode matters no longer)
    assert told == [(True, True), (True, False), (True, True), (True, False)]
    assert rules.rights("shutter", 1, "bert", "console1") == (True, False)


def test_inputs_that_are_not_served_are_named() -> None:
    """The author of the file is told which PVs it waits for in vain."""
    assert security().connect(lambda _: None) == {"BL7:permit", "BL7:mode.VAL"}


def test_many_names_do_not_grow_the_server() -> None:
    """Clients may claim any names: what is remembered of them is bounded."""
    rules = security()
    for number in range(25_000):
        rules.rights("DEFAULT", 1, f"user{number}", "pc")

    assert len(rules._decisions) <= 10_001
