"""netem's messages as bytes, when it is asked, and what happens where the kernel has none."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from canet.netns import Network, Topology, netem, netlink
from canet.netns.change import Heal, Impair
from canet.netns.features import features
from canet.netns.impair import Impairments
from canet.netns.netlink import Message, Refusal
from canet.netns.plan import WIRE, Place
from canet.netns.topology import Impairment, Interface
from tests.netns.lan import PORT, lan, listener, next_datagram, sender

Build = Callable[[Topology], Network]


def test_bytes_are_those_of_tc() -> None:
    """``tc qdisc replace dev … root handle 1: netem delay 1ms loss 50% rate 1mbit``."""
    raw = netlink.encode(netem.hurt(7, Impairment(direction="in", delay=0.001, loss=0.5, rate=1_000_000)), 3)

    options = struct.pack("=IIIIII", 15625, 1000, 0x80000000, 0, 0, 0)  # struct tc_netem_qopt
    options += struct.pack("=HHIiIi", 20, 6, 125_000, 0, 0, 0)  # TCA_NETEM_RATE, struct tc_netem_rate
    kind = struct.pack("=HH8s", 10, 1, b"netem")  # TCA_KIND with its zero, padded
    assert struct.unpack_from("=IHH", raw) == (len(raw), 36, 0x1 | 0x4 | 0x100 | 0x400)  # RTM_NEWQDISC
    assert raw[16:36] == struct.pack("=BxHiIII", 0, 0, 7, 1 << 16, 0xFFFFFFFF, 0)  # struct tcmsg
    assert raw[36:] == kind + struct.pack("=HH", 4 + len(options), 2) + options


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_copies_are_a_share_of_all_32_bits(share: float) -> None:
    """``tc … netem duplicate 25%``; without a rate there is no attribute behind the structure."""
    raw = netlink.encode(netem.hurt(7, Impairment(delay=0.1, duplicate=share)), 3)

    options = struct.pack("=IIIIII", 1_562_500, 1000, 0, 0, round(share * 0xFFFFFFFF), 0)
    assert raw.endswith(struct.pack("=HH", 4 + len(options), 2) + options)


def test_taking_it_away_names_the_root() -> None:
    """RTM_DELQDISC for the root of the interface."""
    raw = netlink.encode(netem.heal(7), 1)

    assert struct.unpack_from("=IHH", raw)[1] == 37
    assert raw[16:] == struct.pack("=BxHiIII", 0, 0, 7, 0, 0xFFFFFFFF, 0)


@pytest.mark.parametrize(
    ("impairment", "wanted"),
    [
        (Impairment(delay=0.1), True),
        (Impairment(delay=0.1, loss=0.1), True),
        (Impairment(delay=0.1, duplicate=0.5), True),
        (Impairment(delay=0.1, rate=9600), True),
        (Impairment(delay=274.8), True),
        (Impairment(rate=8 * 0xFFFFFFFF), True),
        (Impairment(), False),
        (Impairment(loss=0.5), False),
        (Impairment(cut=True, delay=0.1), False),
        (Impairment(delay=0.1, seed=1), False),
        (Impairment(delay=0.1, jitter=0.05), False),
        (Impairment(delay=0.1, reorder=0.1), False),
        (Impairment(delay=0.1, corrupt=0.1), False),
        (Impairment(duplicate=0.5, loss=0.1), False),
        (Impairment(duplicate=0.5, rate=9600), False),
        (Impairment(rate=9601), False),
        (Impairment(rate=8 << 32), False),
        (Impairment(delay=275.0), False),
    ],
)
def test_it_is_asked_for_what_it_does_like_the_relay(impairment: Impairment, wanted: bool) -> None:
    """Loss alone is nftables' part; what would differ from kernel to kernel is the relay's."""
    assert netem.does(impairment) is wanted


class Kernel:
    """A kernel that has netem, or has not, and keeps what it was asked."""

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.asked: list[str] = []

    def route(self, name: str) -> Kernel:
        """Be the socket in the namespace of the cables."""
        assert name == WIRE
        return self

    def request(self, *args: Any) -> list[Refusal]:
        """Refuse all, or nothing."""
        messages: Sequence[Message] = args[-1]
        self.asked += [each.kind for each in messages]
        return [Refusal(each, self.refuses) for each in messages if self.refuses]


SLOW = Impairment(direction="in", delay=0.1)
PLACE = SimpleNamespace(port=10001, bridge=3)


def hurt(impairments: Impairments, monkeypatch: pytest.MonkeyPatch, *what: Impairment) -> list[str]:
    """Apply impairments and return what the relay was given to carry, by direction."""
    carried: list[str] = []
    monkeypatch.setattr(impairments, "_carry", lambda *args: carried.extend(args[-1]))
    place: Place = PLACE  # type: ignore[assignment]  # two of its indexes are enough
    impairments.apply("h", Interface(name="eth0", segment="lan", impairments=what), place, None)
    return carried


def test_the_kernel_delays_what_a_host_receives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The relay has nothing to do; what comes next replaces it, and healing takes it away, once."""
    kernel = Kernel()
    impairments = Impairments(kernel)  # type: ignore[arg-type]

    assert hurt(impairments, monkeypatch, SLOW) == []
    assert hurt(impairments, monkeypatch, Impairment(direction="in", duplicate=1.0)) == []
    assert hurt(impairments, monkeypatch) == []
    assert hurt(impairments, monkeypatch) == []
    assert kernel.asked == ["RTM_NEWQDISC", "RTM_NEWQDISC", "RTM_DELQDISC"]


