"""Squeeze and excitation (Hu et al. 2018, arXiv 1709.01507): the network weighs its own feature maps.

    y_c = x_c sigma(W_2 relu(W_1 mean(x) + b_1) + b_2)_c        W_1: C -> C/r, W_2: C/r -> C

It adds 2 C^2 / r + C / r + C parameters, and two dense layers' work for one vector of C numbers.

Shapes: B batch, C channels, H height, W width.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

RATIO = 16  # the paper's r


class SqueezeExcitation(nn.Module):
    """Rescale each map by a gate between 0 and 1 that all maps' means decide."""

    def __init__(self, channels: int, ratio: int = RATIO) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // ratio)
        self.excite = nn.Linear(channels // ratio, channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        gate_BC = self.excite(F.relu(self.squeeze(x_BCHW.mean(dim=(2, 3))))).sigmoid()
        return x_BCHW * gate_BC[:, :, None, None]
