"""Compare the model with this kernel in random networks, many at once, and say how far they agree.

Each case is measured in a worker process of its own pool; a difference is made as small as it gets before it is
shown, so that it can be read and kept as a regression case.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path

from canet.harness.predict.cases import Case, from_json, smaller, to_json
from canet.harness.predict.compare import differences, predict_case
from canet.harness.predict.generate import generate
from canet.harness.predict.rules import RULES
from canet.netns.errors import NetworkError, TopologyError

BATCH = 20
"""Cases that a worker takes at a time."""
TRIES = 3
"""How often a network is built before it counts as one that cannot be."""
MOST_TRIES = 400
"""Smaller cases that are tried for one difference."""

Measure = Callable[[Case], list[str]]


@dataclass(slots=True)
class Difference:
    """A case on which model and kernel disagree."""

    seed: int
    case: Case
    what: list[str]


@dataclass(slots=True)
class Outcome:
    """What some cases gave."""

    cases: int = 0
    shots: int = 0
    unbuildable: dict[int, str] = field(default_factory=dict)
    """Seeds whose topology could not be built → why; such a case compares nothing."""
    single: int = 0
    """Networks that have the sockets of one user here, though several belong there."""
    differences: list[Difference] = field(default_factory=list)
    rules: set[str] = field(default_factory=set)

    def add(self, other: Outcome) -> None:
        """Take in what others gave."""
        self.cases += other.cases
        self.shots += other.shots
        self.unbuildable |= other.unbuildable
        self.single += other.single
        self.differences += other.differences
        self.rules |= other.rules

    @property
    def compared(self) -> int:
        """Cases that could be built and compared."""
        return self.cases - len(self.unbuildable)


def several_users() -> bool:
    """Tell whether sockets of other users can be opened: the user namespace must map their ids."""
    if os.geteuid() != 0:
        return False
    try:
        lines = Path("/proc/self/uid_map").read_text().splitlines()
    except OSError:
        return False
    return any(int(first) <= 1000 < int(first) + int(count) for first, _, count in (line.split() for line in lines))


def needs_users(case: Case) -> bool:
    """Tell whether sockets of another user than root take part in a case."""
    return any(each.uid for each in case.sockets) or any(each.uid for each in case.shots)


def check_case(case: Case, rules: set[str] | None = None) -> list[str]:
    """Return the differences between model and kernel for one case; empty where they agree.

    Raises:
        TopologyError, NetworkError: the kernel does not build it.
    """
    from canet.harness.proof.selfcheck_kernel import Sentinel, measure

    sentinel = Sentinel()
    try:
        seen = measure(case, sentinel)
    finally:
        sentinel.close()
    return differences(case, predict_case(case, rules), seen)


def check(seeds: range, users: bool = True, *, shrink_found: bool = True) -> Outcome:
    """Compare the cases of some seeds."""
    outcome = Outcome()
    for seed in seeds:
        case = generate(seed, users=users)
        outcome.cases += 1
        outcome.single += not users and needs_users(generate(seed))
        try:
            found = check_case(case, outcome.rules)
        except (TopologyError, NetworkError) as error:
            outcome.unbuildable[seed] = str(error).splitlines()[0].rpartition(": ")[2]
            continue
        outcome.shots += len(case.shots)
        if found:
            small = shrink(case) if shrink_found else case
            outcome.differences.append(Difference(seed, small, _again(small) or found))
    return outcome


def _again(case: Case) -> list[str]:
    try:
        return check_case(case)
    except (TopologyError, NetworkError):
        return []


def shrink(case: Case, differs: Measure = _again) -> Case:
    """Leave out one element after the other as long as model and kernel still disagree."""
    tries = 0
    while True:
        for candidate in smaller(case):
            tries += 1
            if tries > MOST_TRIES:
                return case
            if differs(candidate):
                case = candidate
                break
        else:
            return case


def run(
    cases: int, seed: int, jobs: int = 0, tell: Callable[[int, Outcome], None] = lambda _done, _outcome: None
) -> Outcome:
    """Compare ``cases`` cases from ``seed`` on with ``jobs`` workers (0: one per CPU); ``tell`` hears of progress."""
    users = several_users()
    total = _everything(cases, seed, jobs, users, tell)
    for _ in range(TRIES - 1):
        for each in [*total.unbuildable]:  # alone, when the machine is less busy than with all of them
            del total.unbuildable[each]
            again = check(range(each, each + 1), users)
            total.add(replace(again, cases=0, single=0))
    return total


def _everything(cases: int, seed: int, jobs: int, users: bool, tell: Callable[[int, Outcome], None]) -> Outcome:
    """Compare each case once."""
    batches = list(_batches(cases, seed))
    total = Outcome()
    workers = min(jobs or os.cpu_count() or 1, len(batches))
    if workers <= 1:
        for batch in batches:
            total.add(check(batch, users))
            tell(total.cases, total)
        return total
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork")) as pool:
        for future in as_completed([pool.submit(check, batch, users) for batch in batches]):
            total.add(future.result())
            tell(total.cases, total)
    return total


def _batches(cases: int, seed: int) -> Iterator[range]:
    for first in range(seed, seed + cases, BATCH):
        yield range(first, min(first + BATCH, seed + cases))


def network_rules() -> tuple[str, ...]:
    """Return the ids of the rules that say something of the network; the others are about Channel Access."""
    prefixes = ("list-", "server-", "answer", "reply-many", "chance-", "beacon", "relayed", "bind-failed")
    return tuple(each for each in RULES if not each.startswith(prefixes))


def keep(difference: Difference, folder: Path) -> Path:
    """Store a difference as a regression case."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seed_{difference.seed}.json"
    path.write_text(to_json(difference.case) + "\n", encoding="utf-8")
    return path


def kept(folder: Path) -> list[tuple[str, Case]]:
    """Return the stored regression cases by name."""
    return [(path.stem, from_json(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.json"))]
