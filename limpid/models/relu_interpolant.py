"""A network with one hidden layer that is a given function of one number, built instead of trained.

    f_N(x) = f(x_0) + sum_i (s_i - s_{i-1}) relu(x - x_i),    s_i = slope of the chord over [x_i, x_{i+1}],  s_{-1} = 0

It meets f at the knots x_0 < ... < x_N and is straight between them, so |f - f_N| <= h^2 / 8 max |f''| for knots h
apart: the error falls below any bound as the width grows, which is the universal approximation theorem in one
dimension (Cybenko 1989; Hornik 1991).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def relu_interpolant(function: Callable[[Tensor], Tensor], start: float, end: float, num_units: int) -> nn.Sequential:
    """A float64 network (B, 1) -> (B, 1) of `num_units` hidden units, one for each piece of [start, end].

    Args:
        function: maps a float64 tensor elementwise.
        start, end: of the interval; beyond it the network goes on straight to the right and stays constant to the left.
        num_units: N, pieces of equal length.
    """
    knot_M = torch.linspace(start, end, num_units + 1, dtype=torch.float64)
    value_M = function(knot_M)
    slope_N = value_M.diff() / knot_M.diff()
    hidden = nn.Linear(1, num_units, dtype=torch.float64)
    out = nn.Linear(num_units, 1, dtype=torch.float64)
    with torch.no_grad():
        hidden.weight.fill_(1.0)
        hidden.bias.copy_(-knot_M[:-1])
        out.weight.copy_(torch.cat((slope_N[:1], slope_N.diff())).unsqueeze(0))
        out.bias.copy_(value_M[:1])
    return nn.Sequential(hidden, nn.ReLU(), out)
