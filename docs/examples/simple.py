"""Three PVs: a number, a text and a switch. Clients may write all of them."""

from __future__ import annotations

from canet.server.ioc import Group, main, pv


class Simple(Group):
    """Three PVs that keep what clients write."""

    temperature = pv(21.5, units="degC", precision=2, limits=(-20, 120), description="Room temperature")
    message = pv("all is well", max_length=256, description="What the operators should know")
    enabled = pv(True, description="Whether the experiment may run")


if __name__ == "__main__":
    main(Simple, prefix="simple:")
