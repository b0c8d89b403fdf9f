"""Make random cases for the differential test: networks right and wrong, sockets of all kinds, searches to anywhere.

Everything follows from the seed. Most networks are nearly sane, since in a wholly random one nothing arrives and
nothing is learnt.
"""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from canet.harness.predict.cases import Case, ShotSpec, SocketSpec
from canet.netns.topology import Address, Hook, Host, Impairment, Interface, Port, Route, Rule, Segment, Topology

FILTERS: tuple[Hook, ...] = ("input", "forward", "output")
HOOKS: tuple[Hook, ...] = ("input", "input", "output", "forward", "prerouting", "postrouting")
GROUP = "239.5.0.64"
NOBODY = 77
"""Host part of addresses that nobody has."""


def generate(seed: int, *, shots: int = 8, users: bool = True) -> Case:
    """Return the case of a seed; ``users``: sockets of several user ids occur (needs root)."""
    return _Maker(random.Random(seed), users).case(shots, seed)


class _Maker:
    """The choices of one case."""

    def __init__(self, dice: random.Random, users: bool) -> None:
        self.dice = dice
        self.users = users
        self.segments: list[str] = []
        self.hosts: list[Host] = []
        self.routers: dict[str, list[tuple[str, IPv4Address]]] = {}
        """Segment → (router, its address there)."""

    def chance(self, of: float) -> bool:
        return self.dice.random() < of

    def case(self, shots: int, seed: int) -> Case:
        dice = self.dice
        self.segments = [f"lan{number}" for number in range(1, dice.choice((1, 1, 2, 2, 3, 4)) + 1)]
        count = dice.randint(1, 6)
        for number in range(count):
            self.hosts.append(self.host(number))
        self.macvlans()
        self.cables()
        self.hosts = [self.routes(host) for host in self.hosts]
        topology = Topology(hosts=tuple(self.hosts), segments=tuple(Segment(name=each) for each in self.segments))
        sockets = self.sockets()
        return Case(
            topology=topology,
            sockets=tuple(sockets),
            shots=tuple(self.shot(number) for number in range(shots)),
            note=f"seed {seed}",
        )

    # --- hosts

    def host(self, number: int) -> Host:
        dice = self.dice
        name = f"h{number}"
        many = min(len(self.segments), dice.choice((1, 1, 1, 2, 2, 3)))
        where = dice.sample(range(1, len(self.segments) + 1), many)
        router = many > 1 and self.chance(0.6)
        interfaces = tuple(self.interface(number, place, segment) for place, segment in enumerate(sorted(where)))
        if router:
            for each in interfaces:
                if each.addresses and each.segment is not None:
                    self.routers.setdefault(each.segment, []).append((name, each.addresses[0].ip))
        return Host(
            name=name,
            interfaces=interfaces,
            rules=self.rules(interfaces) if self.chance(0.35) else (),
            policies=self.policies() if self.chance(0.15) else (),
            sysctls=self.sysctls(interfaces, router),
            loopback=not self.chance(0.03),
        )

    def interface(self, number: int, place: int, segment: int) -> Interface:
        dice = self.dice
        addresses = [self.address(f"10.{segment}.0.{number + 1}")]
        if self.chance(0.12):
            addresses.append(self.address(f"10.{segment}.0.{number + 101}"))
        if self.chance(0.08):
            addresses.append(self.address(f"10.{segment + 20}.0.{number + 1}"))
        if self.chance(0.03):
            addresses = []
        return Interface(
            name=f"eth{place}",
            segment=self.segments[segment - 1],
            addresses=tuple(addresses),
            up=not self.chance(0.04),
            plugged=not self.chance(0.04),
            mtu=dice.choice((1500,) * 8 + (1000, 1400)),
            port=self.port(),
            impairments=(Impairment(direction=dice.choice(("in", "out")), cut=True),) if self.chance(0.02) else (),
        )

    def address(self, text: str) -> Address:
        prefix = self.dice.choice((24,) * 12 + (16, 16, 25, 28, 8, 30, 31, 32))
        address = Address.parse(f"{text}/{prefix}")
        if self.chance(0.12):
            address = replace(address, broadcast=None)
        elif self.chance(0.06):
            address = replace(
                address, broadcast=IPv4Address(self.dice.choice(("10.1.0.255", "10.2.0.255", "10.1.255.255")))
            )
        return address

    def port(self) -> Port:
        if not self.chance(0.1):
            return Port()
        return self.dice.choice(
            (
                Port(bcast_flood=False),
                Port(isolated=True),
                Port(isolated=True),
                Port(mcast_flood=False),
                Port(flood=False),
            )
        )

    def macvlans(self) -> None:
        for number, host in enumerate(self.hosts):
            parents = [
                (other.name, each)
                for other in self.hosts
                for each in other.interfaces
                if other is not host and each.segment is not None
            ]
            if parents and self.chance(0.06):
                parent, device = self.dice.choice(parents)
                assert device.segment is not None
                if any(each.segment == device.segment for each in host.interfaces):
                    continue
                segment = self.segments.index(device.segment) + 1
                added = Interface(
                    name="mv0",
                    parent=f"{parent}.{device.name}",
                    addresses=(self.address(f"10.{segment}.0.{number + 50}"),),
                    mtu=device.mtu,
                    up=device.up and not self.chance(0.05),
                )
                self.hosts[number] = replace(host, interfaces=(*host.interfaces, added))

    def cables(self) -> None:
        if len(self.hosts) < 2 or not self.chance(0.15):
            return
        one, other = self.dice.sample(range(len(self.hosts)), 2)
        names = self.hosts[one].name, self.hosts[other].name
        if self.chance(0.5):
            ends = Address.parse("10.50.0.1/32 peer 10.50.0.2"), Address.parse("10.50.0.2/32 peer 10.50.0.1")
        else:
            ends = self.address("10.50.0.1"), self.address("10.50.0.2")
        for number, far, address in ((one, names[1], ends[0]), (other, names[0], ends[1])):
            added = Interface(name="ptp0", link=f"{far}.ptp0", addresses=(address,), up=not self.chance(0.05))
            self.hosts[number] = replace(self.hosts[number], interfaces=(*self.hosts[number].interfaces, added))

    def routes(self, host: Host) -> Host:
        routes: list[Route] = []
        near = [each.segment for each in host.interfaces if each.segment is not None and each.up]
        taken: set[IPv4Network] = set()
        for segment in near:
            for router, gateway in self.routers.get(segment, ()):
                if router == host.name or not self.chance(0.7):
                    continue
                device = next(each for each in host.interfaces if each.segment == segment)
                if not any(each.network.prefixlen < 32 and gateway in each.network for each in device.addresses):
                    continue
                if any(gateway in (each.network.broadcast_address, each.broadcast) for each in host.addresses):
                    continue
                if self.chance(0.6):
                    to = IPv4Network("0.0.0.0/0")
                else:
                    to = IPv4Network(f"10.{self.dice.randint(1, len(self.segments))}.0.0/24")
                if to in taken or any(to == each.network for each in host.addresses):
                    continue
                taken.add(to)
                routes.append(Route(to=to, via=gateway, dev=device.name))
        up = [each for each in host.interfaces if each.up and each.addresses]
        if up and self.chance(0.15) and IPv4Network("0.0.0.0/0") not in taken:
            routes.append(Route(to=IPv4Network("0.0.0.0/0"), dev=self.dice.choice(up).name))
            taken.add(IPv4Network("0.0.0.0/0"))
        if up and self.chance(0.08):
            routes.append(Route(to=IPv4Network("255.255.255.255/32"), dev=self.dice.choice(up).name))
        if up and self.chance(0.12):
            routes.append(Route(to=IPv4Network("224.0.0.0/4"), dev=self.dice.choice(up).name))
        if self.chance(0.05):
            to = IPv4Network(f"10.{self.dice.randint(1, 4)}.0.0/{self.dice.choice((16, 24, 28))}")
            if to not in taken and not any(to == each.network for each in host.addresses):
                routes.append(Route(to=to, type=self.dice.choice(("blackhole", "unreachable", "prohibit"))))
        return replace(host, routes=tuple(routes))

    def sysctls(self, interfaces: tuple[Interface, ...], router: bool) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        names = ["all", *(each.name for each in interfaces)]
        if router or self.chance(0.05):
            found.append(("net.ipv4.ip_forward", "1"))
        if router and self.chance(0.4):
            chosen = names if self.chance(0.7) else self.dice.sample(names, len(names) - 1)
            found.extend((f"net.ipv4.conf.{each}.bc_forwarding", "1") for each in chosen)
        if self.chance(0.25):
            found.append((f"net.ipv4.conf.{self.dice.choice(names)}.rp_filter", self.dice.choice("0112")))
        if self.chance(0.05):
            found.append((f"net.ipv4.conf.{self.dice.choice(names)}.accept_local", "1"))
        if self.chance(0.05):
            found.append((f"net.ipv4.conf.{self.dice.choice(names)}.route_localnet", "1"))
        if self.chance(0.04):
            found.append((f"net.ipv4.conf.{self.dice.choice(names)}.arp_ignore", "1"))
        if router and self.chance(0.1):
            found.extend((f"net.ipv4.conf.{each}.send_redirects", "0") for each in names)
        if self.chance(0.03):
            found.append(("net.ipv4.ip_nonlocal_bind", "1"))
        return tuple(found)

    # --- rules

    def policies(self) -> tuple[tuple[Hook, Literal["accept", "drop"]], ...]:
        return ((self.dice.choice(FILTERS), "drop"),)

    def rules(self, interfaces: tuple[Interface, ...]) -> tuple[Rule, ...]:
        if self.chance(0.08):  # searches alone may pass; of their fragments the first does
            hook: Hook = self.dice.choice(("prerouting", "forward", "input"))
            passes = Rule(hook=hook, proto="udp", dport=(5064, 5064), verdict="accept")
            return passes, Rule(hook=hook, proto="udp", verdict="drop")
        return tuple(self.rule(interfaces) for _ in range(self.dice.randint(1, 4)))

    def rule(self, interfaces: tuple[Interface, ...]) -> Rule:
        dice = self.dice
        kind = dice.random()
        names = [each.name for each in interfaces] + ["lo"]
        own = [address for each in interfaces for address in each.addresses]
        if kind < 0.25 and own:
            mine = dice.choice(own)
            return Rule(
                hook="prerouting",
                proto="udp",
                daddr=IPv4Network(mine.ip),
                dport=(5064, 5064),
                dnat=mine.network.broadcast_address if self.chance(0.7) else self.anyone(),
            )
        if kind < 0.32 and own:
            return Rule(
                hook="output",
                proto=dice.choice(("udp", "tcp")),
                daddr=IPv4Network(dice.choice(own).ip if self.chance(0.6) else self.anyone()),
                dport=(5064, 5064),
                dnat=IPv4Address("127.255.255.255") if self.chance(0.6) else self.anyone(),
            )
        if kind < 0.42:
            if self.chance(0.7):
                return Rule(hook="postrouting", oif=dice.choice(names), masquerade=True)
            return Rule(hook="postrouting", proto="udp", snat=dice.choice(own).ip if own else self.anyone())
        if kind < 0.5:
            return Rule(
                hook="prerouting", proto=dice.choice(("udp", "tcp")), dport=(8064, 8064),
                dnat=self.anyone(), dnat_port=5064,
            )  # fmt: skip
        hook = dice.choice(HOOKS)
        rule = Rule(hook=hook, verdict=dice.choice(("accept", "drop", "drop", "reject")))
        if hook in ("prerouting", "postrouting") and rule.verdict == "reject":
            rule = replace(rule, verdict="drop")
        if self.chance(0.5):
            rule = replace(rule, proto=dice.choice(("udp", "tcp")))
            if self.chance(0.6):
                rule = replace(rule, dport=(5064, 5064))
            elif self.chance(0.5):
                rule = replace(rule, sport=(5064, 5064))
        if self.chance(0.06):
            rule = replace(rule, chance=dice.choice((0.25, 0.75)))
        if self.chance(0.3):
            rule = replace(rule, ct=dice.choice((("established",), ("new",), ("established", "related"))))
        if self.chance(0.2):
            rule = replace(rule, saddr=IPv4Network(f"10.{dice.randint(1, 4)}.0.0/24"))
        if self.chance(0.15):
            rule = replace(rule, daddr=IPv4Network(f"10.{dice.randint(1, 4)}.0.255/32"))
        if self.chance(0.2) and hook in ("input", "forward", "prerouting"):
            rule = replace(rule, iif=dice.choice(names))
        if self.chance(0.2) and hook in ("output", "forward", "postrouting"):
            rule = replace(rule, oif=dice.choice(names))
        if self.users and hook == "output" and self.chance(0.3):
            rule = replace(rule, uid=dice.choice((0, 1000)))
        return rule

    def anyone(self) -> IPv4Address:
        number = self.dice.choice((*range(1, 7), NOBODY))
        return IPv4Address(f"10.{self.dice.randint(1, len(self.segments))}.0.{number}")

    # --- sockets and shots

    def sockets(self) -> list[SocketSpec]:
        dice, found = self.dice, []
        for number in range(dice.randint(1, 7)):
            host = dice.choice(self.hosts)
            both = dice.choice(((True, True),) * 6 + ((True, False), (True, False), (False, True), (False, False)))
            tcp = self.chance(0.25)
            address = self.bind_address(host, tcp=tcp)
            calm = host.loopback and not host.rules and not host.policies
            own = address in ("0.0.0.0", "127.0.0.1", *(str(each.ip) for each in host.addresses))
            found.append(
                SocketSpec(
                    name=f"s{number}",
                    host=host.name,
                    address=address,
                    port=5064 if self.chance(0.9) else 5066,
                    reuse_addr=True if tcp else both[0],
                    reuse_port=False if tcp else both[1],
                    uid=1000 if self.users and self.chance(0.15) else 0,
                    tcp=tcp,
                    full=tcp and calm and own and self.chance(0.1),  # it is filled by its own host
                    groups=(GROUP,) if not tcp and self.chance(0.12) else (),
                )
            )
        return found

    def bind_address(self, host: Host, *, tcp: bool) -> str:
        own = list(host.addresses)
        pick = self.dice.random()
        if pick < 0.5 or (not own and pick < 0.8):
            return "0.0.0.0"
        if pick < 0.7:
            return str(self.dice.choice(own).ip) if own else "127.0.0.1"
        if pick < 0.85 and own and not tcp:
            return str(self.dice.choice(own).network.broadcast_address)
        others = ["127.0.0.1", "127.0.0.1", "127.0.0.5", str(self.anyone())]
        if not tcp:
            others += ["127.255.255.255", "255.255.255.255", GROUP]
        return self.dice.choice(others)

    def shot(self, number: int) -> ShotSpec:
        dice = self.dice
        host = dice.choice(self.hosts)
        tcp = self.chance(0.25)
        own = [str(each.ip) for each in host.addresses]
        bind = "0.0.0.0"
        if own and self.chance(0.15):
            bind = dice.choice(own)
        elif self.chance(0.03):
            bind = "127.0.0.1"
        devices = [each for each in host.interfaces if each.segment is not None and each.up and each.addresses]
        if devices and not tcp and self.chance(0.06):
            return self.forged(number, host, dice.choice(devices))
        return ShotSpec(
            host=host.name,
            to=self.target(tcp=tcp),
            port=dice.choice((5064,) * 8 + (5066, 8064)),
            bind=bind,
            sport=40001 + number,
            size=72 if tcp else dice.choice((72,) * 6 + (1200, 1472, 1800)),
            uid=1000 if self.users and self.chance(0.1) else 0,
            tcp=tcp,
        )

    def forged(self, number: int, host: Host, device: Interface) -> ShotSpec:
        """Return a frame for everybody on a cable, with a source address that may be anybody's or nobody's."""
        broadcast = str(device.addresses[0].network.broadcast_address)
        claims = self.dice.choice(("0.0.0.7", GROUP, "255.255.255.255", "127.0.0.1", str(self.anyone()), "10.99.0.1"))
        return ShotSpec(
            host=host.name,
            to=self.dice.choice((broadcast, "255.255.255.255")),
            sport=40001 + number,
            through=device.name,
            claims=claims,
        )

    def target(self, *, tcp: bool) -> str:
        dice = self.dice
        everyone = [each for host in self.hosts for each in host.addresses]
        pick = dice.random()
        if everyone and (pick < 0.45 or (tcp and pick < 0.85)):
            return str(dice.choice(everyone).ip)
        if everyone and pick < 0.75:
            return str(dice.choice(everyone).network.broadcast_address)
        return dice.choice(
            (
                str(self.anyone()),
                "127.0.0.1",
                "127.255.255.255",
                "127.0.0.5",
                "255.255.255.255",
                GROUP,
                GROUP,
                "10.1.0.255",
            )
        )
