"""The table of causes: kind → who proposes changes, and which rules of the model point at it.

The makers know nothing of symptoms; the engine (:mod:`canet.harness.diagnosis.diagnose`) tries what they propose and
ranks it by what it heals.
"""

from __future__ import annotations

from dataclasses import dataclass

from canet.harness.diagnosis import (
    diagnose_access,
    diagnose_events,
    diagnose_firewall,
    diagnose_gateways,
    diagnose_ignored,
    diagnose_lists,
    diagnose_load,
    diagnose_loops,
    diagnose_network,
    diagnose_numbers,
    diagnose_repeater,
    diagnose_servers,
    diagnose_trains,
    diagnose_versions,
)
from canet.harness.diagnosis.diagnose_changes import Maker
from canet.harness.predict.beacon_train import SOURCE as _BHE


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of cause."""

    name: str
    maker: Maker
    rules: tuple[str, ...]
    """Rules of the model that, when they stop a search, point at this kind."""
    weight: int = 0
    """Among equals the smaller goes first: how special the change is."""
    source: str = ""
    """Where its rule is from, if it is none of the model's (:data:`canet.harness.predict.rules.RULES`)."""


_RSRV = "EPICS Base modules/database/src/ioc/rsrv/cast_server.c"
_CA = "EPICS Base modules/ca/src/client/"
_ACF = "EPICS Base modules/libcom/src/as/asLibRoutines.c, asCheckClientIP"

