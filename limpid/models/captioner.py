"""An image in words: a convolutional network looks, a recurrent one writes until the end.

    summary = W flatten(pool(conv stages(image))) + b      h_0 = tanh(W_0 summary + b_0), then a recurrent decoder

Source: Vinyals et al. 2015 (arXiv 1411.4555); attention to the places of the image as in Xu et al. 2015
(arXiv 1502.03044).

Shapes: B images, C channels, H x W pixels, G x G places of the last stage, M width of the memory, T places, V tokens.
"""

from __future__ import annotations

from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models.recurrent_decoder import RecurrentDecoder
from limpid.spec import DataSpec

GRID = 4  # places per side that the decoder gets to know; where things lie is kept that finely
SMALLEST = 8  # pixels per side before a stage halves no more


class Captioner(nn.Module):
    """Images (B, C, H, W), given tokens (B, T) -> logits (B, T, V)."""

    def __init__(self, stages: nn.Module, width: int, decoder: RecurrentDecoder) -> None:
        super().__init__()
        self.stages, self.decoder = stages, decoder
        self.summary = nn.Linear(width * GRID * GRID, width)

    def forward(self, image_BCHW: Tensor, given_BT: Tensor) -> Tensor:
        return self.decode(self.encode(image_BCHW), given_BT)

    def encode(self, image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """The places of the image (B, G G, M), and all of them in one vector (B, M)."""
        grid_BMGG = self.stages(image_BCHW)
        return grid_BMGG.flatten(2).transpose(1, 2), self.summary(grid_BMGG.flatten(1))

    def decode(self, memory: tuple[Tensor, Tensor], given_BT: Tensor) -> Tensor:
        """Logits (B, T, V) of the token behind each given one."""
        places_BSM, summary_BM = memory
        return self.decoder(given_BT, summary_BM, places_BSM)


def build_captioner(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """Stages of a convolution, a batch norm, ReLU and a halving, while the image is larger than the grid."""
    options = config.options
    channels, side = spec.input_shape[0], min(spec.input_shape[1:])
    layers: list[nn.Module] = []
    width = options["channels"]
    while True:
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
        if side < SMALLEST:
            break
        layers.append(nn.MaxPool2d(2))
        side, width = side // 2, min(2 * width, 4 * options["channels"])
    layers.append(nn.AdaptiveAvgPool2d(GRID))
    decoder = RecurrentDecoder(
        spec.num_outputs,
        channels,
        kind=options["recurrence"],
        num_units=options["units"],
        num_layers=options["layers"],
        attention=options["attention"],
        dropout=config.dropout or 0.0,
    )
    return Captioner(nn.Sequential(*layers), channels, decoder)
