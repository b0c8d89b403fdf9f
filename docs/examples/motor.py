"""A simulated axis: a write to the target is done when the axis has arrived; it can be stopped on its way."""

from __future__ import annotations

from canet.server.ioc import Group, Refused, eca, main, pv

STEP = 0.01
"""Seconds between two positions on the way."""


class Motor(Group):
    """One axis with a target, a read-back, a speed and a stop button."""

    target = pv(0.0, units="mm", precision=3, control=(-10, 10), description="Where to go")
    position = pv(0.0, units="mm", precision=3, read_only=True, warning=(-9.5, 9.5), description="Where it is")
    moving = pv(False, read_only=True, description="Whether it is on its way")
    speed = pv(5.0, units="mm/s", precision=2, description="How fast it goes")
    stop = pv(False, description="Write 1 to stop it")

    @target.putter
    async def move(self, wanted: float) -> float:
        """Go there; what is returned is the target that was reached, which a stop makes nearer."""
        if not -10 <= wanted <= 10:
            raise Refused(eca.PUTFAIL, f"{wanted} mm is out of reach")
        self.stop.post(False)
        self.moving.post(True)
        while (distance := wanted - self.position.value) and not self.stop.value:
            step = min(abs(distance), self.speed.value * STEP)
            self.position.post(self.position.value + (step if distance > 0 else -step))
            await self.io.sleep(STEP)
        self.moving.post(False)
        return self.position.value


if __name__ == "__main__":
    main(Motor, prefix="motor:")
