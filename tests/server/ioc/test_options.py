"""What is said of a PV, and what clients are told."""

from __future__ import annotations

from typing import Any

import pytest

from canet.server.ioc.kinds import kind_of
from canet.server.ioc.options import Options, check, metadata_of
from canet.server.protocol.alarm import Severity
from canet.server.protocol.metadata import Metadata


def test_limits_become_metadata() -> None:
    """Displays, controls, warnings and alarms; one side may be open; macros in units."""
    options: Options = {
        "units": "$(U)", "precision": 1, "limits": (-1, 1), "control": (None, 0.5), "warning": (None, 3),
        "alarm": (-5, None), "hysteresis": 0.1, "deadband": 0.2, "archive_deadband": 0.3,
    }  # fmt: skip

    assert metadata_of(options, kind_of(0.0), {"U": "mm"}) == Metadata(
        units="mm",
        precision=1,
        low_display=-1,
        high_display=1,
        low_control=-1,
        high_control=0.5,
        high=3,
        lolo=-5,
        hysteresis=0.1,
        monitor_deadband=0.2,
        archive_deadband=0.3,
    )


def test_equal_metadata_is_one_object() -> None:
    """A hundred thousand PVs with the same units share what is said of them."""
    first, second = (metadata_of({"units": "A"}, kind_of(0.0), {}) for _ in range(2))

    assert first is second


def test_states_may_be_alarms() -> None:
    """Severities go by the names of states; a name that is no state is told."""
    kind = kind_of("a", ("a", "b"))

    assert metadata_of({"severities": {"b": Severity.MAJOR}}, kind, {}).state_severities == (0, 2)
    with pytest.raises(ValueError, match=r"severity of 'c', which is no state \(a, b\)"):
        metadata_of({"severities": {"c": Severity.MAJOR}}, kind, {})


def test_keywords_are_checked() -> None:
    """A keyword with a slip of the pen names the nearest one."""
    wrong: Any = {"unit": "mm"}
    with pytest.raises(TypeError, match=r"pv\(\) has no keyword 'unit' \(did you mean 'units'\?\)"):
        check(wrong)