def test_what_a_host_sends_is_delayed_by_the_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise captures would not see what it sent; the other direction stays with the kernel."""
    kernel = Kernel()
    impairments = Impairments(kernel)  # type: ignore[arg-type]

    assert hurt(impairments, monkeypatch, Impairment(delay=0.1)) == ["out"]
    assert hurt(impairments, monkeypatch, Impairment(delay=0.1), SLOW) == ["out"]
    assert hurt(impairments, monkeypatch, Impairment(direction="in", delay=0.1, jitter=0.01)) == ["in"]
    assert kernel.asked == ["RTM_NEWQDISC", "RTM_DELQDISC"]


def test_a_kernel_without_it_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The relay does it all, as ever."""
    kernel = Kernel(refuses=errno.ENOENT)
    impairments = Impairments(kernel)  # type: ignore[arg-type]

    assert hurt(impairments, monkeypatch, SLOW) == ["in"]
    assert hurt(impairments, monkeypatch, SLOW) == ["in"]
    assert kernel.asked == ["RTM_NEWQDISC"]


def test_what_is_refused_later_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the kernel and the relay would both hurt the same frames."""
    kernel = Kernel()
    impairments = Impairments(kernel)  # type: ignore[arg-type]

    assert hurt(impairments, monkeypatch, SLOW) == []
    kernel.refuses = errno.EINVAL
    assert hurt(impairments, monkeypatch, Impairment(direction="in", delay=0.2)) == ["in"]
    assert kernel.asked == ["RTM_NEWQDISC", "RTM_NEWQDISC", "RTM_DELQDISC"]


@pytest.mark.parametrize("what", [Impairment(direction="in", duplicate=1.0), Impairment(direction="in", delay=0.001)])
def test_this_kernel_does_it_either_way(network: Build, what: Impairment) -> None:
    """With netem or without: what arrives is the same, and healed it arrives as it was sent."""
    net = network(lan())
    net.change(Impair(host="server", interface="eth0", impairment=what))
    with listener(net["server"]) as server, sender(net["client"]) as client:
        client.sendto(b"hurt", ("10.1.0.2", PORT))
        for _ in range(2 if what.duplicate else 1):
            assert next_datagram(server) == b"hurt"
        net.change(Heal(host="server", interface="eth0"))
        client.sendto(b"sound", ("10.1.0.2", PORT))

        assert next_datagram(server) == b"sound"


def test_the_feature_is_named() -> None:
    """``canet doctor`` says whether it is there, what for, and how to get it."""
    (found,) = (each for each in features() if each.name == "netem")

    assert not found.needed
    assert found.works or "sch_netem" in found.remedy
