"""Numbers as vectors that bend at quantiles of the training split, so that a network tells rare and close values apart.

Gorishniy et al. 2022 (arXiv 2203.05556, sections 3.2 and 3.4). A feature z with edges b_0 < b_1 < ... < b_T becomes

    e_t = clip((z - b_{t-1}) / (b_t - b_{t-1}), 0, 1)        t = 1 ... T
    v = relu(W e + c)                                        K numbers, W and c of the feature's own

e is 1 below the bin that holds z, a share of its width inside it, 0 above; it is flat outside the edges, so z itself
stays beside v. Features without edges (two values or one) stay as they are.

Shapes: B batch, F features, C of them with edges, T bins (of the feature with most; the others are padded), K.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from limpid.spec import DataSpec

SIZE = 16  # K


class NumberEncoding(nn.Module):
    """(B, F) standardised numbers -> (B, F + C K): the numbers, then the vectors of all features with edges."""

    feature_C: Tensor
    left_C1T: Tensor
    gain_C1T: Tensor

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.coded = [i for i, edges in enumerate(spec.quantiles) if edges]
        longest = max(len(spec.quantiles[i]) for i in self.coded) - 1
        left = torch.zeros(len(self.coded), 1, longest, dtype=torch.float64)
        gain = torch.zeros_like(left)  # 0 pads: such a bin is 0 for every z, and so is its weight
        weight = torch.zeros(len(self.coded), longest, SIZE)
        for c, i in enumerate(self.coded):
            edges = torch.tensor(spec.quantiles[i], dtype=torch.float64)
            edges = (edges - spec.scale_mean[i]) / spec.scale_std[i]
            num_bins = len(edges) - 1
            left[c, 0, :num_bins] = edges[:-1]
            gain[c, 0, :num_bins] = 1 / edges.diff()
            weight[c, :num_bins].normal_(std=math.sqrt(0.5 / num_bins))  # v stays below unit size
        self.register_buffer("feature_C", torch.tensor(self.coded), persistent=False)
        self.register_buffer("left_C1T", left.float())
        self.register_buffer("gain_C1T", gain.float())
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(len(self.coded) * SIZE))
        self.width = len(spec.quantiles) + len(self.coded) * SIZE

    def forward(self, z_BF: Tensor) -> Tensor:
        z_CB1 = z_BF.t().index_select(0, self.feature_C).unsqueeze(2)
        code_CBT = ((z_CB1 - self.left_C1T) * self.gain_C1T).clamp(0.0, 1.0)
        v_CBK = torch.baddbmm(self.bias.view(-1, 1, SIZE), code_CBT, self.weight).relu()
        return torch.cat((z_BF, v_CBK.transpose(0, 1).flatten(1)), dim=1)

    def extra_repr(self) -> str:
        return f"{len(self.coded)} numbers in up to {self.weight.shape[1]} bins -> {SIZE} each"
