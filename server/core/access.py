"""Access security at work: who may read and write what, now, by the rules of an access security file.

Rules are judged as ``asComputePvt`` in EPICS Base judges them: of all rules that speak for the field's level and whose
conditions the client fulfils, the one that grants most wins. A CALC condition holds when its value is 1, and never
while one of its inputs is unknown or INVALID. A group that the file does not define counts as DEFAULT.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from canet.server.core.acf import Access, AccessFile, Group, Rule
from canet.server.core.pv import PV
from canet.server.protocol.alarm import Severity

log = logging.getLogger("canet.access")
Lookup = Callable[[str], PV | None]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a client may do, and whether its writes are to be logged."""

    access: Access
    trap: bool = False


@dataclass(slots=True)
class _State:
    """A group with the present values of its inputs."""

    group: Group
    values: list[float] = field(default_factory=lambda: [0.0] * 21)
    bad: set[int] = field(default_factory=set)
    holds: tuple[bool, ...] = ()
    """For each rule whether its CALC condition holds."""

    def compute(self) -> bool:
        """Judge the CALC conditions anew; whether any of them changed."""
        holds = tuple(self.judge(rule) for rule in self.group.rules)
        changed = holds != self.holds
        self.holds = holds
        return changed

    def judge(self, rule: Rule) -> bool:
        if rule.calc is None:
            return True
        # asComputeAsgPvt: the result counts as true between 0.99 and 1.01.
        return not self.bad & rule.calc.used and 0.99 < rule.calc(self.values) < 1.01


class AccessSecurity:
    """Answers what the core asks of access security (:class:`canet.server.core.security.Security`).

    Args:
        file: The groups and rules.
        resolve: Gives the IPv4 address of a host name of the file, or ``None``. With it, hosts are compared by the
            address that a client comes from instead of the name that it claims (``asCheckClientIP`` of an IOC);
            names are resolved here, once.
    """

    def __init__(self, file: AccessFile, *, resolve: Callable[[str], str | None] | None = None) -> None:
        self.file = file
        self.check_client_ip = resolve is not None
        self.unresolved: frozenset[str] = frozenset()
        """Host names that have no address: rules do not speak of them."""
        self._hosts = file.hosts
        if resolve is not None:
            found = {name: resolve(name) for members in file.hosts.values() for name in members}
            self.unresolved = frozenset(name for name, address in found.items() if address is None)
            self._hosts = {
                group: frozenset(address for name in members if (address := found[name]) is not None)
                for group, members in file.hosts.items()
            }
        self._traps = any(rule.trap for group in file.groups.values() for rule in group.rules)
        self._changed: list[Callable[[], None]] = []
        self._decisions: dict[tuple[str, int, str, str], Decision] = {}
        self._groups = {name: _State(group) for name, group in file.groups.items()}
        for state in self._groups.values():
            state.bad.update(state.group.inputs)
            state.compute()

    @property
    def inputs(self) -> frozenset[str]:
        """Names of all PVs that rules depend on."""
        return frozenset(name for state in self._groups.values() for name in state.group.inputs.values())

    def connect(self, lookup: Lookup) -> frozenset[str]:
        """Follow the inputs that this server serves itself.

        Args:
            lookup: Gives the PV of a name, or ``None``.

        Returns:
            Names of inputs that are not found: the rules that need them do not hold.
        """
        missing = set()
        for name in self.inputs:
            pv = lookup(name)
            if pv is None:
                missing.add(name)
                continue
            if pv.listeners is None:
                pv.listeners = []
            pv.listeners.append(_Input(self, name, pv))
            self.feed(name, _number(pv))
        return frozenset(missing)

    def feed(self, name: str, value: float | None) -> None:
        """Take the value of an input; ``None``: it is unknown. Announces changed rights by what ``watch`` was given."""
        changed = False
        for state in self._groups.values():
            for index, input_name in state.group.inputs.items():
                if input_name == name:
                    state.bad.discard(index) if value is not None else state.bad.add(index)
                    state.values[index] = 0.0 if value is None else value
                    changed |= state.compute()
        if changed:
            self._decisions.clear()
            for call in self._changed:
                call()

    def watch(self, changed: Callable[[], None]) -> None:
        """Have ``changed()`` called whenever answers may differ from before."""
        self._changed.append(changed)

    def rights(self, group: str, level: int, user: str, host: str) -> tuple[bool, bool]:
        """Return whether a client may read and write a PV of ``group`` whose field is of ``level``."""
        access = self.decide(group, level, user, host).access
        return access >= Access.READ, access >= Access.WRITE

    @property
    def traps(self) -> bool:
        """Whether any rule asks for its writes to be logged (``TRAPWRITE``)."""
        return self._traps

    def wrote(self, pv: PV, user: str, host: str, value: object) -> None:
        """Log a write that a rule with ``TRAPWRITE`` allows: who, from where, what, and what it was before."""
        if self.decide(pv.group, pv.level, user, host).trap:
            log.info("%s@%s writes %s: %s, was %s", user, host, pv.name, value, pv.value)

    def decide(self, group: str, level: int, user: str, host: str) -> Decision:
        """Return what the rules grant a client, and whether its writes are to be logged."""
        key = (group, level, user, host)
        decision = self._decisions.get(key)
        if decision is None:
            if len(self._decisions) > 10_000:  # clients choose the names: never more than a few megabytes
                self._decisions.clear()
            decision = self._decisions[key] = self._judge(group, level, user, host.lower())
        return decision

    def _judge(self, group: str, level: int, user: str, host: str) -> Decision:
        state = self._groups.get(group) or self._groups["DEFAULT"]
        best = Decision(Access.NONE)
        for rule, holds in zip(state.group.rules, state.holds, strict=True):
            if holds and rule.access > best.access and self._matches(rule, level, user, host):
                best = Decision(rule.access, rule.trap)
        return best

    def _matches(self, rule: Rule, level: int, user: str, host: str) -> bool:
        return (
            rule.enabled
            and level <= rule.level
            and (not rule.users or _in_one(user, rule.users, self.file.users))
            and (not rule.hosts or _in_one(host, rule.hosts, self._hosts))
        )


class _Input:
    """Follows one PV for access security."""

    __slots__ = ("name", "pv", "security")

    def __init__(self, security: AccessSecurity, name: str, pv: PV) -> None:
        self.security = security
        self.name = name
        self.pv = pv

    def offer(self, mask: int) -> None:  # noqa: ARG002 - by protocol
        """Take note of the PV's new value."""
        self.security.feed(self.name, _number(self.pv))


def _number(pv: PV) -> float | None:
    if pv.severity == Severity.INVALID:
        return None
    try:
        return float(pv.value)
    except (TypeError, ValueError):
        return None


def _in_one(name: str, groups: tuple[str, ...], members: Mapping[str, frozenset[str]]) -> bool:
    return any(name in members[group] for group in groups)
