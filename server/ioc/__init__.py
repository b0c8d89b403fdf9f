"""Write an IOC: process variables declared in a class, hooks beside them, no loop and no socket in sight.

>>> class Thermometer(Group):
...     '''Measures what it is told.'''
...
...     temperature = pv(20.0, units="degC", precision=1, warning=(5, 30))
...
...     @temperature.putter
...     def set_temperature(self, value: float) -> float:
...         return round(value, 1)
>>> Thermometer("lab:").temperature
<lab:temperature 20.0>

``main(Thermometer)`` makes a program of it; ``run(Thermometer("lab:"))`` serves it from a program of one's own.
"""

from __future__ import annotations

from canet.server.core.filter_kinds import set_state
from canet.server.core.pv import Refused
from canet.server.ioc.background import background
from canet.server.ioc.command import main
from canet.server.ioc.declare import Array, Declaration, pv, subgroup
from canet.server.ioc.group import Group, stop
from canet.server.ioc.hooks import scan, shutdown, startup
from canet.server.ioc.host import IO
from canet.server.ioc.serving import run
from canet.server.ioc.variable import ArrayVariable, Variable
from canet.server.protocol import eca
from canet.server.protocol.alarm import Condition, Severity

__all__ = [
    "IO",
    "Array",
    "ArrayVariable",
    "Condition",
    "Declaration",
    "Group",
    "Refused",
    "Severity",
    "Variable",
    "background",
    "eca",
    "main",
    "pv",
    "run",
    "scan",
    "set_state",
    "shutdown",
    "startup",
    "stop",
    "subgroup",
]
