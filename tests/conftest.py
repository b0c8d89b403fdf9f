"""What holds for all tests: properties store no examples and have all the time they need."""

from __future__ import annotations

import os

from hypothesis import settings

# The checkout may be another user's, who lets us read only; and a busy machine is no failure.
settings.register_profile("canet", database=None, deadline=None)
settings.load_profile("canet")


def pytest_xdist_auto_num_workers() -> int:
    """Run four workers for each CPU: most scenarios wait for clients and servers, not for a CPU."""
    return 4 * (os.cpu_count() or 1)
