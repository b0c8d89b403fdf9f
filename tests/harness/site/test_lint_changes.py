"""What differs between two scenarios, as settings."""

from __future__ import annotations

from dataclasses import replace

from canet.harness.site.lint_changes import settings_changed
from canet.scenarios.model import Server, Step
from tests.harness.predict.nets import iocs, pair, scenario


def test_steps_and_new_servers_are_said() -> None:
    """A step that changes, one that is gone, and a server that is added."""
    pause, flood = Step(do="pause", target="ioc1"), Step(do="flood", args={"count": 60000})
    whole = replace(scenario(pair(), *iocs(1)), steps=(pause, flood))
    fewer = replace(whole, steps=(pause, replace(flood, args={"count": 25})))
    added = replace(whole, servers=(*whole.servers, Server(name="r", host="client", implementation="repeater")))

    assert list(settings_changed(whole, fewer)) == ["steps.1.count = 25"]
    assert list(settings_changed(whole, replace(whole, steps=(flood,)))) == ["steps: take away pause ioc1"]
    assert list(settings_changed(whole, added)) == ["servers.r: add it on client (repeater)"]


def test_files_are_said() -> None:
    """A file that is otherwise is named, not printed."""
    old = scenario(pair(files=(("/opt/caRepeater", "exec sleep 60\n"),)), *iocs(1))
    new = scenario(pair(files=(("/opt/caRepeater", "exec sleep 60 >/dev/null\n"),)), *iocs(1))

    assert list(settings_changed(old, new)) == ['hosts.ioc.files."/opt/caRepeater": change it']
