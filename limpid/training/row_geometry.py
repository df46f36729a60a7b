"""How a layer's answers to different rows lie to one another.

Shapes: B rows, D values of a row.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOST_ROWS = 128  # rows that are compared, every one with every other
MOST_WIDTH = 2048  # values of a row that are looked at, evenly spaced


def cosine_and_rank(rows: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean cosine between rows of different classes, and the participation ratio of the rows' covariance.

        cosine   mean over pairs i, j of x_i x_j / (|x_i| |x_j|)
        rank     (tr C)^2 / tr C^2, with C the covariance: the number of directions, were they alike

    Gao et al. 2017 (bioRxiv 214262) for the participation ratio.

    Args:
        rows: (B, ...) float32; the first 128 rows count.
        classes: int64 (B, ...) of as many rows or more; None compares all rows.

    Returns scalars on the device; NaN where no two rows can be compared.
    """
    x_BD = rows[:MOST_ROWS].flatten(1)
    x_BD = x_BD[:, :: -(-x_BD.shape[1] // MOST_WIDTH)]
    mean_D = x_BD.mean(dim=0)
    centred_BD = x_BD - mean_D
    covariance_BB = centred_BD @ centred_BD.t()  # the Gram matrix has the covariance's eigenvalues
    rank = covariance_BB.trace().square() / covariance_BB.square().sum()

    shift_B = centred_BD @ mean_D
    gram_BB = covariance_BB + shift_B[:, None] + shift_B + mean_D.square().sum()
    length_B = gram_BB.diagonal().clamp(min=0).sqrt()
    if classes is not None and classes.ndim == 1:
        kinds_B = classes[: len(x_BD)]
        different_BB = kinds_B[:, None] != kinds_B
    else:
        different_BB = ~torch.eye(len(x_BD), dtype=torch.bool, device=x_BD.device)
    different_BB = different_BB & (length_B[:, None] > 0) & (length_B > 0)
    cosine_BB = torch.where(different_BB, gram_BB / (length_B[:, None] * length_B), 0.0)
    return cosine_BB.sum() / different_BB.sum(), rank
