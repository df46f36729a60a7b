"""A plain convolutional network as deep as the image allows: (conv-norm-relu, twice, pool) until 7 pixels are left.

The side halves and the width doubles at each stage; the mean over the remaining pixels goes into one dense layer.
"""

from __future__ import annotations

from torch import nn

from limpid.config import ModelConfig
from limpid.models.dropout import make_dropout
from limpid.models.initialize import initialize
from limpid.spec import DataSpec

FIRST_WIDTH = 32
LAST_WIDTH = 256
SMALL_ENOUGH = 7  # pixels: the side that LeNet- and VGG-like networks end on for their usual inputs


def build_convnet(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """8 x 8 digits get two stages, 28 x 28 three, 32 x 32 four."""
    channels, height, width = spec.input_shape
    side = min(height, width)
    layers: list[nn.Module] = []
    channels_out = FIRST_WIDTH
    while True:
        for _ in range(2):
            layers += [
                nn.Conv2d(channels, channels_out, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels_out),
                nn.ReLU(inplace=True),
            ]
            channels = channels_out
        if side <= SMALL_ENOUGH:
            break
        layers.append(nn.MaxPool2d(2))
        if config.options["spatial_dropout"]:
            layers.append(make_dropout("spatial", config.options["spatial_dropout"]))
        side //= 2
        channels_out = min(2 * channels_out, LAST_WIDTH)
    head = nn.Linear(channels, spec.num_outputs)
    dropout = [nn.Dropout(config.dropout)] if config.dropout else []
    body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *dropout, head)
    initialize(body, head)
    return body
