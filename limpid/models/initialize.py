"""First values of the weights.

- He et al. 2015 (arXiv 1502.01852, eq. 10) before ReLU-like functions: std = sqrt(2 / fan_in).
- Glorot & Bengio 2010 before tanh and sigmoid: std = sqrt(2 / (fan_in + fan_out)).
- The last layer is quiet: std = QUIET / sqrt(fan_in). Its outputs then start near zero, so that the first loss is the
  loss of knowing nothing (ln C for C classes) and no early step is spent on unlearning random confidence.
"""

from __future__ import annotations

import math

from torch import nn

# Standard deviation of a first output when the features have unit size; 0.1 costs a loss of about 0.1**2 / 2.
QUIET = 0.1


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