KINDS: tuple[Kind, ...] = (
    Kind("link-down", diagnose_network.link_down, ("link-down", "link-down-there", "link-cut"), 1),
    Kind(
        "switch",
        diagnose_network.switch,
        ("bridge-isolated", "bridge-no-flood", "neighbour-none", "neighbour-gateway"),
        1,
    ),
    Kind("no-broadcast", diagnose_network.no_broadcast, ("list-own-address", "socket-none"), 1),
    Kind("netmask", diagnose_network.netmask, ("input-no-broadcast", "neighbour-none"), 1),
    Kind("rp-filter", diagnose_network.rp_filter, ("rp-filter-strict", "rp-filter-no-route"), 1),
    Kind("mtu", diagnose_network.mtu, ("mtu-frame", "mtu-refused"), 1),
    Kind("firewall", diagnose_firewall.firewall, ("firewall-drop", "firewall-reject"), 1),
    Kind("firewall-reply", diagnose_firewall.firewall_reply, ("firewall-policy",), 2),
    Kind("firewall-closed", diagnose_firewall.firewall_closed, ("firewall-policy",), 2),
    Kind("list-spelling", diagnose_lists.list_spelling, ("list-auto-spelling",), 1),
    Kind("list-separator", diagnose_lists.list_separator, ("list-one-word", "list-bad-name"), 1),
    Kind("list-misspelt", diagnose_lists.list_misspelt, (), 1),
    Kind("list-name", diagnose_lists.list_name, ("list-bad-name",), 2),
    Kind("list-other-address", diagnose_lists.list_other_address, ("neighbour-none", "multicast-unjoined"), 2),
    Kind("list-limited", diagnose_lists.list_limited, ("route-limited",), 3),
    Kind("no-reuse", diagnose_servers.no_reuse, ("bind-failed",), 1),
    Kind("users", diagnose_servers.users, ("socket-hash",), 2),
    Kind("nat", diagnose_firewall.nat_missing, ("socket-hash", "socket-last", "nat-prerouting"), 2),
    Kind(
        "nat-publish",
        diagnose_firewall.nat_publish,
        ("nat-prerouting", "input-not-mine", "socket-none", "connect-refused"),
        2,
    ),
    Kind("relay", diagnose_gateways.relay, ("relayed",), 1),
    Kind("caproto-port", diagnose_servers.caproto_fault, (), 1),
    Kind("bound", diagnose_servers.bound_narrowly, ("socket-none", "socket-exact", "server-dead"), 3),
    Kind("directed-broadcast", diagnose_network.directed_broadcast, ("input-broadcast", "forward-not-broadcasts"), 3),
    Kind("route-back", diagnose_network.route_back, ("source-chosen",), 4),
    Kind("no-route", diagnose_network.no_route, ("route-none", "route-limited"), 4),
    Kind("name-server", diagnose_lists.name_server_lacks, (), 3),
    Kind("list-shared-unicast", diagnose_lists.list_shared_unicast, ("socket-hash", "socket-last"), 4),
    Kind("list-port", diagnose_lists.list_port, ("socket-none",), 4),
    Kind("list-off", diagnose_lists.list_off, ("list-none",), 4),
    Kind("shared-port", diagnose_servers.shared_port, ("socket-hash", "socket-last"), 5),
    Kind("router", diagnose_network.broadcasts_end_at_router, (), 5),
    Kind("list-lacks", diagnose_lists.list_lacks, (), 6),
    Kind("ignored", diagnose_ignored.ignored, ("answer-ignored",), 2),
    Kind("cross-replies", diagnose_servers.cross_replies, (), 1),
    Kind("occupied", diagnose_servers.occupied, ("bind-failed",), 1),
    Kind("other-port", diagnose_servers.other_port, ("socket-none",), 1),
    Kind("list-missing", diagnose_lists.list_missing, (), 2),
    Kind("list-front", diagnose_lists.list_front, (), 3),
    Kind("paused", diagnose_events.paused, (), 1),
    Kind("late-network", diagnose_events.late_network, (), 1),
    Kind("stale-circuit", diagnose_events.stale_circuit, (), 1),
    Kind("multicast", diagnose_lists.multicast, ("multicast-unjoined", "forward-ttl", "route-none"), 1),
    Kind("beacon-auto", diagnose_servers.beacon_auto, (), 1),
    Kind("impatience", diagnose_servers.impatience, (), 1),
    Kind("beacon-address", diagnose_servers.beacon_address, (), 1),
    Kind("duplicate-pv", diagnose_gateways.duplicate_pv, (), 2),
    Kind("search-first", diagnose_gateways.search_first, (), 1),
    Kind("name-table", diagnose_gateways.name_table, (), 2),
    Kind("stale-name", diagnose_events.stale_name, (), 1),
    Kind("flaw", diagnose_servers.flaws, (), 1),
    Kind("beacon-port", diagnose_servers.beacon_port, (), 2),
    Kind("beacon-late", diagnose_trains.late, (), 1, _BHE),
    Kind("beacon-pause", diagnose_trains.paused_train, (), 1, _BHE),
    Kind("beacon-lost", diagnose_trains.lost, (), 1, _BHE),
    Kind("beacon-foreign", diagnose_trains.foreign, (), 1, _BHE),
    Kind("repeater-thread", diagnose_repeater.thread, (), 1, _CA + "udpiiu.cpp caStartRepeaterIfNotInstalled"),
    Kind("repeater-restarted", diagnose_repeater.registered_once, (), 1, _CA + "repeaterSubscribeTimer.cpp"),
    Kind("repeater-pipe", diagnose_repeater.held_pipe, (), 1, _CA + "caRepeater.cpp, since 7.0.4"),
    Kind("unresponsive", diagnose_load.held, (), 1, _CA + "tcpRecvWatchdog.cpp"),
    Kind("slow-answers", diagnose_load.slow, (), 1, _CA + "udpiiu.h, searchTimer.cpp"),
    Kind("storm", diagnose_load.storm, (), 1, "Linux net/core/sock.c, sysctl net.core.rmem_default"),
    Kind("rights-translated", diagnose_access.translated, (), 1, _ACF),
    Kind("rights-by-name", diagnose_access.believed, (), 1, _ACF),
    Kind("gateway-ignores", diagnose_loops.wrong_side, (), 1, "CA Gateway manual, -signore"),
    Kind("gateway-loop", diagnose_loops.loop, (), 2, "CA Gateway manual, -signore"),
    Kind("old-version", diagnose_versions.too_old, (), 1, "EPICS Base 3.15.4 release notes"),
    Kind("ignore-stray", diagnose_ignored.stray, (), 1, _RSRV),
    Kind("ignore-fault", diagnose_ignored.ineffective, (), 1, "caproto server/common.py"),
    Kind("same-number", diagnose_numbers.same_number, (), 0, "CA protocol specification, CA_PROTO_SEARCH"),
    Kind("beacon-list", diagnose_servers.beacon_list, (), 4),
)
"""All kinds of causes, the most special ones first."""
