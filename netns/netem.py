"""netem, the kernel's own impairment of what an interface sends (sch_netem.c), as netlink messages: pure.

It is asked for only where it does what the relay does (:func:`does`), so that a scenario means the same on every
kernel. netem has no seed that is the same from kernel to kernel; it lets frames overtake each other by jitter; it
reorders by sending early what the relay holds back; it flips bits of the Ethernet header, too; of a frame that is both
lost and copied it sends one; a copy takes its share of the rate; and it counts rates in whole bytes.
"""

from __future__ import annotations

from typing import Final

from canet.netns.netlink import NLM_F_CREATE, Attribute, Message, nest
from canet.netns.relay import QUEUE_FRAMES
from canet.netns.topology import Impairment

_REPLACE: Final = 0x100
"""NLM_F_REPLACE."""
_ROOT: Final = 0xFFFFFFFF
"""TC_H_ROOT."""
_HANDLE: Final = 1 << 16
_ALL: Final = 0xFFFFFFFF
"""A fraction of one, and the largest delay and rate."""
_TICK: Final = 64e-9
"""Seconds of a tick of the packet scheduler (PSCHED_SHIFT in net/pkt_sched.h)."""


def does(impairment: Impairment) -> bool:
    """Say whether netem does the same as the relay, where nftables alone cannot."""
    what, rate = impairment, impairment.rate or 0
    if not (what.delay or what.duplicate or rate):
        return False
    if what.seed or what.jitter or what.reorder or what.corrupt or what.cut:
        return False
    if what.duplicate and (what.loss or rate):
        return False
    return what.delay / _TICK <= _ALL and rate % 8 == 0 and rate // 8 <= _ALL


def hurt(index: int, impairment: Impairment) -> Message:
    """Make an interface hurt what it sends, instead of what it did to it before.

    Args:
        index: the interface.
        impairment: one that netem :func:`does`.
    """
    attributes: list[Attribute] = []
    if impairment.rate is not None:
        rate = {"rate": impairment.rate // 8, "packet_overhead": 0, "cell_size": 0, "cell_overhead": 0}
        attributes.append(("TCA_NETEM_RATE", rate))
    options = nest(
        *attributes,
        delay=round(impairment.delay / _TICK),
        limit=QUEUE_FRAMES,
        loss=round(impairment.loss * _ALL),
        gap=0,
        duplicate=round(impairment.duplicate * _ALL),
        jitter=0,
    )
    return Message(
        "RTM_NEWQDISC",
        f"put netem upon interface {index}",
        {"index": index, "handle": _HANDLE, "parent": _ROOT},
        [("TCA_KIND", "netem"), ("TCA_OPTIONS", options)],
        NLM_F_CREATE | _REPLACE,
    )


def heal(index: int) -> Message:
    """Take netem away from an interface; frames under way are lost."""
    return Message("RTM_DELQDISC", f"take netem from interface {index}", {"index": index, "parent": _ROOT})
