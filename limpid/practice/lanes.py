"""Optimisers on surfaces in step: each at each rate, from the same start, with the same samples at the same step.

Shapes: C competitors, R rates, S surfaces, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from limpid.catalogue.call import Call
from limpid.catalogue.optimizer_part import OptimizerPart
from limpid.config import OptimConfig
from limpid.optim import build_optimizer
from limpid.optim.evaluation_weights import TrainsElsewhere
from limpid.optim.surface import Surface


def run_lanes(
    competitors: Sequence[Call[OptimizerPart]],
    surfaces: Sequence[Surface],
    rates: Sequence[float],
    *,
    num_steps: int,
    seed: int,
) -> Tensor:
    """The iterates of all lanes, (T + 1, C, R, S, 2) in float64, the start first.

    Args:
        competitors: optimisers with their options.
        surfaces: where each of them starts once for each rate.
        rates: learning rates, constant.
        num_steps: T.
        seed: of the samples that stochastic surfaces draw.
    """
    starts_S2 = torch.tensor([surface.part.start for surface in surfaces], dtype=torch.float64)
    points_CRS2 = starts_S2.expand(len(competitors), len(rates), -1, -1).clone()
    slopes_CRS2 = torch.zeros_like(points_CRS2)
    lanes = [
        Lane(call, rate, points_CRS2[c, r], slopes_CRS2[c, r])
        for c, call in enumerate(competitors)
        for r, rate in enumerate(rates)
    ]
    draws_T = torch.rand(num_steps, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).tolist()
    path_TCRS2 = points_CRS2.new_empty(num_steps + 1, *points_CRS2.shape)
    path_TCRS2[0] = points_CRS2
    for step, draw in enumerate(draws_T, start=1):
        for s, surface in enumerate(surfaces):
            slope_CR2 = slopes_CRS2[:, :, s]
            slope_CR2.copy_(surface.gradient(points_CRS2[:, :, s].flatten(0, 1), draw).view_as(slope_CR2))
        for lane in lanes:
            lane.optimizer.step()
        path_TCRS2[step] = points_CRS2
        for lane, iterates_S2 in zip(lanes, path_TCRS2[step].flatten(0, 1), strict=True):
            lane.evaluate(iterates_S2)
    return path_TCRS2


@final
class Lane:
    """One optimiser at one rate on all surfaces, as training would build it, without weight decay.

    What moves every number by itself has all points for one parameter. Else each point is a parameter of its own, a
    matrix of one row.

    Args:
        call: the optimiser.
        rate: its learning rate.
        points_S2: where it stands on each surface; moved in place.
        slopes_S2: the gradients there, which are written before each step.
    """

    def __init__(self, call: Call[OptimizerPart], rate: float, points_S2: Tensor, slopes_S2: Tensor) -> None:
        pieces = 1 if call.part.elementwise else len(points_S2)
        self._points = nn.ParameterList([nn.Parameter(points) for points in points_S2.chunk(pieces)])
        for parameter, slope in zip(self._points, slopes_S2.chunk(pieces), strict=True):
            parameter.grad = slope
        config = OptimConfig(name=call.part.name, lr=rate, weight_decay=0.0, options=call.options)
        self.optimizer = build_optimizer(config, self._points)
        self._elsewhere = self.optimizer if isinstance(self.optimizer, TrainsElsewhere) else None

    @torch.no_grad()
    def evaluate(self, points_S2: Tensor) -> None:
        """Put the optimiser's own iterates in place of the training weights, where it has any."""
        if self._elsewhere is not None:
            (group,) = self._elsewhere.param_groups
            iterates = [self._elsewhere.evaluation_weight(point, group) for point in self._points]
            points_S2.copy_(torch.cat(iterates))
