"""Statements about Channel Access, and how each is told from what was measured.

There are nine about servers on one host, and five in official documents that are not so. Each is shown by one or more
scenarios of the library; all their variants must hold. The table says which probes and clients of which variants are
the figures to print.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from canet.harness.observation import Observation
from canet.harness.participants.recipe import all_pvs
from canet.harness.run.run import Result
from canet.harness.verdict import wording
from canet.scenarios.model import Scenario


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a statement: what a probe or client of a variant saw."""

    variant: str
    of: str
    """A probe or a client, or the label of a step that listens for beacons."""
    label: str
    """What stands before the figure."""
    scenario: str = ""
    """Its name, where the statement has several."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One of the nine, or of the five."""

    number: int
    text: str
    figures: tuple[Figure, ...]
    scenario: str = ""
    """The one that shows it; for the nine a tag tells."""

    @property
    def tag(self) -> str:
        """The tag of its scenarios."""
        return f"statement-{self.number}"

    def shown_by(self, scenario: Scenario) -> bool:
        """Say whether a scenario shows it."""
        return scenario.id == self.scenario if self.scenario else self.tag in scenario.tags


STATEMENTS: tuple[Statement, ...] = (
    Statement(
        1,
        "Servers on one host share UDP port 5064. Each takes a TCP port of its own and announces it in its replies.",
        (Figure("plain", "broadcast", "ports"), Figure("plain", "libca", "libca connects to")),
    ),
    Statement(
        2,
        "A broadcast search reaches every server, and all answer.",
        (Figure("plain", "broadcast", "broadcast"), Figure("plain", "libca", "libca reads")),
    ),
    Statement(
        3,
        "A unicast search to the host reaches exactly one server, chosen by the source port. "
        "With SO_REUSEADDR alone it is always the one that was bound last.",
        (
            Figure("broken", "one-source", "one source port"),
            Figure("broken", "many-sources", "unicast"),
            Figure("reuseaddr-alone", "many-sources", "SO_REUSEADDR alone"),
            Figure("broken", "libca", "libca reads"),
        ),
    ),
    Statement(
        4,
        "A client that lists the host's address cannot reliably reach more than one server on it; "
        "with the broadcast address it reaches all.",
        (
            Figure("broken", "search", "host's address"),
            Figure("broadcast-address", "search", "broadcast address"),
            Figure("broken", "libca", "libca with the host's address reads"),
            Figure("broadcast-address", "libca", "with the broadcast address"),
        ),
    ),
    Statement(
        5,
        "Of servers that are bound to localhost a client there reaches one at most, and 127.255.255.255 reaches none; "
        "servers that are bound to all addresses do hear 127.255.255.255.",
        (
            Figure("broken", "localhost", "127.0.0.1"),
            Figure("broken", "loopback-broadcast", "127.255.255.255"),
            Figure("all-addresses", "loopback-broadcast", "bound to all addresses, 127.255.255.255"),
            Figure("broken", "libca", "libca reads"),
            Figure("all-addresses", "libca-broadcast", "bound to all addresses"),
        ),
    ),
    Statement(
        6,
        "On a host with two interfaces, servers that are bound to the broadcast address of one hear broadcasts there; "
        "they ignore unicasts to the host and broadcasts on the other interface.",
        (
            Figure("broken", "broadcast-one", "broadcast there"),
            Figure("broken", "unicast-one", "unicast"),
            Figure("broken", "broadcast-two", "broadcast on the other"),
            Figure("client-broadcasts", "libca", "libca reads"),
            Figure("broken", "libca", "with the host's address"),
        ),
    ),
    Statement(
        7,
        "Servers that are bound to an interface's own address ignore broadcasts, and unicasts are shared out.",
        (
            Figure("broken", "broadcast", "broadcast"),
            Figure("broken", "unicast", "unicast"),
            Figure("broken", "libca", "libca reads by broadcast"),
            Figure("broken", "libca-unicast", "by unicast"),
        ),
    ),
    Statement(
        8,
        "A rule in PREROUTING that turns unicasts into broadcasts makes all servers answer remote clients, and does "
        "nothing for clients on the same host; a rule in OUTPUT to 127.255.255.255 serves those.",
        (
            Figure("prerouting", "remote", "PREROUTING: remote"),
            Figure("prerouting", "local", "local"),
            Figure("prerouting-and-output", "local", "and OUTPUT: local"),
            Figure("prerouting", "libca", "libca reads remote"),
            Figure("prerouting", "libca-local", "local"),
            Figure("prerouting-and-output", "libca-local", "with OUTPUT"),
        ),
    ),
    Statement(
        9,
        "Servers join a multicast group that stands in EPICS_CAS_INTF_ADDR_LIST, and searches to it reach every server "
        "that joined.",
        (
            Figure("all-join", "group", "three joined"),
            Figure("plain", "group", "two joined"),
            Figure("other-group", "group", "another group"),
            Figure("all-join", "libca", "libca reads"),
        ),
    ),
)


_ONE_HOST = "several_servers_on_one_host"

