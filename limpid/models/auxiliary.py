"""Classifiers at intermediate layers that help a deep network to learn, in training only (Szegedy et al. 2014).

    L = L(main) + w sum_i L(auxiliary_i)

In training such a network answers with `Outputs`, and training/auxiliary_step.py forms the sum; in evaluation it
answers with the main outputs alone.

Shapes: B batch, K outputs.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class Outputs(NamedTuple):
    """What a network with auxiliary classifiers gives in training."""

    main: Tensor  # (B, K)
    auxiliary: tuple[Tensor, ...]  # each (B, K)
    weight: float  # of each auxiliary loss


class WithAuxiliary(nn.Module):
    """One of torchvision's Inception networks, whose tuples in training become `Outputs`."""

    def __init__(self, network: nn.Module, weight: float) -> None:
        super().__init__()
        self.network = network
        self.weight = weight

    def forward(self, x_BCHW: Tensor) -> Tensor | Outputs:
        outputs = self.network(x_BCHW)
        if isinstance(outputs, Tensor):
            return outputs
        return Outputs(outputs[0], tuple(outputs[1:]), self.weight)
