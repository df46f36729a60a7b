"""Surfaces where optimisers see something else than the loss that is wanted: fewer data, a surrogate, noise, rounding.

Each has the wanted loss, and what is descended in its place: a function (x, y, draw) -> loss, where `draw` from 0 to 1
picks the sample of a step, and None stands for all samples.

Shapes: x and y any shape S; N samples, before S.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

TRUE = (1.0, -0.5)  # parameters of the line behind the samples
NUM_SAMPLES = 20
NOISE = 0.5  # of each sample's target: its standard deviation, and the size of the alternating one of the circle
FEW = ((1.0, 0.2, 1.4), (0.8, 0.6, 1.2), (0.3, 1.0, 0.9))  # inputs a, c and target t of three samples
# Inputs a, c and label: two columns of points, and one point far on the wrong side.
MARGINS = (*((1.0, k / 2, 1.0) for k in range(-4, 5)), *((-1.0, k / 2, -1.0) for k in range(-4, 5)), (-6.0, 6.0, 1.0))
GRAIN = 0.25  # a rounded gradient is a multiple of it


def true_risk(x: Tensor, y: Tensor) -> Tensor:
    """((x - 1)^2 + (y + 0.5)^2 + 0.25) / 2: half the squared error expected of new samples.

    Their inputs are normal with unit variance, their targets a - 0.5 c with noise of deviation 0.5.
    """
    return ((x - TRUE[0]) ** 2 + (y - TRUE[1]) ** 2 + NOISE**2) / 2


def empirical_risk(x: Tensor, y: Tensor, draw: float | None) -> Tensor:
    """Half the mean squared error of x a + y c on three samples."""
    return _squares(x, y, FEW).mean(dim=0)


def zero_one_loss(x: Tensor, y: Tensor) -> Tensor:
    """Share of the labelled points that lie on the wrong side of the line x a + y c = 0, or on it."""
    return (_margins(x, y) <= 0).to(x.dtype).mean(dim=0)


def logistic_loss(x: Tensor, y: Tensor, draw: float | None) -> Tensor:
    """Mean of log(1 + exp(-m)) over the margins m = label (x a + y c)."""
    return torch.nn.functional.softplus(-_margins(x, y)).mean(dim=0)


def all_samples(x: Tensor, y: Tensor) -> Tensor:
    """Half the mean squared error of 2 x cos + y sin on twenty samples around a circle.

    The noise of the targets, 0.5 and -0.5 by turns, is orthogonal to both inputs: the minimum is (1, -0.5), and 1/8.
    """
    return _squares(x, y, _circle()).mean(dim=0)


def single_sample(x: Tensor, y: Tensor, draw: float | None) -> Tensor:
    """Half the squared error of one of those samples."""
    if draw is None:
        return all_samples(x, y)
    return _squares(x, y, _circle()[int(draw * NUM_SAMPLES) :][:1])[0]


def bowl(x: Tensor, y: Tensor) -> Tensor:
    """(x^2 + 4 y^2) / 2."""
    return (x**2 + 4 * y**2) / 2


def bowl_with_rounded_gradient(x: Tensor, y: Tensor, draw: float | None) -> Tensor:
    """The bowl, whose gradient comes back rounded to multiples of 0.25."""
    seen = [t.clone() for t in (x, y)]
    for t in seen:
        if t.requires_grad:
            t.register_hook(lambda gradient: torch.round(gradient / GRAIN) * GRAIN)
    return bowl(*seen)


def _circle() -> tuple[tuple[float, float, float], ...]:
    """Inputs 2 cos and sin of twenty angles, and targets."""
    inputs = [(2 * math.cos(t), math.sin(t)) for t in (2 * math.pi * i / NUM_SAMPLES for i in range(NUM_SAMPLES))]
    return tuple((a, c, TRUE[0] * a + TRUE[1] * c + (-1) ** i * NOISE) for i, (a, c) in enumerate(inputs))


def _squares(x: Tensor, y: Tensor, samples: tuple[tuple[float, float, float], ...]) -> Tensor:
    """Half the squared errors of x a + y c, (N, S)."""
    a, c, t = _columns(x, samples)
    return (x * a + y * c - t) ** 2 / 2


def _margins(x: Tensor, y: Tensor) -> Tensor:
    """label (x a + y c), (N, S)."""
    a, c, label = _columns(x, MARGINS)
    return label * (x * a + y * c)


def _columns(x: Tensor, samples: tuple[tuple[float, float, float], ...]) -> Iterator[Tensor]:
    """The columns of a table, each (N, 1, ...), to go with x."""
    return iter(torch.tensor(samples, dtype=x.dtype).T.reshape(3, -1, *[1] * x.dim()))