AGAINST_THE_DOCUMENTS: tuple[Statement, ...] = (
    Statement(
        1,
        "Documents say that of several servers on a host the one started last gets the unicasts. It is so only with "
        "SO_REUSEADDR alone; servers that set SO_REUSEPORT too share them out by the client's port.",
        (
            Figure("broken", "one-source", "one source port"),
            Figure("broken", "many-sources", "unicast"),
            Figure("broken", "libca", "libca reads"),
            Figure("reuseaddr-alone", "many-sources", "SO_REUSEADDR alone"),
        ),
        f"{_ONE_HOST}/multi_ioc_unicast_reuseport_lottery",
    ),
    Statement(
        2,
        "Documents say that clients reach several servers on localhost by 127.255.255.255. Servers that are bound to "
        "127.0.0.1 do not hear it; those that are bound to all addresses do.",
        (
            Figure("broken", "loopback-broadcast", "bound to 127.0.0.1"),
            Figure("broken", "libca-broadcast", "libca reads"),
            Figure("all-addresses", "loopback-broadcast", "bound to all addresses"),
            Figure("all-addresses", "libca-broadcast", "libca reads"),
        ),
        f"{_ONE_HOST}/multi_ioc_localhost_127",
    ),
    Statement(
        3,
        "Documents say that a rule in PREROUTING, which turns unicasts into broadcasts, makes every server of a host "
        "found. It does nothing for clients on the host itself; they need a rule in OUTPUT.",
        (
            Figure("prerouting", "remote", "PREROUTING: remote"),
            Figure("prerouting", "libca", "libca reads"),
            Figure("prerouting", "local", "local"),
            Figure("prerouting", "libca-local", "libca reads"),
            Figure("prerouting-and-output", "libca-local", "with OUTPUT"),
        ),
        f"{_ONE_HOST}/dnat_unicast_to_broadcast",
    ),
    Statement(
        4,
        "Documents say that a server without EPICS_CAS_BEACON_ADDR_LIST sends its beacons to EPICS_CA_ADDR_LIST. Since "
        "3.15.4 it does not, though its PVs are found as before.",
        (
            Figure("broken", "heard", "EPICS_CA_ADDR_LIST"),
            Figure("broken", "libca", "libca reads"),
            Figure("beacon-list", "heard", "EPICS_CAS_BEACON_ADDR_LIST"),
        ),
        "environment_variables/beacon_list_fallback",
    ),
    Statement(
        5,
        "Documents say that a firewall must let pass UDP and TCP port 5064. The second server of a host has another "
        "TCP port, so that it is found and not reached.",
        (
            Figure("broken", "broadcast", "5064 open"),
            Figure("broken", "libca", "libca reads"),
            Figure("open-range", "libca", "all TCP ports from 1024 open: libca reads"),
            Figure("fixed-port", "libca", "5066 for the second, and open: libca reads"),
        ),
        f"{_ONE_HOST}/second_ioc_ephemeral_tcp_firewalled",
    ),
)


def scenarios_of(statement: Statement, library: Iterable[Scenario]) -> tuple[Scenario, ...]:
    """Return all variants of the scenarios that show a statement."""
    return tuple(each for each in library if statement.shown_by(each))


def sentence(statement: Statement, results: Iterable[Result]) -> str:
    """Return the figures of a statement for one subject, in words."""
    by_variant: dict[str, Result] = {result.case.scenario.variant: result for result in results}
    parts = [text for figure in statement.figures if (text := _figure(figure, by_variant)) is not None]
    return "; ".join(parts)


def _figure(figure: Figure, by_variant: Mapping[str, Result]) -> str | None:
    result = by_variant.get(figure.variant)
    if result is None or result.observation is None:
        return None
    scenario, observation = result.case.scenario, result.observation
    if figure.label == "ports":
        return _ports(observation, figure.of)
    for probe in observation.probes:
        if probe.name == figure.of:
            return f"{figure.label}: {wording.probe_words(probe, [each.name for each in scenario.servers])}"
    for client in observation.clients:
        if client.name == figure.of:
            if figure.label.endswith("connects to"):
                reached = {name for each in client.tries for name in each.servers.values()}
                return f"{figure.label} {len(reached)} of {len(scenario.servers)}"
            return f"{figure.label} {wording.client_words(client, all_pvs(scenario.servers))}"
    heard = observation.measures.get(figure.of, {}).get("beacons_from")
    if isinstance(heard, (tuple, list)):
        return f"{figure.label}: {'beacons come' if heard else 'no beacon comes'} to the client"
    return None


def _ports(observation: Observation, probe: str) -> str:
    """Say which ports the servers share, and which each has for itself."""
    shared = sorted({name.rpartition(":")[2] for each in observation.participants for name in each.udp})
    tcp = [each.tcp[0].rpartition(":")[2] for each in observation.participants if each.tcp]
    announced = observation.measures.get(probe, {}).get("announces", ())
    count = len(announced) if isinstance(announced, (tuple, list)) else 0
    return f"UDP {'/'.join(shared)} shared by {len(tcp)}, TCP {', '.join(tcp)}, {count} different announced"
