"""A made-up capture for tests: a client searches, one of two IOCs answers, a circuit reads the PV."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Any, Literal

from canet.harness import packets
from canet.harness.observation import (
    Check,
    ClientSeen,
    ClientTry,
    Connection,
    Event,
    Frame,
    Observation,
    Participant,
    ProbeSeen,
    Reply,
    Shot,
    Verdict,
)
from canet.netns.topology import Address, Host, Interface, Rule, Segment, Topology
from canet.scenarios.model import Client, Expectation, Outcome, Probe, Scenario, Server

ADDRESSES = {"client": "10.1.0.1", "ioc": "10.1.0.2", "other": "10.1.0.3"}
MACS = {name: f"02:00:00:00:00:0{number}" for number, name in enumerate(ADDRESSES, 1)}


def deliver(time: float, source: str, to: Iterable[str], data: bytes) -> list[Frame]:
    """One frame where it leaves and where it arrives."""
    places: list[tuple[str, Literal["out", "in"]]] = [(source, "out"), *((each, "in") for each in to)]
    return [
        Frame(time=round(time + 1e-5 * number, 9), host=host, interface="eth0", direction=direction, data=data)
        for number, (host, direction) in enumerate(places)
    ]


def udp(source: str, port: int, to: str, to_port: int, payload: bytes) -> bytes:
    """A UDP frame between hosts of this network; ``to`` may be its broadcast address."""
    names = {address: name for name, address in ADDRESSES.items()}
    return packets.udp_frame(
        payload,
        mac=MACS[source],
        to_mac=MACS[names[to]] if to in names else "ff:ff:ff:ff:ff:ff",
        source=IPv4Address(ADDRESSES[source]),
        source_port=port,
        to=IPv4Address(to),
        port=to_port,
    )


def tcp(source: str, port: int, to: str, to_port: int, flags: str, seq: int, payload: bytes = b"") -> bytes:
    """A TCP segment between two hosts."""
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether

    ethernet = Ether(src=MACS[source], dst=MACS[to], type=0x0800)
    ip = IP(src=ADDRESSES[source], dst=ADDRESSES[to], id=seq & 0xFFFF)
    return bytes(ethernet / ip / TCP(sport=port, dport=to_port, flags=flags, seq=seq) / payload)


def built(*messages: Any) -> bytes:
    """The bytes of messages, one after the other."""
    return b"".join(map(bytes, messages))


def frames() -> tuple[Frame, ...]:
    """The whole capture."""
    p = packets
    search = udp("client", 40001, "10.1.0.255", 5064, p.search_payload(("canet:witness", "ioc1:value"), 1))
    reply = udp(
        "ioc", 5064, "10.1.0.1", 40001, built(p.CASearchReply(port=45001, cid=1), p.CASearchReply(port=45001, cid=2))
    )
    opening = built(
        p.CAVersion(), p.CAClientName(user="user"), p.CAHostName(host="client"), p.CACreateChan(pv="ioc1:value", cid=2)
    )
    opened = built(p.CAVersion(), p.CAAccessRights(cid=2), p.CACreateChanReply(cid=2, sid=1))
    value = built(p.CAReadNotifyReply(ioid=1, data=bytes.fromhex("3ff8000000000000")))
    beacon = udp("ioc", 5064, "10.1.0.255", 5065, bytes(p.CABeacon(port=45001, beacon=1)))
    found: list[Frame] = []
    found += deliver(0.010, "client", ("ioc", "other"), search)
    found += deliver(0.011, "ioc", ("client", "other"), reply)  # flooded to a host that is not meant
    found += deliver(0.020, "client", ("ioc",), tcp("client", 50001, "ioc", 45001, "S", 99))
    found += deliver(0.021, "ioc", ("client",), tcp("ioc", 45001, "client", 50001, "SA", 499))
    found += deliver(0.022, "client", ("ioc",), tcp("client", 50001, "ioc", 45001, "A", 100))
    found += deliver(0.023, "client", ("ioc",), tcp("client", 50001, "ioc", 45001, "PA", 100, opening[:20]))
    found += deliver(0.024, "client", ("ioc",), tcp("client", 50001, "ioc", 45001, "PA", 120, opening[20:]))
    found += deliver(0.025, "client", ("ioc",), tcp("client", 50001, "ioc", 45001, "PA", 100, opening[:20]))
    found += deliver(0.026, "ioc", ("client",), tcp("ioc", 45001, "client", 50001, "PA", 500, opened))
    read = built(p.CAReadNotify(sid=1, ioid=1))
    found += deliver(0.027, "client", ("ioc",), tcp("client", 50001, "ioc", 45001, "PA", 100 + len(opening), read))
    found += deliver(0.028, "ioc", ("client",), tcp("ioc", 45001, "client", 50001, "PA", 500 + len(opened), value))
    found += deliver(0.029, "client", ("ioc",), tcp("client", 50001, "ioc", 45001, "FA", 116 + len(opening)))
    found += deliver(0.030, "ioc", ("client", "other"), beacon)
    return tuple(found)


def topology() -> Topology:
    """Three hosts on one segment."""
    return Topology(
        segments=(Segment(name="lan"),),
        hosts=tuple(
            Host(
                name=name,
                interfaces=(Interface(name="eth0", segment="lan", addresses=(Address.parse(f"{address}/24"),)),),
                rules=(Rule(hook="input", proto="udp", dport=(5064, 5064), verdict="drop"),) if name == "other" else (),
            )
            for name, address in ADDRESSES.items()
        ),
    )


def scenario(variant: str = "plain") -> Scenario:
    """A scenario that goes with it."""
    return Scenario(
        id="statements/unicast",
        title="A broadcast search reaches <every> server",
        story="Three IOCs share a port.\n\nA client with `EPICS_CA_ADDR_LIST` & a broadcast address reaches all.",
        variant=variant,
        tags=("udp", "broadcast"),
        references=("https://example.org/issue/1",),
        topology=topology(),
        servers=(
            Server(name="ioc1", host="ioc", pvs={"ioc1:value": 1.5, "ioc1:wave": (1.0, 2.0)}),
            Server(name="ioc2", host="other", env={"EPICS_CAS_INTF_ADDR_LIST": "10.1.0.3"}),
        ),
        clients=(Client(name="libca", host="client", env={"EPICS_CA_ADDR_LIST": "10.1.0.255"}),),
        probes=(Probe(name="broadcast", host="client", to=IPv4Address("10.1.0.255")),),
        expectations=(
            Expectation(subject="broadcast", answered=Outcome.parse("all of ioc1, ioc2"), because="it is a broadcast"),
        ),
        cause="" if variant == "plain" else "a firewall drops searches",
    )


def observation(subject: str = "trio", variant: str = "plain") -> Observation:
    """What was seen."""
    reply = Reply(time=0.011, server="ioc1", address="10.1.0.2:5064", announced="10.1.0.2:45001", pvs=("ioc1:value",))
    return Observation(
        scenario=scenario(variant).key,
        subject=subject,
        participants=(
            Participant(
                name="ioc1",
                host="ioc",
                implementation=f"canet-{subject}",
                env={"EPICS_CAS_INTF_ADDR_LIST": "10.1.0.2"},
                udp=("0.0.0.0:5064",),
                tcp=("0.0.0.0:45001",),
                output="serving <1> PV\n",
            ),
            Participant(name="ioc2", host="other", implementation="rsrv", died="exit code 1", output="no port\n"),
        ),
        probes=(
            ProbeSeen(
                name="broadcast",
                shots=(Shot(source="10.1.0.1:40001", received=("ioc1",), replies=(reply,)),),
                connections=(Connection(server="ioc1", address="10.1.0.2:45001", pv="ioc1:value", value=1.5),),
            ),
        ),
        clients=(
            ClientSeen(
                name="libca",
                tries=(
                    ClientTry(
                        connected={"ioc1:value": "10.1.0.2:45001"},
                        servers={"ioc1:value": "ioc1"},
                        values={"ioc1:value": 1.5},
                        missing=("ioc2:value",),
                        output="ok",
                    ),
                ),
                searched=("10.1.0.255:5064",),
            ),
        ),
        measures={"beacons": {"beacons_from": ("10.1.0.2",)}},
        frames=frames(),
        history=(
            Event(time=0.001, what="ready", who="ioc1"),
            Event(time=0.002, what="died", who="ioc2", detail="exit code 1"),
        ),
        seconds=0.12,
    )


def verdict(
    subject: str = "trio",
    outcome: Literal["holds", "fails", "skipped", "error"] = "fails",
    variant: str = "plain",
) -> Verdict:
    """What became of it."""
    key = scenario(variant).key
    if outcome in ("skipped", "error"):
        reason = "rsrv is not installed: pip install canet[peers]"
        return Verdict(scenario=key, subject=subject, outcome=outcome, reason=reason)

    def check(measure: str, expected: str, seen: str, holds: bool | None, why: str = "") -> Check:
        return Check(subject="broadcast", measure=measure, expected=expected, seen=seen, holds=holds, why=why)

    checks: tuple[Check, ...] = (check("answered", "only ioc1", "only ioc1", True),)
    if outcome == "fails":
        checks = (
            check("answered", "all of ioc1, ioc2", "only ioc1", False, "ioc2 <dropped> it"),
            check("replies", "1", "1", True),
            check("connects", "only ioc1", "", None, "the capture lost 3 frames"),
        )
    return Verdict(scenario=key, subject=subject, outcome=outcome, checks=checks, seconds=0.12)
