"""Run cases, some at a time, and say what came of each."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from canet.harness.lab import lab
from canet.harness.lab.disturbed import DisturbedError
from canet.harness.observation import Check, Observation, Verdict
from canet.harness.predict import Prediction, play
from canet.harness.proof import agreement
from canet.harness.run.cases import Case, lacking
from canet.harness.verdict import verdict
from canet.netns import NetworkError, Unavailable


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case."""

    case: Case
    verdict: Verdict
    observation: Observation | None = None
    """``None`` where nothing was run."""
    prediction: Prediction | None = None
    """``None`` where nothing was run."""


def run_case(case: Case, *, require_all: bool = False) -> Result:
    """Run one case; whatever goes wrong becomes its verdict.

    Raises:
        Unavailable: this machine cannot make namespaces at all.
    """
    sentence = lacking(case)
    if sentence is not None:
        return Result(case, _verdict(case, "error" if require_all else "skipped", sentence))
    started = time.monotonic()
    try:
        observation = _undisturbed(case)
    except Unavailable:
        raise
    except (NetworkError, OSError, ValueError, DisturbedError) as error:
        return Result(case, _verdict(case, "error", str(error), time.monotonic() - started))
    except Exception as error:  # a mistake of ours must not take the other cases along
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"
        return Result(case, _verdict(case, "error", reason, time.monotonic() - started))
    judged = verdict.judge(case.scenario, observation)
    prediction = play(case.scenario, case.subject)
    judged = with_agreement(judged, agreement.compare(case.scenario, prediction, observation))
    return Result(case, replace(judged, seconds=time.monotonic() - started), observation, prediction)


def _undisturbed(case: Case) -> Observation:
    """Run a case, and again where the machine was too busy to do it as it says; the third time, that is the verdict."""
    for _ in range(2):
        with contextlib.suppress(DisturbedError):
            return lab.run(case.scenario, case.subject)
    return lab.run(case.scenario, case.subject)


def with_agreement(judged: Verdict, checks: Sequence[Check]) -> Verdict:
    """Add what the comparison with the model gave; a difference fails the case, whatever else holds."""
    outcome = "fails" if any(each.holds is False for each in checks) else judged.outcome
    return replace(judged, checks=(*judged.checks, *checks), outcome=outcome)


def _verdict(case: Case, outcome: str, reason: str, seconds: float = 0.0) -> Verdict:
    return Verdict(
        scenario=case.scenario.key,
        subject=case.subject,
        outcome=outcome,  # type: ignore[arg-type]  # one of the four
        reason=reason,
        seconds=seconds,
    )


def run_all(
    wanted: Iterable[Case],
    done: Callable[[Result], None] = lambda _result: None,
    *,
    jobs: int = 0,
    require_all: bool = False,
    times: int = 1,
) -> list[Result]:
    """Run cases, ``jobs`` at a time (0: four for each CPU), and return their results in their order.

    Args:
        wanted: the cases.
        done: called in the calling thread with each result, as it comes.
        jobs: labs that are up at the same time.
        require_all: what is missing here is an error, not a skip.
        times: how often each case is run.
    """
    everything = [case for case in wanted for _ in range(times)]
    results: dict[int, Result] = {}
    workers = jobs or 4 * len(os.sched_getaffinity(0))  # clients mostly wait for answers that do not come
    waiting = iter(enumerate(everything))
    pool = ThreadPoolExecutor(workers, thread_name_prefix="canet-lab")
    try:
        # Few at a time are handed over, so that an interrupted run has little left to finish.
        running: dict[Future[Result], int] = {}
        for number, case in itertools.islice(waiting, workers):
            running[pool.submit(run_case, case, require_all=require_all)] = number
        while running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                result = results[running.pop(future)] = future.result()
                for number, case in itertools.islice(waiting, 1):
                    running[pool.submit(run_case, case, require_all=require_all)] = number
                done(result)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return [results[number] for number in sorted(results)]


def failed(results: Iterable[Result]) -> bool:
    """Tell whether any result is neither a pass nor a skip."""
    return any(each.verdict.outcome in ("fails", "error") for each in results)
