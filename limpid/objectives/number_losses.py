"""Losses of numbers; catalogue/losses.py describes them. e = f - z: output minus scaled target.

Those that torch has are torch's, in one call.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.objectives.point_loss import OfNumbers, PointLoss


def build_mse(task: str) -> PointLoss:
    """e^2"""
    return _of_torch(F.mse_loss)


def build_half_mse(task: str) -> PointLoss:
    """e^2 / 2"""
    return OfNumbers(lambda f, z: F.mse_loss(f, z, reduction="none") / 2, lambda f, z: F.mse_loss(f, z) / 2)


def build_sum_squared_error(task: str) -> PointLoss:
    """e^2, added up over targets and samples"""
    return OfNumbers(partial(F.mse_loss, reduction="none"), total=True)


def build_mae(task: str) -> PointLoss:
    """|e|"""
    return _of_torch(F.l1_loss)


def build_huber(task: str, *, delta: float) -> PointLoss:
    """e^2 / 2 if |e| <= delta else delta (|e| - delta / 2)"""
    return _of_torch(F.huber_loss, delta=delta)


def build_smooth_l1(task: str, *, beta: float) -> PointLoss:
    """e^2 / (2 beta) if |e| < beta else |e| - beta / 2"""
    return _of_torch(F.smooth_l1_loss, beta=beta)


def build_log_cosh(task: str) -> PointLoss:
    """ln cosh e = |e| + ln(1 + e^(-2 |e|)) - ln 2"""

    def each(f: Tensor, z: Tensor) -> Tensor:
        size = (f - z).abs()
        return size + F.softplus(-2 * size) - math.log(2)

    return OfNumbers(each)


def build_quantile(task: str, *, tau: float) -> PointLoss:
    """max(-tau e, (1 - tau) e)"""

    def each(f: Tensor, z: Tensor) -> Tensor:
        e = f - z
        return torch.maximum(-tau * e, (1 - tau) * e)

    return OfNumbers(each)


def build_poisson(task: str) -> PointLoss:
    """e^f - y f"""
    return _of_torch(F.poisson_nll_loss)


def _of_torch(function: Callable[..., Tensor], **options: Any) -> PointLoss:
    return OfNumbers(partial(function, reduction="none", **options), partial(function, **options))
