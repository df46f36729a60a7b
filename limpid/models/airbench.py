"""A network that learns small colour images in ten passes: the design of Jordan 2024 (arXiv 2404.00498).

    whitening conv 2x2, 24 -> GELU -> three groups -> max over 3x3 -> dense layer / 9

A group is conv 3x3 - max-pool 2 - norm - GELU - conv 3x3 - norm - GELU, of 64, 256 and 256 channels. The first layer is
not trained but computed: its filters are the principal directions of the training images' 2x2 patches, scaled to unit
variance, and their negatives. The other convolutions begin as identities as far as their channels go, and the
normalisations have no scale of their own; their shifts learn 64 times faster than the weights.

Shapes: B batch, C channels, H height, W width, P patches, D values of a patch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.spec import DataSpec

WIDTHS = (64, 256, 256)
PATCH = 2  # pixels, the side of a whitened patch
LEAST_SIDE = 26  # pixels; 25 after the first layer, then 12, 6, 3
FLOOR = 5e-4  # added to the variances, so that directions without any are not blown up
MOMENTUM = 0.4  # of the running statistics: short runs need quick ones
OUTPUT_SCALE = 1 / 9
SHIFT_UNIT = 8  # what one unit of a shift's parameter shifts; gradient descent then moves the shift 8 * 8 times as far


class ShiftingNorm(nn.BatchNorm2d):
    """Batch normalisation without a scale, whose shift is SHIFT_UNIT times its parameter."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, momentum=MOMENTUM)
        self.weight.requires_grad_(False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        mean, variance = self.running_mean, self.running_var
        return F.batch_norm(
            x_BCHW, mean, variance, self.weight, SHIFT_UNIT * self.bias, self.training, MOMENTUM, self.eps
        )


class Group(nn.Module):
    """Two convolutions, the first of which ends in a 2x2 max-pool."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
        self.norm1 = ShiftingNorm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = ShiftingNorm(channels)
        for conv in (self.conv1, self.conv2):
            nn.init.dirac_(conv.weight.data[: conv.in_channels])

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = F.gelu(self.norm1(F.max_pool2d(self.conv1(x_BCHW), 2)))
        return F.gelu(self.norm2(self.conv2(y_BCHW)))


class Airbench(nn.Module):
    """The network; `learn_inputs` computes its first layer from training images before training begins."""

    def __init__(self, channels: int, num_outputs: int) -> None:
        super().__init__()
        num_filters = 2 * channels * PATCH**2
        self.whiten = nn.Conv2d(channels, num_filters, PATCH)
        self.whiten.weight.requires_grad_(False)
        nn.init.zeros_(self.whiten.bias.data)  # type: ignore[union-attr]
        widths = (num_filters, *WIDTHS)
        self.groups = nn.Sequential(*(Group(a, b) for a, b in zip(widths, widths[1:], strict=False)))
        self.head = nn.Linear(WIDTHS[-1], num_outputs, bias=False)

    @torch.no_grad()
    def learn_inputs(self, x_BCHW: Tensor) -> None:
        """Set the whitening filters from scaled training images."""
        patches_PD = F.unfold(x_BCHW.float(), PATCH).transpose(1, 2).flatten(0, 1)
        covariance_DD = patches_PD.T @ patches_PD / len(patches_PD)
        variance_D, direction_DD = torch.linalg.eigh(covariance_DD)
        filters = (direction_DD / torch.sqrt(variance_D + FLOOR)).T.flip(0).unflatten(1, self.whiten.weight.shape[1:])
        self.whiten.weight.copy_(torch.cat((filters, -filters)))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = self.groups(F.gelu(self.whiten(x_BCHW)))
        return self.head(F.adaptive_max_pool2d(y_BCHW, 1).flatten(1)) * OUTPUT_SCALE


def build_airbench(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """The network for images of at least 26 x 26 pixels."""
    channels, height, width = spec.input_shape
    if min(height, width) < LEAST_SIDE:
        raise ModelError(
            f"airbench needs images of at least {LEAST_SIDE} x {LEAST_SIDE} pixels; these have {height} x {width}. "
            f"Set data.image_size={LEAST_SIDE} or use model.name=convnet."
        )
    return Airbench(channels, spec.num_outputs)
