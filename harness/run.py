"""Run many cases, some at a time: which there are, which this machine can do, and what came of each."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from canet.harness import lab, verdict
from canet.harness.observation import Observation, Verdict
from canet.harness.participants import recipe
from canet.netns import NetworkError, SpawnError, TopologyError
from canet.scenarios.model import SUBJECTS, Scenario


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario's variant, and who plays its servers."""

    scenario: Scenario
    subject: str

    @property
    def id(self) -> str:
        """``theme/name[variant]@subject``; stable."""
        return f"{self.scenario.key}@{self.subject}"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case."""

    case: Case
    verdict: Verdict
    observation: Observation | None = None
    """``None`` where nothing was run."""


def cases(scenarios: Iterable[Scenario], subjects: Sequence[str] = (), *, packets_only: bool = False) -> Iterator[Case]:
    """Yield the cases of scenarios.

    Args:
        scenarios: variants.
        subjects: who plays the servers; empty: each that the scenario speaks about. An implementation stands for
            all its subjects (``canet``, ``caproto``).
        packets_only: leave the clients out, and with them what is expected of them.
    """
    for scenario in scenarios:
        wanted = scenario.subjects
        if subjects:
            wanted = tuple(each for name in subjects for each in expand(name))
        for subject in dict.fromkeys(wanted):
            yield Case(without_clients(scenario) if packets_only else scenario, subject)


def expand(name: str) -> tuple[str, ...]:
    """Return the subjects that a name stands for.

    Raises:
        ValueError: no implementation is called so.

    >>> expand("canet"), expand("caproto-trio")
    (('asyncio', 'curio', 'trio', 'mix'), ('caproto-trio',))
    """
    if name == "canet":
        return SUBJECTS
    if name in (*SUBJECTS, *recipe.PEERS):
        return (name,)
    found = tuple(each for each in recipe.PEERS if each.startswith(f"{name}-"))
    if not found:
        known = ("canet", *SUBJECTS, "caproto", *recipe.PEERS)
        raise ValueError(f"no implementation is called {name!r}; there are {', '.join(known)}")
    return found


def without_clients(scenario: Scenario) -> Scenario:
    """Return a scenario that only sends packets."""
    names = {each.name for each in scenario.clients}
    return replace(
        scenario,
        clients=(),
        steps=tuple(each for each in scenario.steps if each.do != "client"),
        expectations=tuple(each for each in scenario.expectations if each.subject not in names),
    )


def lacking(case: Case) -> str | None:
    """Return the sentence that says what this machine lacks for a case, and how to get it."""
    scenario = case.scenario
    for part in recipe.parts_of(scenario.servers, scenario.clients, case.subject):
        sentence = recipe.missing(part)
        if sentence is not None:
            return sentence
    return next((sentence for each in scenario.needs if (sentence := need(each)) is not None), None)


def need(name: str) -> str | None:
    """Return the sentence that says how to get something that is needed; ``None`` if it is there.

    Args:
        name: ``root``, ``uids``, or a package's part (``rsrv``, ``libca`` …); what is not known counts as there.
    """
    return recipe.missing(name) if name in recipe.PARTS else _NEEDS.get(name, lambda: None)()


def _needs_root() -> str | None:
    mapped = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
    if os.geteuid() == 0 and mapped[:2] == ["0", "0"]:
        return None
    return "needs root outside of a user namespace: run it as root"


def _needs_uids() -> str | None:
    ranges = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    if sum(int(line.split()[2]) for line in ranges) > 1:
        return None
    return "needs a second user id, which a user namespace of an ordinary user does not have: run it as root"


_NEEDS: dict[str, Callable[[], str | None]] = {"root": _needs_root, "uids": _needs_uids}


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
        observation = lab.run(case.scenario, case.subject)
    except (NetworkError, SpawnError, TopologyError, ValueError) as error:
        return Result(case, _verdict(case, "error", str(error), time.monotonic() - started))
    judged = replace(verdict.judge(case.scenario, observation), seconds=time.monotonic() - started)
    return Result(case, judged, observation)


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
    """Run cases, ``jobs`` at a time (0: as many as there are CPUs), and return their results in their order.

    Args:
        wanted: the cases.
        done: called in the calling thread with each result, as it comes.
        jobs: labs that are up at the same time.
        require_all: what is missing here is an error, not a skip.
        times: how often each case is run.
    """
    everything = [case for case in wanted for _ in range(times)]
    results: dict[int, Result] = {}
    workers = jobs or len(os.sched_getaffinity(0))
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
