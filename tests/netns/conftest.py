"""Enter the namespaces early, and small networks to test with.

``enter()`` runs when this file is imported: by the controlling process, before pytest-xdist starts threads; worker
processes inherit what it gave.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from canet.netns import Network, Topology, Unavailable, enter
from canet.netns.enter import only_one_user

_reason = ""
try:
    enter()
except Unavailable as error:
    _reason = f"this machine gives no namespaces: {error}"


@pytest.fixture(autouse=True)
def _namespaces(request: pytest.FixtureRequest) -> None:
    if _reason and "network" in request.fixturenames:
        pytest.skip(_reason)


@pytest.fixture(autouse=True)
def _one_processor() -> Iterator[None]:
    """Keep each test on one processor.

    A veth hands frames to a queue of the sending processor; only within one of them is what is sent first also
    delivered first, and a sentinel proof.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(allowed)[os.getpid() % len(allowed)]})
    yield
    os.sched_setaffinity(0, allowed)


@pytest.fixture
def real_root() -> None:
    """Skip where only one user id exists."""
    if only_one_user():
        pytest.skip("needs root: an ordinary user's namespace has no second user id")


@pytest.fixture
def network() -> Iterator[Callable[[Topology], Network]]:
    """Build networks that are closed when the test ends."""
    made: list[Network] = []

    def build(topology: Topology) -> Network:
        made.append(Network(topology))
        return made[-1]

    yield build
    for each in made:
        each.close()
