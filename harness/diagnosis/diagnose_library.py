"""Diagnose the whole library: is the cause of each broken variant named first, and each fixed one found healthy?

A scenario says its cause in a sentence for people. The first diagnosis names it if it is of a kind whose words the
sentence has (:data:`WORDS`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from canet.harness.diagnosis.diagnose import Diagnosis, Symptom, diagnose
from canet.scenarios.model import Scenario

WORDS: dict[str, str] = {
    "link-down": r"interface.*(down|cut)|found no interface",
    "switch": r"switch",
    "no-broadcast": r"broadcast attribute|broadcast address, and gave up",
    "netmask": r"netmask",
    "rp-filter": r"rp_filter",
    "mtu": r"MTU",
    "firewall": r"firewall (drops|rejects)",
    "firewall-reply": r"firewall drops the reply|rule accepts datagrams|firewall does not take it for a reply",
    "firewall-closed": r"firewall.*(open|does not)",
    "list-spelling": r"AUTO_ADDR_LIST.*for yes",
    "list-separator": r"comma|tab stands",
    "list-misspelt": r"no client reads",
    "list-name": r"does not resolve",
    "list-other-address": r"the list names|searches in group|no broadcast address that reaches",
    "list-limited": r"255\.255\.255\.255",
    "no-reuse": r"neither SO_REUSEADDR",
    "users": r"user",
    "nat": r"no rule turns|rule (stands|rewrites)",
    "nat-publish": r"NAT rule leads|not published|is published|publish|NAT does not translate",
    "relay": r"relay sends searches",
    "caproto-port": r"does not read EPICS_CAS_SERVER_PORT",
    "bound": r"bound to|before its host had the address",
    "directed-broadcast": r"directed broadcast|bc_forwarding|address of another subnet|does not forward broadcasts",
    "route-back": r"route.*(other interface|way)|reply comes from another address",
    "no-route": r"no route",
    "name-server": r"NAME_SERVERS",
    "list-shared-unicast": r"share UDP port 5064|same address|bound to 127.0.0.1:5064",
    "list-port": r"has no port",
    "list-off": r"switches the search|nowhere to search",
    "shared-port": r"share UDP port 5064|SO_REUSEADDR alone",
    "router": r"(router|host).*does not (forward|cross)|cross the router|not routed",
    "list-lacks": r"automatic list|lacks EPICS_CA_ADDR_LIST|no broadcast address that reaches",
    "ignored": r"ignores searches from",
    "ignore-stray": r"IGNORE_ADDR_LIST holds another address",
    "ignore-fault": r"compares address and port",
    "same-number": r"numbers all its searches alike",
    "cross-replies": r"all of its sockets",
    "flaw": r"the server (stops|keeps|answers|sends|speaks|does not close)|accept|copies",
    "multicast": r"TTL of 1|no route for 224|did not join|does not route multicasts",
    "beacon-auto": r"EPICS_CA_AUTO_ADDR_LIST=NO",
    "impatience": r"gives up after",
    "beacon-address": r"address of its beacons",
    "duplicate-pv": r"serve the same PV",
    "search-first": r"only when it is searched by UDP",
    "name-table": r"name server names",
    "stale-name": r"in its list up once",
    "paused": r"because it is stopped",
    "late-network": r"before the second network is there",
    "stale-circuit": r"whose peer is gone|asks a silent server only after",
    "occupied": r"another program holds|a program that is no repeater holds",
    "other-port": r"listens on UDP port",
    "list-missing": r"lacks EPICS_CA_",
    "list-front": r"not routed into",
    "beacon-port": r"beacons to port 5065|beacons go to UDP port",
    "beacon-list": r"destinations of its beacons|beacon destinations|the server's beacons|no beacons,",
    "beacon-late": r"a beacon comes late",
    "beacon-pause": r"beacons pause",
    "beacon-lost": r"beacon was lost",
    "beacon-foreign": r"no beacons reach",
    "repeater-thread": r"repeater (ran in a client|of the second client)",
    "repeater-restarted": r"registered with a repeater that has ended",
    "repeater-pipe": r"repeater.*(inherited|holds) the pipe",
    "unresponsive": r"does not answer the client's echo",
    "slow-answers": r"answers only later searches",
    "storm": r"fill the server's receive buffer",
    "rights-translated": r"sees the address of the router",
    "rights-by-name": r"believes the host name",
    "gateway-loop": r"answers the searches of the other one",
    "gateway-ignores": r"address that is ignored is that of the other gateway",
    "old-version": r"does not know EPICS_CA",
    "beacon-limited": r"beacons to 255\.255\.255\.255",
}
"""Kind of cause → words that a sentence about it has."""

BEYOND: dict[str, str] = {}
"""Scenarios whose cause no value of them tells → why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One variant of the library, and whether its diagnosis is right."""

    scenario: Scenario
    diagnosis: Diagnosis

    @property
    def right(self) -> bool:
        """The cause is named first; or, where there is none, it is found healthy."""
        if not self.scenario.cause:
            return self.diagnosis.healthy
        causes = self.diagnosis.causes
        return bool(causes) and re.search(WORDS[causes[0].kind], self.scenario.cause) is not None


def subject_of(scenario: Scenario) -> str:
    """Return the subject that a scenario speaks about first."""
    named = [each for each in scenario.speaks_about if each in scenario.cause]
    first = (*named, *scenario.speaks_about, "canet")[0]
    return {"canet": "asyncio", "caproto": "caproto-asyncio"}.get(first, first)


def check(scenarios: Iterable[Scenario]) -> list[Entry]:
    """Diagnose all variants; in one without a cause, what its expectations foresee is no symptom."""
    return [_entry(each) for each in scenarios]


def _entry(scenario: Scenario) -> Entry:
    subject = subject_of(scenario)
    found = diagnose(scenario, subject)
    if not scenario.cause and not found.healthy:
        left = tuple(each for each in found.symptoms if not _foreseen(scenario, subject, each))
        found = replace(found, symptoms=left, causes=found.causes if left else ())
    return Entry(scenario, found)


def _foreseen(scenario: Scenario, subject: str, symptom: Symptom) -> bool:
    """The author of a variant says what is wanted of it: a client that must not find a PV is not ill without it."""
    if symptom.kind in ("flaw", "astray"):
        return True  # a flaw that nothing wakes; a reply that arrives in spite of its source
    for each in scenario.expected(subject):
        if symptom.subject.split()[0] != each.subject:
            continue
        pv = symptom.subject.partition(" ")[2]
        if each.reads is not None and pv:
            return each.reads.kind != "all" or pv not in each.reads.members
        outcome = each.answered if symptom.kind == "unanswered" else each.received or each.answered
        return not pv and outcome is not None and outcome.kind == "none"
    return False
