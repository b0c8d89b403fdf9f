"""The rules of the model: id → what it says, and where the rule is from.

Each conclusion of a prediction is a chain of these. Ids are stable; the self-check reports which of them its cases
touched. ``{}`` are filled in order with what the rule was applied to.
"""

from __future__ import annotations

from typing import NamedTuple


class RuleText(NamedTuple):
    """A sentence with gaps, and its source."""

    text: str
    source: str


_FIB = "Linux net/ipv4/fib_frontend.c fib_add_ifaddr, ip-route(8)"
_ROUTE = "Linux net/ipv4/route.c ip_route_output_key_hash_rcu"
_INPUT = "Linux net/ipv4/route.c ip_route_input_slow"
_UDP = "Linux net/ipv4/udp.c udp4_lib_lookup2, measured on 6.18"
_NFT = "nftables: nft(8), statements and chain hooks"
_CT = "Linux net/netfilter/nf_conntrack_core.c, measured on 6.18"
_BRIDGE = "bridge(8), Linux net/bridge/br_forward.c"
_IOCINF = "EPICS Base modules/ca/src/client/iocinf.cpp"
_ENV = "EPICS Base configure/CONFIG_ENV"
_CAPROTO = "caproto _utils.py get_address_list"
_CAJ = "CAJ CAJContext.java"
_RSRV = "EPICS Base modules/database/src/ioc/rsrv/caservertask.c"

