"""Losses of classes and labels, from logits; catalogue/losses.py describes them.

A yes or no has the loss L(z) of its logit z if the truth is yes, and L(-z) if it is no.

Shapes: B batch, K classes.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.objectives.point_loss import CrossEntropy, OneOfClasses, PointLoss, YesOrNo

TINY = 1e-12  # keeps the slope of x^gamma finite at x = 0 for gamma below 1


def build_cross_entropy(task: str, *, smoothing: float = 0.0, weights: Tensor | None = None) -> PointLoss:
    """-sum_k t_k log softmax(z)_k"""
    return CrossEntropy(smoothing, weights)


def build_bce(task: str, *, smoothing: float = 0.0, weights: Tensor | None = None) -> PointLoss:
    """L(z) = -log sigmoid(z)"""
    return YesOrNo(lambda z: F.softplus(-z), smoothing, weights, fused=F.binary_cross_entropy_with_logits)


def build_hinge(
    task: str, *, smoothing: float = 0.0, weights: Tensor | None = None, margin: float = 1.0, squared: bool = False
) -> PointLoss:
    """L(z) = max(0, m - z);  of K classes sum_{j != k} max(0, m - (z_k - z_j));  each term squared on request"""
    if task != "classification":
        return YesOrNo(partial(_shortfall, margin=margin, squared=squared), smoothing, weights)

    def at(outputs_BK: Tensor, label_B: Tensor) -> Tensor:
        lead_BK = outputs_BK.gather(1, label_B[:, None]) - outputs_BK
        others_BK = F.one_hot(label_B, outputs_BK.shape[1]).logical_not()
        return (_shortfall(lead_BK, margin, squared) * others_BK).sum(dim=1)

    def each(outputs_BK: Tensor) -> Tensor:
        lead_BKK = outputs_BK[:, :, None] - outputs_BK[:, None, :]
        others_KK = ~torch.eye(outputs_BK.shape[1], dtype=torch.bool, device=outputs_BK.device)
        return (_shortfall(lead_BKK, margin, squared) * others_KK).sum(dim=2)

    return OneOfClasses(each, at, smoothing, weights)


def build_focal(task: str, *, smoothing: float = 0.0, weights: Tensor | None = None, gamma: float = 2.0) -> PointLoss:
    """-(1 - p)^gamma log p of the true class"""
    if task != "classification":
        return YesOrNo(lambda z: _focused(F.logsigmoid(z), gamma), smoothing, weights)
    return OneOfClasses(lambda z_BK: _focused(z_BK.log_softmax(dim=1), gamma), None, smoothing, weights)


def build_brier(task: str, *, smoothing: float = 0.0, weights: Tensor | None = None) -> PointLoss:
    """sum_j (p_j - t_j)^2;  of a yes or no (1 - sigmoid(z))^2"""
    if task != "classification":
        return YesOrNo(lambda z: torch.sigmoid(-z).square(), smoothing, weights)

    def each(outputs_BK: Tensor) -> Tensor:
        p_BK = outputs_BK.softmax(dim=1)
        return p_BK.square().sum(dim=1, keepdim=True) - 2 * p_BK + 1

    return OneOfClasses(each, None, smoothing, weights)


def build_zero_one(task: str, *, smoothing: float = 0.0, weights: Tensor | None = None) -> PointLoss:
    """1 where the decision is wrong, else 0; its gradient is 0"""
    if task != "classification":
        return YesOrNo(lambda z: (z <= 0).to(z) + 0 * z, smoothing, weights)

    def each(outputs_BK: Tensor) -> Tensor:
        decision_BK = F.one_hot(outputs_BK.argmax(dim=1), outputs_BK.shape[1])
        return 1 - decision_BK.to(outputs_BK) + 0 * outputs_BK

    return OneOfClasses(each, None, smoothing, weights)


def _shortfall(lead: Tensor, margin: float, squared: bool) -> Tensor:
    short = (margin - lead).clamp(min=0)
    return short.square() if squared else short


def _focused(log_p: Tensor, gamma: float) -> Tensor:
    return -((-torch.expm1(log_p)).clamp(min=TINY) ** gamma) * log_p
