"""A Transformer that reads an image as a sequence of patches.

    y = W mean norm(blocks(E patch_i + p_i)) + b

Source: Dosovitskiy et al. 2021 (arXiv 2010.11929), small; the mean of all places in place of a class token, as in
Beyer et al. 2022 (arXiv 2205.01580).

Shapes: B images, C channels, H x W pixels, T patches, D width, K outputs.
"""

from __future__ import annotations

from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models.block import check_heads, initialize_blocks
from limpid.models.encoder import EncoderStack
from limpid.models.initialize import QUIET
from limpid.spec import DataSpec

MOST_PATCHES = 256  # that a patch size is chosen for: attention grows with the square
SMALLEST_PATCH = 4  # pixels


class ViT(nn.Module):
    """Images (B, C, H, W) -> (B, K)."""

    def __init__(self, patches: nn.Conv2d, stack: EncoderStack, num_outputs: int) -> None:
        super().__init__()
        self.patches, self.stack = patches, stack
        self.head = nn.Linear(patches.out_channels, num_outputs)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        x_BTD = self.patches(image_BCHW).flatten(2).transpose(1, 2)
        return self.head(self.stack(x_BTD, None).mean(dim=1))


def build_vit(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """`patch` pixels a side must divide both sides of the image; 0 takes one that gives 256 patches at most."""
    check_heads(config)
    options = config.options
    channels, height, columns = spec.input_shape
    patch = options["patch"] or _patch_for(height, columns)
    if height % patch or columns % patch:
        fitting = [n for n in range(1, min(height, columns) + 1) if height % n == 0 and columns % n == 0]
        raise ModelError(
            f"model.patch={patch} does not divide images of {height} x {columns} pixels: "
            f"use {', '.join(map(str, fitting))}, or another data.image_size."
        )
    width = options["width"]
    stack = EncoderStack(
        height // patch * (columns // patch),
        width=width,
        num_heads=options["heads"],
        num_blocks=options["layers"],
        positions=options["positions"],
        dropout=config.dropout or 0.0,
    )
    body = ViT(nn.Conv2d(channels, width, patch, stride=patch), stack, spec.num_outputs)
    initialize_blocks(body, options["layers"])
    nn.init.normal_(body.head.weight, std=QUIET / width**0.5)
    return body


def _patch_for(height: int, columns: int) -> int:
    fitting = [n for n in range(1, min(height, columns) + 1) if height % n == 0 and columns % n == 0]
    good = [n for n in fitting if n >= SMALLEST_PATCH and height * columns // n**2 <= MOST_PATCHES]
    return good[0] if good else fitting[-1]
