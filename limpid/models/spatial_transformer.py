"""A network that turns, shifts and scales its own input before it looks closer (Jaderberg et al. 2015).

    theta = theta_0 + W g(x)        six numbers per image, of which theta_0 is the identity and W starts at zero
    y(p) = x(theta p)               bilinear between pixels, zero outside; p from -1 to 1 across the image

Shapes: B batch, C channels, H height, W width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models.pattern import assemble
from limpid.spec import DataSpec

LOCALISE = "pool conv20@5/p0-relu-pool conv20@5/p0-relu flatten fc50-relu"  # sees half the resolution
CLASSIFY = "conv20@5/p0-relu-pool conv50@5/p0-relu-pool fc500-relu fc"


class SpatialTransformer(nn.Module):
    """x warped by the affine map that `localise` reads off x."""

    def __init__(self, localise: nn.Module, features: int) -> None:
        super().__init__()
        self.localise = localise
        self.theta = nn.Linear(features, 6)
        nn.init.zeros_(self.theta.weight)
        with torch.no_grad():
            self.theta.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        theta_B23 = self.theta(self.localise(x_BCHW)).view(-1, 2, 3)
        return warp(x_BCHW, theta_B23)


def warp(x_BCHW: Tensor, theta_B23: Tensor) -> Tensor:
    """x seen through affine maps. The corners of the image are the centres of its corner pixels."""
    # Eight bits of mantissa do not tell neighbouring pixels apart: positions stay in float32.
    grid_BHW2 = F.affine_grid(theta_B23.float(), list(x_BCHW.shape), align_corners=True)
    return F.grid_sample(x_BCHW.float(), grid_BHW2, align_corners=True).to(x_BCHW.dtype)


def build_stn_lenet(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """A spatial transformer before the 20-50-500 LeNet, for images from 26 pixels."""
    localise, (features,) = assemble(LOCALISE, spec.input_shape, num_outputs=None, name=config.name)
    classify, _ = assemble(CLASSIFY, spec.input_shape, num_outputs=spec.num_outputs, name=config.name)
    return nn.Sequential(SpatialTransformer(localise, features), classify)
