"""Ask inside a lab who serves a PV: which server, host, port and process, and what the value is."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from canet.harness.lab.barrier import ETHERTYPE
from canet.harness.lab.lab import Lab
from canet.harness.observation import Frame
from canet.netns.topology import Host
from canet.scenarios.model import Probe

_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a PV is served."""

    pv: str
    server: str | None
    host: str | None
    announced: str
    """``A:PORT`` that clients are told to connect to."""
    answered_from: str
    process: int | None
    implementation: str | None
    value: object = None
    error: str | None = None

    def __str__(self) -> str:
        who = (
            f"{self.server} ({self.implementation}, process {self.process}) on {self.host}"
            if self.server
            else "unknown"
        )
        value = f"no value: {self.error}" if self.error else f"value {self.value}"
        return f"{self.pv}: {who}, TCP {self.announced}, answered from {self.answered_from}, {value}"


def targets_of(host: Host) -> tuple[IPv4Address, ...]:
    """Return the broadcast addresses of a host's interfaces, which a client searches by default."""
    return tuple(each.broadcast for each in host.addresses if each.broadcast is not None)


def read_target(text: str) -> tuple[IPv4Address, int]:
    """Read ``ADDRESS[:PORT]``.

    Raises:
        ValueError: it is something else.
    """
    host, _, port = text.partition(":")
    try:
        return IPv4Address(host), int(port or 5064)
    except (AddressValueError, ValueError):
        raise ValueError(f"{text!r} is not an IPv4 address, with or without a port") from None


def find(lab: Lab, host: str, pvs: Sequence[str], to: Sequence[str] = ()) -> Iterator[tuple[str, tuple[Place, ...]]]:
    """Yield for each destination who answers for the PVs.

    Args:
        lab: which is up.
        host: from where.
        pvs: names.
        to: destinations ``A[:PORT]``; the broadcast addresses of the host's interfaces if there are none.
    """
    default = [(each, 5064) for each in targets_of(lab.network.topology.host(host))]
    for address, port in [read_target(each) for each in to] or default:
        probe = Probe(name=f"find{next(_NUMBERS)}", host=host, to=address, port=port, pvs=tuple(pvs))
        shooting = lab.shoot(probe)
        error = next((shot.error for shot in shooting.shots if shot.error), None)
        if error is not None:
            yield f"{address}:{port} ({error})", ()
            continue
        read = {each.address: each for each in shooting.connections}
        places = []
        for reply in (each for shot in shooting.shots for each in shot.replies):
            running = lab.crew.running.get(reply.server or "")
            tried = read.get(reply.announced)
            places += [
                Place(
                    pv=pv,
                    server=reply.server,
                    host=running.server.host if running else None,
                    announced=reply.announced,
                    answered_from=reply.address,
                    process=running.process.pid if running else None,
                    implementation=running.recipe.implementation if running else None,
                    value=tried.value if tried is not None and tried.pv == pv else None,
                    error=tried.error if tried is not None else "not tried",
                )
                for pv in reply.pvs
                if pv in pvs
            ]
        yield f"{address}:{port}", tuple(places)


def search(lab: Lab, host: str, pvs: Sequence[str], to: Sequence[str] = ()) -> Iterator[str]:
    """Yield a line for each answer, and one for each PV that nobody answered for."""
    for target, places in find(lab, host, pvs, to):
        yield f"{host} searches at {target}:"
        yield from (f"  {each}" for each in places)
        missing = [pv for pv in pvs if pv not in {each.pv for each in places}]
        if missing:
            yield f"  nobody answers for {', '.join(missing)}"


def is_sentinel(frame: Frame) -> bool:
    """Tell whether a frame is one of the harness's own sentinels."""
    return int.from_bytes(frame.data[12:14], "big") == ETHERTYPE


def duplicates(places: Iterable[Place]) -> dict[str, tuple[str, ...]]:
    """Return the PVs that several servers serve, and who they are."""
    owners: dict[str, dict[str, None]] = {}
    for each in places:
        owners.setdefault(each.pv, {})[each.server or each.announced] = None
    return {pv: tuple(names) for pv, names in owners.items() if len(names) > 1}
