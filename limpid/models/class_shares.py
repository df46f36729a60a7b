"""Shares of the classes, as estimated by a model that is no softmax, in the form that the objectives read: logits.

    one of K classes      z_k = ln p_k
    yes or no, labels     z = ln p - ln (1 - p)

so that the objective's softmax or sigmoid gives p back (softmax: up to their sum). p is clipped to
[FLOOR, 1 - FLOOR] before.

Shapes: B batch, K classes or labels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from limpid.spec import DataSpec

FLOOR = 0.01  # a wrong answer then costs at most ln 100 = 4.6


class ShareLogits(nn.Module):
    """(B, K) shares -> (B, K) logits; values of a regression pass as they are."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.task = task

    def forward(self, p_BK: Tensor) -> Tensor:
        if self.task == "regression":
            return p_BK
        p_BK = p_BK.clamp(FLOOR, 1 - FLOOR)
        return p_BK.log() if self.task == "classification" else p_BK.logit()

    def extra_repr(self) -> str:
        return self.task


def wanted_values(target: Tensor, spec: DataSpec) -> Tensor:
    """float32 (B, num_outputs): one-hot classes, zeros and ones, or the target in standard deviations from its mean."""
    if spec.task == "classification":
        return F.one_hot(target, spec.num_outputs).float() if target.ndim == 1 else target.float()
    if spec.task != "regression":
        return target.float()
    mean_T = target.new_tensor(spec.target_mean or 0.0)
    std_T = target.new_tensor([std or 1.0 for std in spec.target_std] or 1.0)
    return (target - mean_T) / std_T
