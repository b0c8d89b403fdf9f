"""A function generator: an array that is computed anew many times a second."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from canet.server.ioc import Group, main, pv

SAMPLES = 1000


class Shape(Enum):
    """What is generated."""

    SINE = "sine"
    SQUARE = "square"
    NOISE = "noise"


class Generator(Group):
    """A wave of a chosen shape, frequency and amplitude, and its mean."""

    shape = pv(Shape.SINE)
    frequency = pv(2.0, units="Hz", limits=(0, 100))
    amplitude = pv(1.0, units="V", limits=(0, 10))
    wave = pv(np.zeros(SAMPLES), units="V", read_only=True, description="One second of the signal")
    mean = pv(0.0, units="V", read_only=True)

    @wave.scan(0.05)
    def generate(self) -> NDArray[np.float64]:
        """Compute the next second; what a scan returns is posted."""
        time = np.arange(SAMPLES) / SAMPLES
        sine = np.sin(2 * np.pi * self.frequency.value * time)
        match self.shape.value:
            case Shape.SINE:
                wave = sine
            case Shape.SQUARE:
                wave = np.sign(sine)
            case Shape.NOISE:
                wave = np.random.default_rng().normal(size=SAMPLES)
        wave = wave * self.amplitude.value
        self.mean.post(float(wave.mean()))
        return wave


if __name__ == "__main__":
    main(Generator, prefix="generator:")
