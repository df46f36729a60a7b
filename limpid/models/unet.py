"""A class for every pixel: a small U-Net (Ronneberger et al. 2015, arXiv 1505.04597).

Two halvings, two doublings, and at each size the maps of the way down beside those of the way up, so that what was seen
from afar is drawn with the sharpness of the first layers.

Shapes: B batch, C channels, H height, W width, K classes of a pixel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models.pattern import assemble
from limpid.spec import DataSpec

WIDTHS = (16, 32, 64)


class UNet(nn.Module):
    """(B, C, H, W) -> (B, H W, K): logits of the pixels, row by row."""

    def __init__(self, channels: int, num_outputs: int, sides: tuple[int, int]) -> None:
        super().__init__()
        self.down = nn.ModuleList()
        for width in WIDTHS:
            block, (channels, *_) = assemble(f"[conv{width}/nobias-bn-relu]*2", (channels, *sides), num_outputs=None)
            self.down.append(block)
        self.up = nn.ModuleList()
        for width in WIDTHS[-2::-1]:
            block, (channels, *_) = assemble(
                f"[conv{width}/nobias-bn-relu]*2", (channels + width, *sides), num_outputs=None
            )
            self.up.append(block)
        self.head = nn.Conv2d(channels, num_outputs, 1)
        nn.init.normal_(self.head.weight, std=0.1 / channels**0.5)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        passed = []
        for depth, block in enumerate(self.down):
            x_BCHW = block(F.max_pool2d(x_BCHW, 2) if depth else x_BCHW)
            passed.append(x_BCHW)
        for block, beside_BCHW in zip(self.up, passed[-2::-1], strict=True):
            x_BCHW = F.interpolate(x_BCHW, size=beside_BCHW.shape[2:], mode="nearest")
            x_BCHW = block(torch.cat((x_BCHW, beside_BCHW), dim=1))
        return self.head(x_BCHW).flatten(2).transpose(1, 2)


def build_unet(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """Targets are the classes of the pixels, row by row. Raises ModelError unless there is one for each pixel."""
    channels, height, width = spec.input_shape
    if spec.output_shape != (height * width,):
        raise ModelError(
            f"{config.name} gives a class for each of {height} x {width} pixels, {height * width} in a row; "
            f"the targets of {spec.name} have shape {spec.output_shape}."
        )
    if min(height, width) < 4:
        raise ModelError(f"{config.name} needs images of at least 4 x 4 pixels; these have {height} x {width}.")
    return UNet(channels, spec.num_outputs, (height, width))
