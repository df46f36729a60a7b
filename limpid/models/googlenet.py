"""GoogLeNet as published (Szegedy et al. 2014, arXiv 1409.4842): 5x5 branches, no batch norm, two auxiliary heads.

An Inception module lays four branches side by side; 1x1 convolutions reduce the depth before the expensive filters:

    1x1 | 1x1 -> 3x3 | 1x1 -> 5x5 | 3x3 max-pool -> 1x1

One global mean and one dense layer take the place of a stack of dense layers. 6,998,552 parameters for 1000 classes,
and 6,379,728 in the auxiliary classifiers behind 4a and 4d.

Shapes: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models.auxiliary import Outputs
from limpid.models.pattern import assemble
from limpid.spec import DataSpec

# To an eighth of the side.
STEM = "conv64@7/s2-relu maxpool3/s2/ceil lrn conv64@1-relu conv192@3-relu lrn maxpool3/s2/ceil"
# Table 1: filters of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
TABLE = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
POOL = "maxpool3/s2/ceil"
FIRST = (STEM, "3a", "3b", POOL, "4a")
SECOND = ("4b", "4c", "4d")
THIRD = ("4e", POOL, "5a", "5b", "gap dropout0.4 fc")
AUXILIARY = "avgpool5/s3 conv128@1-relu fc1024-relu dropout0.7 fc"


def inception(widths: tuple[int, int, int, int, int, int]) -> str:
    """An Inception module as a pattern."""
    one, reduce3, three, reduce5, five, pool = widths
    return (
        f"cat[conv{one}@1-relu | conv{reduce3}@1-relu-conv{three}@3-relu | "
        f"conv{reduce5}@1-relu-conv{five}@5-relu | maxpool3/s1/p1-conv{pool}@1-relu]"
    )


class GoogLeNet(nn.Module):
    """Three pieces, and a classifier behind each of the first two that is there in training only."""

    def __init__(self, pieces: list[nn.Module], auxiliary: list[nn.Module], weight: float) -> None:
        super().__init__()
        self.first, self.second, self.third = pieces
        self.auxiliary = nn.ModuleList(auxiliary)
        self.weight = weight

    def forward(self, x_BCHW: Tensor) -> Tensor | Outputs:
        first = self.first(x_BCHW)
        second = self.second(first)
        main = self.third(second)
        if not self.training or not len(self.auxiliary):
            return main  # type: ignore[no-any-return]
        heads = zip(self.auxiliary, (first, second), strict=True)
        return Outputs(main, tuple(head(features) for head, features in heads), self.weight)


def build_googlenet(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """For images from about 96 pixels; option `auxiliary` is the weight of the auxiliary losses, 0 builds none."""
    weight: float = config.options["auxiliary"]
    shape = spec.input_shape
    pieces: list[nn.Module] = []
    heads: list[nn.Module] = []
    for names in (FIRST, SECOND, THIRD):
        text = " ".join(inception(TABLE[name]) if name in TABLE else name for name in names)
        piece, shape = assemble(text, shape, num_outputs=spec.num_outputs, name=config.name)
        pieces.append(piece)
        if weight and names is not THIRD:
            head, _ = assemble(AUXILIARY, shape, num_outputs=spec.num_outputs, name=config.name)
            heads.append(head)
    return GoogLeNet(pieces, heads, weight)
