"""Groups inside of groups, names made of macros, and PVs that come and go."""

from __future__ import annotations

from collections.abc import Mapping

from canet.server.ioc import Group, Variable, main, pv, subgroup


class Blade(Group):
    """One blade of a slit."""

    position = pv(0.0, name="$(BLADE):pos", units="mm", description="$(BLADE) blade of $(DEVICE)")


class Slit(Group):
    """Two blades, and the gap between them, which is computed when somebody reads it."""

    left = subgroup(Blade, "", BLADE="left")
    right = subgroup(Blade, "", BLADE="right")
    gap = pv(0.0, units="mm", precision=3, read_only=True)

    @gap.getter
    def distance(self) -> float:
        """Compute the gap."""
        return self.right.position.value - self.left.position.value


class Beamline(Group):
    """Two slits, and as many detector channels as somebody asks for."""

    entrance = subgroup(Slit, "entrance:", DEVICE="entrance slit")
    exit = subgroup(Slit, "exit:", DEVICE="exit slit")
    channels = pv(0, description="How many detector channels there are")

    def __init__(self, prefix: str = "", macros: Mapping[str, str] | None = None) -> None:
        super().__init__(prefix, macros)
        self.counts: list[Variable[int]] = []

    @channels.putter
    def resize(self, wanted: int) -> int:
        """Add PVs, or take some away."""
        wanted = min(max(wanted, 0), 1000)
        while len(self.counts) < wanted:
            number = len(self.counts) + 1
            self.counts.append(self.add(f"counts{number}", 0, units="1/s", description=f"Channel {number}"))
        while len(self.counts) > wanted:
            self.remove(self.counts.pop())
        return wanted


if __name__ == "__main__":
    main(Beamline, prefix="$(P):", macros={"P": "bl7"})
