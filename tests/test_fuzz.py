"""A bounded number of malformed inputs on each backend; ``make fuzz`` goes on for as long as asked."""

import random

import pytest

from tests import fuzz
from tests.server.live import BACKENDS


@pytest.mark.parametrize("backend", BACKENDS)
def test_server_stands_malformed_input(backend: str) -> None:
    """Nothing ends, hangs or grows, and the healthy client is served all the while."""
    report = fuzz.run(backend, seed=20240607, inputs=400)

    assert report.inputs == 400
    assert report.growth <= fuzz.GROWTH
    assert backend in str(report)


def test_inputs_follow_from_the_seed() -> None:
    """A seed that found something finds it again."""
    one, two = ([fuzz.message(random.Random(seed)) for _ in range(3)] for seed in (1, 1))

    assert one == two
    assert b"".join(fuzz.pieces(random.Random(2), b"abc" * 99)) == b"abc" * 99
