"""By how much weights must be larger so that an activation leaves the size of the signal as it was.

    gain = 1 / sqrt(E[g(z)^2]),  z ~ N(0, 1)         ReLU sqrt(2), leaky ReLU sqrt(2 / (1 + slope^2))

Names that torch.nn.init.calculate_gain knows have its value, which for tanh (5/3) and selu (3/4) is a choice made by
experience; all others have the value of the formula. It holds for signals of size 1: under silu and gelu, deviations
from that size grow with depth, so that deep stacks of them need norms.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from limpid.catalogue.activations import ACTIVATIONS
from limpid.catalogue.call import read_call

TORCH_NAMES = {"identity": "linear", "sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "selu": "selu"}
OVER_THE_LAYER = ("softmax", "log_softmax")  # no function of one number: the formula does not apply


def gain_of(activation: str) -> float:
    """The gain that belongs to an activation: "relu", "leaky_relu(0.1)".

    Raises ConfigError for an unknown name, and for options that are not numbers.

    >>> round(gain_of("leaky_relu"), 10)
    1.414142857
    """
    call = read_call(ACTIVATIONS, activation)
    name = call.part.name
    if name == "leaky_relu":
        return nn.init.calculate_gain("leaky_relu", call.options["slope"])
    if name in TORCH_NAMES:
        return nn.init.calculate_gain(TORCH_NAMES[name])  # type: ignore[arg-type]
    if name in OVER_THE_LAYER:
        return 1.0
    if name == "maxout":
        return numeric_gain(nn.Identity(), pieces=call.options["pieces"])
    return numeric_gain(call.build())


@torch.no_grad()
def numeric_gain(activation: nn.Module, *, pieces: int = 1) -> float:
    """1 / sqrt(E[g(z)^2]) by the trapezoidal rule, z the largest of `pieces` independent N(0, 1).

    The error is below 1e-4 for a jump, and far smaller for functions without one.
    """
    z = torch.linspace(-12, 12, 240_001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    density *= pieces * torch.special.ndtr(z) ** (pieces - 1)
    g = activation.double()(z.clone())
    return 1 / math.sqrt(torch.trapezoid(density * g.square(), z).item())
