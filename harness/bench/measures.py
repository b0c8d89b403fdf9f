"""What the benchmark measures: its works by name."""

from __future__ import annotations

from collections.abc import Callable

from canet.harness.bench import circuits, searches
from canet.harness.bench.load import Target

Measure = Callable[[Target], float]
MEASURES: tuple[tuple[str, Measure, float, str], ...] = (
    ("get DBR_DOUBLE, pipelined", circuits.get_pipelined, 1, "/s"),
    ("get DBR_TIME_DOUBLE, pipelined", circuits.get_time_pipelined, 1, "/s"),
    ("get, one at a time", circuits.get_one_at_a_time, 1, "/s"),
    ("put with notify, pipelined", circuits.put_notify_pipelined, 1, "/s"),
    ("put without notify, pipelined", circuits.put_pipelined, 1, "/s"),
    ("create channel, pipelined", circuits.create_pipelined, 1, "/s"),
    ("monitor updates, 10 subscribers, each put awaited", circuits.monitor_updates, 1, "/s"),
    ("array of 100,000 doubles, get", circuits.array_get, 1e6, "MB/s"),
    ("UDP search, PV served", searches.search_hit, 1, "/s"),
    ("UDP search, PV not served", searches.search_miss, 1, "/s"),
)
"""What is measured: (work, function, divisor, unit)."""
