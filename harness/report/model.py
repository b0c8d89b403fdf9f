"""What the model says about a run that is shown: foretold, hop by hop, and whether the run agrees.

The prediction is computed from the stored scenario when the page is made, so it is always today's model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from canet.harness.observation import Check
from canet.harness.predict.prediction import ClientPrediction, Prediction, ProbePrediction
from canet.harness.predict.trace import Reason
from canet.harness.report.record import Record


@dataclass(frozen=True, slots=True)
class Told:
    """One probe or client: the outcome that must be, and the chain of reasons."""

    name: str
    facts: tuple[tuple[str, str], ...]
    """Measure and outcome in words."""
    reasons: Sequence[Reason]


@dataclass(frozen=True, slots=True)
class Foretold:
    """All that the model says about a run."""

    told: tuple[Told, ...] = ()
    agreed: int = 0
    """Measures in which the run agrees with the prediction."""
    differences: tuple[Check, ...] = ()
    silent: str = ""
    """Why the model says nothing."""


def foretell(run: Record) -> Foretold:
    """Predict the case of a run and compare; never raises, a report must not fail because of its model."""
    from canet.harness.predict import play
    from canet.harness.proof.agreement import compare

    try:
        prediction = play(run.scenario, run.verdict.subject)
        checks = compare(run.scenario, prediction, run.observation)
    except Exception as error:  # whatever the model stumbles over is said in the page
        return Foretold(silent=f"{type(error).__name__}: {error}")
    differences = tuple(each for each in checks if each.holds is False)
    return Foretold(tuple(_told(prediction)), sum(each.holds is True for each in checks), differences)


def _told(prediction: Prediction) -> list[Told]:
    probes = [Told(each.name, _probe_facts(each), each.reasons) for each in prediction.probes]
    return probes + [Told(each.name, _client_facts(each), each.reasons) for each in prediction.clients]


def _probe_facts(probe: ProbePrediction) -> tuple[tuple[str, str], ...]:
    from canet.harness.predict.story import outcome_words

    if probe.error is not None:
        return (("cannot be sent", probe.error),)
    outcomes = (("received by", probe.received), ("answered by", probe.answered), ("connects to", probe.connects))
    return tuple((measure, outcome_words(outcome)) for measure, outcome in outcomes)


def _client_facts(client: ClientPrediction) -> tuple[tuple[str, str], ...]:
    from canet.harness.predict.story import outcome_words

    searches = ", ".join(client.searches_to) or "nowhere"
    return (("searches", searches), ("reads", outcome_words(client.reads)))
