"""What this machine offers, as values."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from canet.netns.features import PURPOSES, features


def test_every_feature_is_answered() -> None:
    """Each has a purpose, and a reason where it does not work; networks can be built where these tests run."""
    found = features()

    assert [each.name for each in found] == list(PURPOSES)
    assert all(each.purpose for each in found)
    assert all(bool(each.detail) != each.works for each in found)
    assert all(each.works for each in found if each.needed), [each for each in found if each.needed]


def test_a_machine_without_namespaces_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason and the setting to change reach the values."""
    answer = '{"namespaces": "user.max_user_namespaces is 0", "remedy": "sysctl user.max_user_namespaces=10000"}'

    def run(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0, answer, "")

    monkeypatch.setattr(subprocess, "run", run)
    first = features()[0]

    assert (first.name, first.works, first.detail) == ("namespaces", False, "user.max_user_namespaces is 0")
    assert first.remedy == "sysctl user.max_user_namespaces=10000"
    assert not any(each.works for each in features())


def test_a_probe_that_breaks_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a crash is an answer."""

    def run(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", "Traceback\nOSError: broken")

    monkeypatch.setattr(subprocess, "run", run)

    assert features()[0].detail == "OSError: broken"
