"""The residual networks for small images of He et al. 2015, section 4.2 (arXiv 1512.03385).

    conv 3x3, 16 -> n blocks of 16 -> n of 32, half the side -> n of 64, half again -> mean over pixels -> K

A block is conv-norm-relu-conv-norm plus its own input; depth = 6 n + 2. Where the side halves, the shortcut takes every
second pixel and fills the new channels with zeros (the paper's option A, which has no parameters): 269,722 in all for
n = 3, three channels and ten classes.

Shapes: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models.initialize import initialize
from limpid.spec import DataSpec

WIDTHS = (16, 32, 64)
LEAST_SIDE = 8  # pixels; halved twice, 2 x 2 remain


class ResidualBlock(nn.Module):
    """y = relu(norm(conv(relu(norm(conv(x))))) + shortcut(x))."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.drop_path: nn.Module | None = None  # models/disturbance.py: the branch drops out now and then
        self.stride = stride
        self.new_channels = channels - channels_in

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = F.relu(self.norm1(self.conv1(x_BCHW)), inplace=True)
        y_BCHW = self.norm2(self.conv2(y_BCHW))
        if self.drop_path is not None:
            y_BCHW = self.drop_path(y_BCHW)
        if self.new_channels:
            step = self.stride
            x_BCHW = F.pad(x_BCHW[:, :, ::step, ::step], (0, 0, 0, 0, 0, self.new_channels))
        y_BCHW += x_BCHW
        return F.relu(y_BCHW, inplace=True)


def build_cifar_resnet(depth: int) -> Callable[[ModelConfig, DataSpec], nn.Module]:
    """The build function of one depth, 6 n + 2."""
    blocks = (depth - 2) // 6
    assert depth == 6 * blocks + 2

    def build(config: ModelConfig, spec: DataSpec) -> nn.Module:
        channels, height, width = spec.input_shape
        if min(height, width) < LEAST_SIDE:
            raise ModelError(
                f"resnet{depth} needs images of at least {LEAST_SIDE} x {LEAST_SIDE} pixels; these have "
                f"{height} x {width}. Set data.image_size={LEAST_SIDE} or use model.name=mlp."
            )
        layers: list[nn.Module] = [
            nn.Conv2d(channels, WIDTHS[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(inplace=True),
        ]
        channels_in = WIDTHS[0]
        for channels_out in WIDTHS:
            for i in range(blocks):
                stride = 2 if i == 0 and channels_out > WIDTHS[0] else 1
                layers.append(ResidualBlock(channels_in, channels_out, stride))
                channels_in = channels_out
        head = nn.Linear(WIDTHS[-1], spec.num_outputs)
        body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
        initialize(body, head)
        return body

    return build


build_resnet20 = build_cifar_resnet(20)
build_resnet32 = build_cifar_resnet(32)
build_resnet44 = build_cifar_resnet(44)
build_resnet56 = build_cifar_resnet(56)
build_resnet110 = build_cifar_resnet(110)
