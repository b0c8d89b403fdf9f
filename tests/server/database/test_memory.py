"""How much a record takes."""

from __future__ import annotations

import tracemalloc

from canet.server.database import load
from canet.server.database.build import build

COUNT = 3000


def test_a_scalar_record_takes_less_than_two_kilobytes() -> None:
    """With all that the file says of it."""
    text = "".join(
        f'record(ai, "X:sector{i // 100}:ai{i}") {{ field(DESC, "Signal {i}") field(EGU, "mm") field(PREC, "3") }}\n'
        for i in range(COUNT)
    )
    tracemalloc.start()
    try:
        directory = build(load("x.db", read=lambda _: text))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(directory) == COUNT
    assert size / COUNT < 2048
