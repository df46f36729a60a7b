"""Surfaces that are hard to descend by their shape: losses of two parameters, for any shape of x and y.

limpid/catalogue/landforms.py tells of each where it is steep or flat, its minima and its usual start.
"""

from __future__ import annotations

import torch
from torch import Tensor

CONDITION = 100.0  # largest curvature of a ravine over its smallest
INPUTS = (-2.0, -1.0, 1.0, 2.0)  # of the saturated unit
NUM_FACTORS = 10  # of the deep chain
NUM_UNROLLED = 50  # steps of the recurrent unit behind the cliff
WANTED_STATE = 0.7  # of that unit at the end


def quartic(x: Tensor, y: Tensor) -> Tensor:
    """x^4 / 4 + y^2 / 2: curvature 3 x^2 far out, none at the minimum."""
    return x**4 / 4 + y**2 / 2


def two_wells(x: Tensor, y: Tensor) -> Tensor:
    """x^4 - 3 x^2 + x + y^2, deep on the left and shallow on the right."""
    return x**4 - 3 * x**2 + x + y**2


def himmelblau(x: Tensor, y: Tensor) -> Tensor:
    """(x^2 + y - 11)^2 + (x + y^2 - 7)^2, zero at four places (Himmelblau 1972)."""
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def saturated_unit(w: Tensor, b: Tensor) -> Tensor:
    """Half the mean squared error of sigmoid(w u + b) against sigmoid(2 u) for u in -2, -1, 1, 2."""
    errors = [torch.sigmoid(w * u + b) - torch.sigmoid(torch.tensor(2 * u, dtype=w.dtype)) for u in INPUTS]
    return torch.stack(errors).square().mean(dim=0) / 2


def saddle(x: Tensor, y: Tensor) -> Tensor:
    """x^2 / 2 - y^2 / 2 + y^4 / 4: curvatures 1 and -1 at the origin, minima at y = 1 and -1."""
    return x**2 / 2 - y**2 / 2 + y**4 / 4


def monkey_saddle(x: Tensor, y: Tensor) -> Tensor:
    """x^3 - 3 x y^2 + (x^2 + y^2)^2: three ways down from the origin, where all second derivatives are zero."""
    return x**3 - 3 * x * y**2 + (x**2 + y**2) ** 2


def lone_well(x: Tensor, y: Tensor) -> Tensor:
    """1 - exp(-(x^2 + y^2) / 2): flat everywhere but near the origin."""
    return 1 - torch.exp(-(x**2 + y**2) / 2)


def beale(x: Tensor, y: Tensor) -> Tensor:
    """(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2 (Beale 1958)."""
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def deep_chain(w: Tensor, u: Tensor) -> Tensor:
    """(u w^10 - 1)^2 / 2: ten equal linear layers of one unit, whose gradient in w holds w^9."""
    return (u * w**NUM_FACTORS - 1) ** 2 / 2


def mountain(x: Tensor, y: Tensor) -> Tensor:
    """1.5 exp(-(x^2 + y^2) / 2) - 2 exp(-((x - 3)^2 + y^2) / 2): a hill between the start and the only well."""
    return 1.5 * torch.exp(-(x**2 + y**2) / 2) - 2 * torch.exp(-((x - 3) ** 2 + y**2) / 2)


def ravine(x: Tensor, y: Tensor) -> Tensor:
    """(100 x^2 + y^2) / 2, along the axes."""
    return (CONDITION * x**2 + y**2) / 2


def tilted_ravine(x: Tensor, y: Tensor) -> Tensor:
    """(100 (x - y)^2 + (x + y)^2) / 4: the ravine turned by 45 degrees."""
    return (CONDITION * (x - y) ** 2 + (x + y) ** 2) / 4


def rosenbrock(x: Tensor, y: Tensor) -> Tensor:
    """(1 - x)^2 + 100 (y - x^2)^2, a bent ravine (Rosenbrock 1960)."""
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def cliff(w: Tensor, b: Tensor) -> Tensor:
    """(sigmoid(s_50) - 0.7)^2 with s_t = w sigmoid(s_(t-1)) + b from s_0 = 0.5 (Pascanu et al. 2013, figure 6).

    Where the two states in which the unit can settle change places, the loss jumps.
    """
    s = torch.full_like(w, 0.5)
    for _ in range(NUM_UNROLLED):
        s = w * torch.sigmoid(s) + b
    return (torch.sigmoid(s) - WANTED_STATE) ** 2
