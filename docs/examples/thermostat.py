"""A heated room and its controller: periodic work, limits with alarms, work at the start and the end."""

from __future__ import annotations

from canet.server.ioc import Group, main, pv, scan, shutdown, startup

OUTSIDE = 5.0
"""Degrees Celsius."""


class Thermostat(Group):
    """Holds the temperature of a room at its set point."""

    setpoint = pv(20.0, units="degC", precision=1, control=(5, 30), description="Wanted temperature")
    temperature = pv(
        OUTSIDE, units="degC", precision=2, read_only=True, warning=(12, 26), alarm=(8, 30), hysteresis=0.2
    )
    power = pv(0.0, units="%", precision=0, limits=(0, 100), read_only=True, description="Heating power")
    gain = pv(40.0, units="%/K")
    heating = pv(True, description="Whether the controller works")

    @setpoint.putter
    def keep_in_range(self, wanted: float) -> float:
        """Store the nearest temperature that is allowed."""
        return min(max(wanted, 5.0), 30.0)

    @startup
    def measure(self) -> None:
        """Know the temperature before the first client asks."""
        self.temperature.post(OUTSIDE + 10)

    @scan(0.05)
    def control(self) -> None:
        """Heat as the controller says, and let the room follow."""
        missing = self.setpoint.value - self.temperature.value
        self.power.post(min(max(50 + missing * self.gain.value, 0.0), 100.0) if self.heating.value else 0.0)
        self.temperature.post(
            self.temperature.value + 0.05 * self.power.value / 10 - 0.02 * (self.temperature.value - OUTSIDE)
        )

    @shutdown
    def switch_off(self) -> None:
        """Leave no heater on."""
        self.power.post(0.0)


if __name__ == "__main__":
    main(Thermostat, prefix="thermostat:")