RULES: dict[str, RuleText] = {
    # --- the client's destinations
    "list-none": RuleText(
        "{} has neither EPICS_CA_ADDR_LIST nor an automatic list: it sends no search at all.", _IOCINF
    ),
    "list-explicit": RuleText("{} searches {}:{} because EPICS_CA_ADDR_LIST names it.", _IOCINF),
    "list-automatic": RuleText(
        "{} searches {}:{}, the broadcast address of {}, because EPICS_CA_AUTO_ADDR_LIST is {}.", _IOCINF
    ),
    "list-own-address": RuleText(
        "{} searches {}:{}: {} has no broadcast attribute, so getifaddrs reports its own address instead.",
        "measured: getifaddrs(3) without IFA_BROADCAST",
    ),
    "list-interfaces": RuleText("{} searches {}:{}, since its list has every interface, also {}.", _CAPROTO),
    "list-peer": RuleText("{} searches {}:{}, the far end of the point-to-point interface {}.", _IOCINF),
    "list-loopback": RuleText(
        "{} searches {}:{}: no other interface is up, so the automatic list falls back to the loopback.", _IOCINF
    ),
    "list-limited": RuleText("{} searches 255.255.255.255:{}: it cannot list the host's interfaces.", _CAPROTO),
    "list-bad-name": RuleText("{} skips {}: it is no address and the host does not resolve it.", _IOCINF),
    "list-one-word": RuleText(
        "{} takes {} for one host name, since it splits lists at spaces only.",
        "caproto _utils.py _split_address_list",
    ),
    "list-auto-ignored": RuleText(
        "{} broadcasts although EPICS_CA_AUTO_ADDR_LIST is not YES, because its address list is empty.", _CAPROTO
    ),
    "list-auto-spelling": RuleText(
        "{} takes EPICS_CA_AUTO_ADDR_LIST={} for YES: only a text with 'no' or 'NO' in it switches the list off.",
        _IOCINF,
    ),
    "list-name-server": RuleText("{} asks the name server {}:{} over TCP.", "EPICS Base modules/ca/src/client/cac.cpp"),
    "list-port": RuleText("{} uses port {} where an entry names none (EPICS_CA_SERVER_PORT).", _ENV),
    # --- routes
    "sends": RuleText("{} sends to {}:{}.", "the scenario"),
    "route-local": RuleText("{} has {} itself: the packet stays on the host, through lo.", _ROUTE),
    "route-broadcast": RuleText("On {}, {} is a broadcast address of {}: every host on that link hears it.", _FIB),
    "route-loopback-broadcast": RuleText("On {}, {} is the broadcast address of {}: it stays on the host.", _FIB),
    "route-multicast": RuleText("{} sends the group {} out of {}.", _ROUTE),
    "route-gateway": RuleText("{} reaches {} through the router {} on {}.", "ip-route(8)"),
    "route-link": RuleText("{} takes {} for a neighbour on {}.", "ip-route(8)"),
    "route-none": RuleText("{} has no route to {}: sendto fails with ENETUNREACH.", _ROUTE),
    "route-limited": RuleText(
        "{} has no route for 255.255.255.255 (no default route): sendto fails with ENETUNREACH.", _ROUTE
    ),
    "route-refused": RuleText("The route of {} to {} refuses: sendto fails with {}.", "ip-route(8)"),
    "route-loopback-source": RuleText(
        "{} cannot send from {} to {}: a loopback source never leaves the host (EINVAL).", _ROUTE
    ),
    "source-chosen": RuleText(
        "{} chooses {} as source, by the route to {}.", "Linux net/ipv4/devinet.c inet_select_addr"
    ),
    "loopback-down": RuleText("The interface lo of {} is down: nothing reaches the host's own sockets.", "ip-link(8)"),
    "loops-back": RuleText(
        "{} also hears its own broadcast to {}: the kernel loops a copy back.",
        "Linux net/ipv4/ip_output.c ip_mc_output",
    ),
    # --- links
    "link-down": RuleText("The interface {} is down or has no carrier: the frame is lost.", "ip-link(8)"),
    "link-down-there": RuleText("The interface {} is down: it does not hear {}.", "ip-link(8)"),
    "link-cut": RuleText("The cable of {} is cut in that direction.", "the scenario"),
    "neighbour-none": RuleText(
        "Nobody on the link of {} answers ARP for {}: the packet waits, then is dropped.", "Linux net/ipv4/arp.c"
    ),
    "neighbour-gateway": RuleText(
        "The router asked from {} for does not answer: nobody has {} there.", "Linux net/ipv4/arp.c"
    ),
    "bridge-isolated": RuleText("{} is an isolated port, like the sender's: they exchange nothing ({}).", _BRIDGE),
    "bridge-no-flood": RuleText("The switch does not flood this to {}: it never hears {}.", _BRIDGE),
    "macvlan-parent": RuleText(
        "{} shares its cable with the sender as macvlan and parent: they never hear each other ({}).",
        "Linux drivers/net/macvlan.c, measured",
    ),
    "mtu-fragments": RuleText(
        "{} octets are more than the MTU of {} ({}): the packet leaves in fragments.",
        "Linux net/ipv4/ip_output.c ip_fragment",
    ),
    "mtu-refused": RuleText(
        "{} cannot carry {} octets (MTU {}) and must not fragment: dropped, the sender is told.",
        "RFC 1191, Linux net/ipv4/ip_forward.c",
    ),
    "mtu-frame": RuleText(
        "{} refuses the frame of {} octets: its MTU is {}.", "Linux net/core/dev.c is_skb_forwardable"
    ),
    # --- input
    "input-local": RuleText("{} accepts it: {} is its own address.", _INPUT),
    "input-broadcast": RuleText("{} accepts it: {} is a broadcast address there.", _INPUT),
    "input-limited": RuleText("{} accepts it: 255.255.255.255 is everybody's.", _INPUT),
    "input-no-broadcast": RuleText(
        "The frame reaches {}, but {} is no broadcast address of that host (a different netmask): dropped.", _INPUT
    ),
    "input-not-mine": RuleText("{} does not have {} and does not forward: dropped.", _INPUT),
    "multicast-joined": RuleText("{} has joined {}: accepted.", "Linux net/ipv4/igmp.c ip_check_mc_rcu"),
    "multicast-unjoined": RuleText("Nobody on {} has joined {}: dropped.", "Linux net/ipv4/igmp.c ip_check_mc_rcu"),
    "martian-own": RuleText(
        "{} drops a packet that claims to come from its own address {}.",
        "Linux net/ipv4/fib_frontend.c fib_validate_source",
    ),
    "martian-broadcast": RuleText(
        "{} drops a packet from {}, which is a broadcast address to it.",
        "Linux net/ipv4/fib_frontend.c __fib_validate_source",
    ),
    "martian-source": RuleText("{} drops a packet from {}: no host can have that address.", _INPUT),
    "martian-loopback": RuleText("{} drops loopback addresses that come by cable ({}).", _INPUT),
    "rp-filter-strict": RuleText(
        "{} has rp_filter=1 and the way back to {} goes through {}: dropped without a word.",
        "RFC 3704, Linux ip-sysctl rp_filter",
    ),
    "rp-filter-loose": RuleText(
        "{} has rp_filter=2: some route to {} is enough.", "RFC 3704, Linux ip-sysctl rp_filter"
    ),
    "rp-filter-no-route": RuleText(
        "{} has rp_filter={} and no route back to {}: dropped.", "Linux net/ipv4/fib_frontend.c __fib_validate_source"
    ),
    "rp-filter-no-address": RuleText(
        "{} has rp_filter={} and no address, and the way back to {} goes through another interface: dropped.",
        "Linux net/ipv4/fib_frontend.c __fib_validate_source, last_resort",
    ),
    # --- routers
    "forward": RuleText("The router {} forwards {} out of {}.", "Linux net/ipv4/ip_forward.c"),
    "forward-no-route": RuleText("The router {} has no route to {}.", _INPUT),
    "forward-ttl": RuleText("The time to live ends at {}.", "RFC 791"),
    "forward-not-broadcasts": RuleText(
        "{} does not route what came as a broadcast ({}).", "Linux net/ipv4/ip_forward.c"
    ),
    "bc-forwarding": RuleText(
        "{} has bc_forwarding on: the directed broadcast {} may cross it.", "Linux ip-sysctl bc_forwarding"
    ),
    # --- firewall and translation
    "firewall-accept": RuleText("{} {} rule {} lets it pass: {}.", _NFT),
    "firewall-established": RuleText("{} {} knows the connection with {}:{}: it passes.", _CT),
    "firewall-drop": RuleText("The firewall of {} ({} rule {}) drops it: {}.", _NFT),
    "firewall-reject": RuleText("The firewall of {} ({} rule {}) rejects it: {}.", _NFT),
    "firewall-policy": RuleText("The firewall of {} drops it by the policy of {}: {} from {}:{} has no rule.", _CT),
    "firewall-chance": RuleText("The firewall of {} ({} rule {}) drops a share of {} of such packets.", _NFT),
    "firewall-fragment": RuleText("Later fragments carry no ports: {} {} rule {} does not match them.", _NFT),
    "firewall-eperm": RuleText("On {} sendto therefore fails with EPERM.", "measured on 6.18"),
    "nat-prerouting": RuleText("{} rewrites the destination {}:{} to {}:{} as it comes in.", _NFT),
    "nat-output": RuleText("{} rewrites the destination {}:{} of its own packet to {}:{}.", _NFT),
    "nat-known": RuleText("{} translates {}:{} to {}:{}, as this connection began.", _CT),
    "nat-known-source": RuleText("{} translates the source {}:{} to {}:{}, as this connection began.", _CT),
    "nat-source": RuleText("{} rewrites the source {} to {}.", _NFT),
    "nat-no-address": RuleText("{} has no address to masquerade with on {}: dropped.", _NFT),
    "nat-clash": RuleText("{} chooses another source port than {}, since that flow is taken by a translation.", _CT),
    # --- sockets
    "socket-every": RuleText("{}:{} as a broadcast goes to every matching socket of {}: {}.", _UDP),
    "socket-only": RuleText("{}:{} on {} has one socket, that of {}: it gets the datagram.", _UDP),
    "socket-exact": RuleText("{}:{} on {} is bound by {}: an exact address goes before the wildcard.", _UDP),
    "socket-last": RuleText(
        "{}:{} on {} is bound several times without a common SO_REUSEPORT group: the last one bound, {}, gets it.", _UDP
    ),
    "socket-hash": RuleText(
        "{}:{} on {} is bound by {} with SO_REUSEPORT: the kernel picks one of them by the source port.", _UDP
    ),
    "socket-none": RuleText("{}:{} on {}: no socket is bound so that it hears this.", _UDP),
    "bind-failed": RuleText("{} cannot bind {}:{} on {}: {}.", "Linux net/ipv4/af_inet.c inet_bind"),
    # --- servers
    "server-dead": RuleText("{} does not start: {}.", _RSRV),
    "server-tcp-other": RuleText("{} takes another TCP port, since {} is taken on {}.", _RSRV),
    "answer-ignored": RuleText("{} ignores searches from {} (EPICS_CAS_IGNORE_ADDR_LIST).", _RSRV),
    "server-deaf": RuleText("{} has stopped reading searches: {}.", "the scenario: a fragile server"),
    "relayed": RuleText("The relay on {} repeats the search on {}.", "the scenario: a UDP broadcast relay"),
    "reply-many": RuleText("{} answers through each of its {} UDP sockets.", "caproto server/common.py"),
    "reply-arrives": RuleText("The reply reaches {} from {}:{}.", "the model"),
    "replies": RuleText("{} replies to {}:{}.", "CA protocol specification, CA_PROTO_SEARCH"),
    "reply-astray": RuleText("It ends at {} ({}:{}), where the asker's socket does not hear it.", _UDP),
    "connects": RuleText("{} connects to {}:{}.", "CA protocol specification, virtual circuits"),
    "syn-ack": RuleText("{} answers the connection request.", "RFC 9293"),
    "reply-lost": RuleText("The reply of {} does not come back.", "the model"),
    "connect-works": RuleText("A TCP connection to {}:{} reaches {}.", "the model"),
    "connect-full": RuleText(
        "{} accepts no connections, and its queue is full: the request is left alone.", "listen(2)"
    ),
    "connect-refused": RuleText("A TCP connection to {}:{} is refused: nobody listens there.", "RFC 9293"),
    "connect-half-open": RuleText(
        "The client believes to be connected to {}:{}, but its next packets are lost.", "RFC 9293"
    ),
    "connect-lost": RuleText("A TCP connection to {}:{} does not come about.", "the model"),
    "chance-first": RuleText(
        "Several servers answer for {}: the first reply wins, which is chance: {}.",
        "EPICS Base modules/ca/src/client/udpiiu.cpp",
    ),
    "beacon": RuleText("{} sends beacons to {}:{}.", _RSRV),
}
