"""Say in a few words what a probe or a client saw: who of how many answered, and how it was shared out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from canet.harness.observation import ClientSeen, ProbeSeen, Shot
from canet.harness.verdict.verdict import answered

Pick = Callable[[Shot], frozenset[str]]


def probe_words(
    probe: ProbeSeen, servers: Sequence[str], pick: Pick = answered, verbs: tuple[str, str] = ("answers", "answer")
) -> str:
    """Say who answered (or what ``pick`` picks), for example ``exactly one of 3 answers; over 20 source ports 7/6/7``.

    Args:
        probe: what was seen.
        servers: all servers, in order.
        pick: whom to count of each datagram.
        verbs: what they do, for one and for several.
    """
    does, do = verbs
    rounds = [(shot.source, pick(shot)) for shot in probe.shots]
    if not rounds:
        return "nothing was sent"
    errors: set[str] = {shot.error for shot in probe.shots if shot.error}
    if errors:
        return f"cannot be sent: {', '.join(sorted(errors))}"
    how_many = {len(got) for _, got in rounds}
    sources = len({source for source, _ in rounds})
    total = len(servers)
    if how_many == {0}:
        return f"none of {total} {does}"
    if how_many == {total} and total > 1:
        return f"all {total} {do}"
    if how_many == {1}:
        counts: Counter[str] = Counter(name for _, got in rounds for name in got)
        shares = "/".join(str(counts.get(name, 0)) for name in servers)
        if total == 1:
            return f"the one server {does}"
        if sources == 1:
            which = ", ".join(counts)
            return f"exactly one of {total} {does}, {which} {max(counts.values())} times of {len(rounds)}"
        if len(counts) == 1:
            return f"always {next(iter(counts))} {does}, over {sources} source ports"
        return f"exactly one of {total} {does}; over {sources} source ports {shares}"
    if len({got for _, got in rounds}) == 1:
        return f"{', '.join(sorted(rounds[0][1]))} {do}"
    sizes = Counter(len(got) for _, got in rounds)
    return ", ".join(f"{size} of {total} {many} times" for size, many in sorted(sizes.items()))


def probe_word(probe: ProbeSeen, servers: Sequence[str], pick: Pick = answered) -> str:
    """Say in a word or two, for a table, who answered (or what ``pick`` picks): ``one of 3``, ``always ioc3``.

    Shares that chance decides are left out.

    Args:
        probe: what was seen.
        servers: all servers, in order.
        pick: whom to count of each datagram.
    """
    rounds = [pick(shot) for shot in probe.shots]
    errors = {shot.error for shot in probe.shots if shot.error}
    if not rounds or errors:
        return ", ".join(sorted(errors)) or "not sent"
    sizes = sorted({len(got) for got in rounds})
    total = len(servers)
    if sizes == [0]:
        return "none"
    if sizes == [total]:
        return "all"
    if sizes == [1] and (len(set(rounds)) > 1 or len({shot.source for shot in probe.shots}) == 1):
        return f"one of {total}"
    if len(set(rounds)) > 1:
        return f"{' to '.join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))} of {total}"
    names = ", ".join(each for each in servers if each in rounds[0])
    return f"always {names}" if sizes == [1] else names


def client_words(client: ClientSeen, wanted: Sequence[str]) -> str:
    """Say how many of the PVs a client read in its tries."""
    counts = [len(each.values) for each in client.tries]
    total = len(wanted)
    if not counts:
        return "was not run"
    if len(set(counts)) == 1:
        tries = "" if len(counts) == 1 else f" in each of {len(counts)} tries"
        return f"{counts[0]} of {total} PVs{tries}"
    return f"{'/'.join(map(str, counts))} of {total} PVs in {len(counts)} tries"
