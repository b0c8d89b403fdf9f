"""Who hears a frame, and who answers for an address: bridges, cables, macvlans, neighbours (ARP)."""

from __future__ import annotations

from canet.harness.predict.firewall import State
from canet.harness.predict.network import Device, is_loopback, mask
from canet.harness.predict.trace import Trace

FRAME_SLACK = 4
"""A device takes frames of up to its MTU and a VLAN tag more (is_skb_forwardable in net/core/dev.c)."""


def connected(one: Device, other: Device) -> bool:
    """Tell whether a frame from ``one`` can reach ``other`` at all, apart from flooding."""
    if one is other or not one.running or not other.running:
        return False
    if one.port is other.port:
        # Macvlans in bridge mode hear each other, but neither hears what the parent sends, nor the parent them.
        return one.port is not one and other.port is not other
    link = one.link
    if link is None or link is not other.link:
        return False
    here, there = one.port, other.port
    return not (link.bridge and here is not None and there is not None and here.isolated and there.isolated)


def hears_broadcast(device: Device, other: Device) -> bool:
    """Tell whether a broadcast frame of ``device`` reaches ``other`` (br_flood)."""
    if not connected(device, other):
        return False
    port, link = other.port, device.link
    return link is None or not link.bridge or port is None or port is device.port or port.bcast_flood


def heard_by(device: Device, kind: str, trace: Trace) -> tuple[list[Device], Trace]:
    """Return the devices that a broadcast or multicast frame of ``device`` reaches (br_flood, macvlan_broadcast)."""
    link = device.link
    if link is None:
        return [], trace
    if kind == "broadcast":
        return [each for each in link.devices if hears_broadcast(device, each)], trace
    heard = []
    for each in link.devices:
        if connected(device, each):
            port = each.port
            if not link.bridge or port is None or port is device.port or port.mcast_flood:
                heard.append(each)
    return heard, trace


def neighbour(
    state: State, device: Device, hop: int, source: int, *, via_gateway: bool, trace: Trace
) -> tuple[list[Device], Trace]:
    """Find who has ``hop``: known already, or asked for (arp_solicit, arp_process); a list of one device, or empty.

    The request is a broadcast; any host answers that has the address on *any* interface, unless its own source
    checks refuse the asker. Who is asked also learns who asked.
    """
    known = state.neighbours.get((device, hop))
    if known is not None:
        return [known], trace
    unknown: Trace = (trace, "neighbour-gateway" if via_gateway else "neighbour-none", (device.label, hop))
    if (device, hop) in state.waiting:
        return [], unknown  # asked already; the next packets wait behind the first, and nobody asks anew for a second
    asker = _asker(device, hop, source)
    answers = []
    link = device.link
    if link is not None:
        if state.waiting:
            _overheard(state, device, asker)
        few = not link.proxies and not is_loopback(hop)
        for each in link.having.get(hop, ()) if few else link.devices:
            if not hears_broadcast(device, each) or each.cut_in or device.cut_out:
                continue
            if _answers(each, hop, asker):
                state.neighbours[each, asker] = device
                if not each.cut_out and not device.cut_in:
                    answers.append(each)
    if not answers:
        state.waiting.add((device, hop))
        return [], unknown
    state.neighbours[device, hop] = answers[0]
    return answers[:1], trace


def _overheard(state: State, device: Device, asker: int) -> None:
    """Whoever waits for the asker's own address hears the request, and learns the address from it."""
    for each, wanted in list(state.waiting):
        if wanted == asker and hears_broadcast(device, each) and not each.cut_in and not device.cut_out:
            state.neighbours[each, asker] = device


def _asker(device: Device, hop: int, source: int) -> int:
    """Choose the address that the ARP request is sent from: the packet's own if the host has it (arp_announce 0)."""
    return source if device.host.is_local(source) else device.host.select_source(device, hop)


def _answers(device: Device, wanted: int, asker: int) -> bool:
    host = device.host
    if is_loopback(wanted) and not device.route_localnet:
        return False
    entry = host.lookup(wanted)
    if entry is None:
        return False
    if not _acceptable(device, asker):
        return False
    if entry.kind == "local":
        if device.arp_ignore:
            # Its own address and in a subnet here, which an address with a peer is not in (confirm_addr_indev).
            return any(each.ip == wanted for each in device.addresses) and any(
                wanted & mask(each.prefix) == each.base for each in device.addresses
            )
        return True
    return entry.kind == "unicast" and device.forwarding and device.proxy_arp and entry.device is not device


def _acceptable(device: Device, asker: int) -> bool:
    """The request is routed like a packet, so the source checks apply to it (arp_process)."""
    host = device.host
    if not asker:
        return True
    if not device.rp_filter:
        return device.accept_local or not host.owns(asker)
    entry = host.lookup(asker)
    if entry is None or entry.kind != "unicast":
        return False
    return device.rp_filter != 1 or entry.device is device
