"""Every test of an IOC runs on all three backends."""

from __future__ import annotations

import pytest

from canet.server.backends import NAMES


@pytest.fixture(params=NAMES)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of a backend."""
    name: str = request.param
    return name
