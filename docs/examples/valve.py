"""A valve: commands and states are enumerations, and some states are alarms."""

from __future__ import annotations

from enum import Enum

from canet.server.ioc import Condition, Group, Refused, Severity, eca, main, pv

TRAVEL = 0.1
"""Seconds that the valve needs."""


class Command(Enum):
    """What may be asked for."""

    CLOSE = "close"
    OPEN = "open"


class Position(Enum):
    """Where the valve may be."""

    CLOSED = "closed"
    OPEN = "open"
    BETWEEN = "between"
    STUCK = "stuck"


class Valve(Group):
    """A valve that moves when it is told, unless the pressure forbids it or it is stuck."""

    command = pv(Command.CLOSE)
    position = pv(Position.CLOSED, read_only=True, severities={"between": Severity.MINOR, "stuck": Severity.MAJOR})
    pressure = pv(1e-8, units="mbar", warning=(None, 1e-6), alarm=(None, 1e-4), hysteresis=1e-7)
    jam = pv(False, description="Makes the valve stick")

    @command.putter
    async def travel(self, command: Command) -> None:
        """Move, and be done when the valve has arrived."""
        if command is Command.OPEN and self.pressure.severity >= Severity.MAJOR:
            raise Refused(eca.PUTFAIL, "the pressure is too high")
        self.position.post(Position.BETWEEN)
        await self.io.sleep(TRAVEL)
        if self.jam.value:
            self.position.post(Position.STUCK)
            raise Refused(eca.PUTFAIL, "the valve is stuck")
        self.position.post(Position.OPEN if command is Command.OPEN else Position.CLOSED)

    @jam.putter
    def lose_contact(self, jammed: bool) -> None:
        """Show how an alarm is raised that no limit knows of."""
        if jammed:
            self.pressure.alarm(Severity.INVALID, Condition.COMM)
        else:
            self.pressure.post(self.pressure.value)


if __name__ == "__main__":
    main(Valve, prefix="valve:")
