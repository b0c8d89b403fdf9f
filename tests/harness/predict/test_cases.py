"""Cases as values: they read back as they were written, and get smaller one element at a time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from canet.harness.predict.cases import from_json, smaller, to_json
from canet.harness.predict.compare import differences, predict_case
from canet.harness.predict.generate import generate
from canet.harness.proof.selfcheck import network_rules
from canet.netns.check import check


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000_000))
def test_cases_read_back_as_written(seed: int) -> None:
    """JSON keeps every case."""
    case = generate(seed)

    assert case == from_json(to_json(case))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000_000))
def test_model_takes_every_case_and_its_parts(seed: int) -> None:
    """Whatever is generated, and whatever is left of it, can be predicted, twice alike."""
    case = generate(seed)
    told = predict_case(case)

    assert differences(case, told, told) == [] or told.shots
    for part in list(smaller(case))[:20]:
        if not check(part.topology):
            predict_case(part)


def test_the_same_seed_gives_the_same_case() -> None:
    """Cases are reproducible."""
    assert generate(7) == generate(7)
    assert generate(7) != generate(8)


def test_cases_touch_the_rules() -> None:
    """A thousand cases touch nearly all rules about networks."""
    touched: set[str] = set()
    for seed in range(1000):
        predict_case(generate(seed), touched)

    missed = set(network_rules()) - touched
    assert len(missed) < 0.15 * len(network_rules()), sorted(missed)
