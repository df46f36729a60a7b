"""Numbers as piecewise-linear codes, which lets a dense layer bend at places that the training rows chose.

Gorishniy et al. 2022 (arXiv 2203.05556, section 3.2). A feature z with edges b_0 < b_1 < ... < b_T becomes T numbers

    e_t = clip((z - b_{t-1}) / (b_t - b_{t-1}), 0, 1)        t = 1 ... T

all 1 below the bin that holds z, a share of its width inside it, 0 above. The number itself stays beside its code,
since the code is flat outside the edges. The edges are quantiles of the training split (`DataSpec.quantiles`).

Shapes: B batch, F features, D bins of all features together.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from limpid.spec import DataSpec


class NumberEncoding(nn.Module):
    """(B, F) standardised numbers -> (B, F + D): the numbers, then the codes of feature 0, 1, ...

    The bins of all features lie behind each other, so that the encoding costs one gather and three passes.
    """

    feature_D: Tensor
    left_D: Tensor
    gain_D: Tensor

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        feature: list[int] = []
        left: list[float] = []
        gain: list[float] = []
        scales = zip(spec.quantiles, spec.scale_mean, spec.scale_std, strict=True)
        for i, (edges, mean, std) in enumerate(scales):
            places = [(edge - mean) / std for edge in edges]
            for low, high in zip(places, places[1:], strict=False):
                feature.append(i)
                left.append(low)
                gain.append(1 / (high - low))
        self.register_buffer("feature_D", torch.tensor(feature, dtype=torch.int64), persistent=False)
        self.register_buffer("left_D", torch.tensor(left))
        self.register_buffer("gain_D", torch.tensor(gain))
        self.width = len(spec.quantiles) + len(feature)

    def forward(self, z_BF: Tensor) -> Tensor:
        code_BD = z_BF.index_select(1, self.feature_D).sub_(self.left_D).mul_(self.gain_D).clamp_(0.0, 1.0)
        return torch.cat((z_BF, code_BD), dim=1)

    def extra_repr(self) -> str:
        return f"{self.width - len(self.feature_D)} numbers in {len(self.feature_D)} bins -> {self.width}"
