"""Few-shot regression: each task is a sine wave of its own, of which a learner sees a few points.

    y = a sin(x + p),    a from 0.1 to 5, p from 0 to 2 pi, x from -5 to 5, all uniform

The tasks of Finn, Abbeel & Levine 2017 (arXiv 1703.03400, section 5.1). The mean over all tasks is 0 everywhere, so
that a network that is trained on them together learns nothing; what they share is their form.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from limpid.data.loader import Batch

AMPLITUDES = (0.1, 5.0)
PHASES = (0.0, 2 * math.pi)
PLACES = (-5.0, 5.0)


@dataclass(frozen=True)
class SineTask:
    """One wave; the phase in radians."""

    amplitude: float
    phase: float

    @classmethod
    def drawn(cls, generator: Generator) -> SineTask:
        """A task at random."""
        return cls(*(float(_uniform(1, bounds, generator)) for bounds in (AMPLITUDES, PHASES)))

    def at(self, x_B1: Tensor) -> Batch:
        """The points at these places."""
        return Batch((x_B1,), self.amplitude * torch.sin(x_B1 + self.phase), torch.arange(len(x_B1)))

    def batch(self, size: int, generator: Generator) -> Batch:
        """So many points at random places."""
        return self.at(_uniform(size, PLACES, generator)[:, None])

    def batches(self, size: int, generator: Generator) -> Iterator[Batch]:
        """Batches of new points, without end."""
        while True:
            yield self.batch(size, generator)


def _uniform(count: int, bounds: tuple[float, float], generator: Generator) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(count, generator=generator)
