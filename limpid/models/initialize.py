"""First values of the weights.

- He et al. 2015 (arXiv 1502.01852, eq. 10) before ReLU-like functions: std = sqrt(2 / fan_in).
- Glorot & Bengio 2010 before tanh and sigmoid: std = sqrt(2 / (fan_in + fan_out)).
- The last layer is quiet: std = QUIET / sqrt(fan_in). Its outputs then start near zero, so that the first loss is the
  loss of knowing nothing (ln C for C classes) and no early step is spent on unlearning random confidence.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from limpid.catalogue.initializers import INITIALIZERS

# Standard deviation of a first output when the features have unit size; 0.1 costs a loss of about 0.1**2 / 2.
QUIET = 0.1
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)
GAINS = {"sigmoid": 1.0, "tanh": 5.0 / 3.0, "identity": 1.0}


def initialize(body: nn.Module, head: nn.Module, *, activation: str = "relu") -> None:
    """Set the weights of convolutions and dense layers of `body`, then make `head` quiet."""
    for module in body.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if activation in ("tanh", "sigmoid"):
                nn.init.xavier_normal_(module.weight)
            else:
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    assert isinstance(head, nn.Linear)
    nn.init.normal_(head.weight, std=QUIET / math.sqrt(head.in_features))


def reinitialize(body: nn.Module, name: str, *, activation: str) -> None:
    """Draw the weights of all convolutions and dense layers again by the named rule; their biases start at zero.

    The gain is the activation's: sqrt(2) for ReLU-like functions, 5/3 for tanh, 1 for the sigmoid and none.
    """
    fill = INITIALIZERS.find(name).load()
    for module in body.modules():
        if isinstance(module, LAYERS):
            fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(module.weight)
            fill(module.weight, fan_in=fan_in, fan_out=fan_out, gain=GAINS.get(activation, math.sqrt(2.0)))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def kaiming_normal(weight: Tensor, *, fan_in: int, fan_out: int, gain: float) -> None:
    """N(0, gain^2 / fan_in)"""
    nn.init.normal_(weight, std=gain / math.sqrt(fan_in))


def xavier_normal(weight: Tensor, *, fan_in: int, fan_out: int, gain: float) -> None:
    """N(0, 2 gain^2 / (fan_in + fan_out))"""
    nn.init.normal_(weight, std=gain * math.sqrt(2.0 / (fan_in + fan_out)))
