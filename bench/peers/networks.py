"""The four networks for the peers that are built on torch, so that all of them train the same one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class MLP(nn.Sequential):
    """784-512-256-10 with ReLU, for W1; other widths on request."""

    def __init__(self, *widths: int) -> None:
        widths = widths or (784, 512, 256, 10)
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip(widths, widths[1:], strict=False):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        super().__init__(*layers[:-1])


class LeNet5(nn.Sequential):
    """LeNet-5 with ReLU and max-pooling on 28x28 padded to 32x32: 61,706 parameters, for W2."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120), nn.ReLU(),
            nn.Linear(120, 84), nn.ReLU(),
            nn.Linear(84, 10),
        )  # fmt: skip


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters (strided, zero-padded channels)."""

    def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(fan_out)
        self.stride, self.new_channels = stride, fan_out - fan_in

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride != 1 or self.new_channels:
            half = self.new_channels // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.new_channels - half))
        return F.relu(out + x)


class ResNet20(nn.Sequential):
    """The CIFAR ResNet of depth 20, widths 16, 32, 64, for W3."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        fan_in = 16
        for width in (16, 32, 64):
            for i in range(3):
                layers.append(Block(fan_in, width, stride=2 if i == 0 and width > 16 else 1))
                fan_in = width
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
