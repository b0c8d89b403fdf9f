"""Access security: who may open the shutter, and only while the permit is there; see security.acf."""

from __future__ import annotations

from pathlib import Path

from canet.server.ioc import Group, main, pv

RULES = Path(__file__).with_suffix(".acf")


class Shutter(Group):
    """A shutter for operators, a permit for all, and a note that nobody may write."""

    shutter = pv(False, group="operators", description="Open or closed")
    permit = pv(0, description="1 while the shutter may be opened")
    note = pv("see security.acf", group="display")


if __name__ == "__main__":
    main(Shutter, prefix="security:", acf=RULES)
