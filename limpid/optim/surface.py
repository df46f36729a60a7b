"""A loss of two parameters as optimisers meet it: its values, and the gradient that they are given.

Shapes: P points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from torch import Tensor

from limpid.catalogue.part import load_home
from limpid.catalogue.surface_part import SurfacePart


@final
@dataclass(frozen=True)
class Surface:
    """A surface of the catalogue, ready to be descended.

    Attributes:
        part: what is known of it.
        wanted: the loss that is to be small, of x and y of any shape.
        descended: the loss whose gradient is given in its place, of x, y and the draw of a step, or None for all.
    """

    part: SurfacePart
    wanted: Callable[[Tensor, Tensor], Tensor]
    descended: Callable[[Tensor, Tensor, float | None], Tensor]

    @torch.no_grad()
    def loss(self, points: Tensor) -> Tensor:
        """The wanted loss at points of shape (..., 2)."""
        return self.wanted(points[..., 0], points[..., 1])

    @torch.no_grad()
    def seen(self, points: Tensor) -> Tensor:
        """The loss that is descended, on all samples where there are samples, at points of shape (..., 2)."""
        return self.descended(points[..., 0], points[..., 1], None)

    def gradient(self, points_P2: Tensor, draw: float | None = None) -> Tensor:
        """The gradient that an optimiser is given at each point, clipped where the surface says so.

        g <- g min(1, clip_norm / (|g| + 1e-6)) is what training does with optim.clip_norm.
        """
        x_P, y_P = (coordinate.clone().requires_grad_() for coordinate in points_P2.detach().unbind(dim=1))
        slope_P2 = torch.stack(torch.autograd.grad(self.descended(x_P, y_P, draw).sum(), (x_P, y_P)), dim=1)
        if self.part.clip_norm is not None:
            norm_P1 = torch.linalg.vector_norm(slope_P2, dim=1, keepdim=True)
            slope_P2 = slope_P2 * (self.part.clip_norm / (norm_P1 + 1e-6)).clamp(max=1.0)
        return slope_P2


def build_surface(part: SurfacePart) -> Surface:
    """The surface of a part."""
    wanted = part.load()
    return Surface(part, wanted, load_home(part.descends) if part.descends else partial(_ignoring_the_draw, wanted))


def _ignoring_the_draw(loss: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, draw: float | None) -> Tensor:
    return loss(x, y)
