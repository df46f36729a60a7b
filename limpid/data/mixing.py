"""Mixup and cutmix: two samples become one, and so do their targets.

    x = M x_i + (1 - M) x_j,    y = m y_i + (1 - m) y_j,    m = mean of M,    j = B - 1 - i

M is one number lambda ~ Beta(alpha, alpha) for mixup (Zhang et al. 2018), and for cutmix (Yun et al. 2019) 0 inside a
rectangle of about the share 1 - lambda of the area, 1 outside. The partner is the sample at the mirrored place in the
batch, which is random because the order of the epoch is.

Shapes: B samples, K classes.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.data.pixel_ops import box, like

TABLE_SIZE = 4096


class BetaQuantile:
    """u -> the u-quantile of Beta(alpha, alpha), by interpolation in a table.

    On x in [0, 1/2] the substitution t = x^alpha makes the density smooth: dF is proportional to
    (1 - t^(1/alpha))^(alpha - 1) dt. The other half follows by symmetry.
    """

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha
        t = np.linspace(0.0, 0.5**alpha, 16 * TABLE_SIZE + 1)
        density = (1.0 - t ** (1.0 / alpha)) ** (alpha - 1.0)
        cumulated = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
        wanted = np.linspace(0.0, cumulated[-1], TABLE_SIZE + 1)
        self.table = torch.from_numpy(np.interp(wanted, cumulated, t)).float()

    def __call__(self, u_B: Tensor) -> Tensor:
        table = self.table.to(u_B.device)
        place_B = torch.minimum(u_B, 1.0 - u_B) * (2 * TABLE_SIZE)
        below_B = place_B.floor().clamp(max=TABLE_SIZE - 1)
        low, high = table[below_B.long()], table[below_B.long() + 1]
        x_B = torch.lerp(low, high, place_B - below_B) ** (1.0 / self.alpha)
        return torch.where(u_B <= 0.5, x_B, 1.0 - x_B)


def mixup(x: Tensor, share_B: Tensor) -> tuple[Tensor, Tensor]:
    """Blend each sample with its partner; returns the mix and the weight (B,) of its own target."""
    weight = share_B.view(-1, *[1] * (x.ndim - 1))
    mixed = weight * x.float() + (1.0 - weight) * x.flip(0).float()
    return (like(mixed, x) if x.ndim == 4 else mixed.to(x.dtype)), share_B


def cutmix(x_BCHW: Tensor, share_B: Tensor, place_B2: Tensor) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of the partner's image; returns the mix and the weight (B,) of its own target."""
    side = torch.tensor(x_BCHW.shape[2:], device=x_BCHW.device)
    size_B2 = ((1.0 - share_B).clamp(min=0.0).sqrt()[:, None] * side).round()
    pasted_BHW = box(x_BCHW, place_B2, size_B2)
    weight_B = 1.0 - pasted_BHW.sum((1, 2)) / pasted_BHW[0].numel()
    return torch.where(pasted_BHW.unsqueeze(1), x_BCHW.flip(0), x_BCHW), weight_B


def mix_targets(target: Tensor, weight_B: Tensor, num_classes: int) -> Tensor:
    """Targets of the mix: float32 (B, K) for classes, otherwise of the same shape."""
    soft = F.one_hot(target, num_classes).float() if not target.is_floating_point() else target
    weight = weight_B.view(-1, *[1] * (soft.ndim - 1))
    return weight * soft + (1.0 - weight) * soft.flip(0)
