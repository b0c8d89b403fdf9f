"""The measures of the model: the site that is linted has hosts, IOCs and mistakes in it, and each goal is printed."""

import pytest

from canet.harness.bench import model
from canet.harness.site.lint import lint
from canet.harness.site.site import read_site


@pytest.mark.parametrize(("hosts", "iocs", "clients"), [(3, 1, 1), (100, 200, 40), (60, 10, 50)])
def test_a_site_is_as_large_as_asked(hosts: int, iocs: int, clients: int) -> None:
    """Every size gives a site that can be read."""
    scenario = read_site(model.site(hosts, iocs, clients), "site.toml").scenario

    assert len(scenario.topology.hosts) == hosts
    assert len(scenario.servers) == iocs
    assert len(scenario.clients) == clients


def test_a_site_has_mistakes_to_find() -> None:
    """A site in which nothing is wrong would be linted faster than real ones are."""
    found = {each.kind for each in lint(read_site(model.site(100, 200, 40), "site.toml"))}

    assert found >= {"luck", "unreachable", "switch", "separator", "netmask"}


def test_each_figure_stands_beside_its_goal(capsys: pytest.CaptureFixture[str]) -> None:
    """Time and memory of the site, and time of predictions."""
    model.main(["--hosts", "10", "--iocs", "10", "--clients", "2", "--predictions", "10"])

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("a site of 10 hosts, 10 IOCs, 2 clients, linted")
    assert "goal 1024 MiB" in lines[1]
    assert lines[-1].startswith("10 predictions of six hosts")
    assert sum("goal" in each for each in lines) == 3
