"""The benchmark: its load works against a server, and its table says what was reached."""

from collections.abc import Iterator

import numpy as np
import pytest

from canet.harness.bench.__main__ import _goal, _table
from canet.harness.bench.load import LoadError, Target, find
from canet.harness.bench.measures import MEASURES, Measure
from canet.harness.bench.searches import SEARCHED
from canet.server.core.pv import PV
from tests.server.live import Live, free_port, live


@pytest.fixture(scope="module")
def running() -> Iterator[Live]:
    """Run a server with what the benchmark asks for."""
    with live("asyncio", PV("x", 1.5), PV("array", np.zeros(1000)), *(PV(name, 0.0) for name in SEARCHED)) as server:
        yield server


@pytest.mark.parametrize(
    ("work", "measure"), [(work, measure) for work, measure, *_ in MEASURES], ids=[work for work, *_ in MEASURES]
)
def test_each_measure_gives_a_rate(running: Live, work: str, measure: Measure) -> None:
    """The load is understood, and all replies are counted."""
    host, _, port = running.addresses.udp[0].rpartition(":")

    assert measure(Target(host, int(port), 6400, 0.02, elements=1000)) > 0, work


def test_server_that_is_not_there_is_named() -> None:
    """The error says what was asked, and where."""
    with pytest.raises(LoadError, match=r"search for x at 127\.0\.0\.1"):
        find(Target("127.0.0.1", free_port()), 0.1)


def test_table_has_ratios_and_goals() -> None:
    """What is missed is said."""
    rates = {work: {"rsrv": 100.0, "canet asyncio": 200.0, "caproto asyncio": None} for work, *_ in MEASURES}
    table = _table(["rsrv", "canet asyncio", "caproto asyncio"], rates)

    assert "2.00" in table
    assert "≥ 0.25 × rsrv: reached, ≥ 100 × caproto: ?" in table
    assert _goal("get, one at a time", 0.5, None) == "≥ 1 × rsrv: missed"
