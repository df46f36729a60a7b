"""The rules that first weights are drawn by; catalogue/initializers.py describes them.

Each fills a tensor in place from torch's generator, so that a seed gives the same values. torch.nn.init supplies what
does not depend on the fans; those are given, because a view of a weight (one gate, one projection) is a layer too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

# Standard deviation of a standard normal that is cut off at +-2.
CUT_STD = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)))


@dataclass(frozen=True)
class Place:
    """Where a weight stands: how many values each unit sums, how many units read each value, and what follows."""

    fan_in: int
    fan_out: int
    gain: float  # of the model's activation


def kaiming_normal(weight: Tensor, place: Place, *, a: float, mode: str, nonlinearity: str) -> None:
    """N(0, gain^2 / fan)"""
    nn.init.normal_(weight, std=_kaiming_std(place, a, mode, nonlinearity))


def kaiming_uniform(weight: Tensor, place: Place, *, a: float, mode: str, nonlinearity: str) -> None:
    """U(-L, L),  L = gain sqrt(3 / fan)"""
    _symmetric(weight, math.sqrt(3) * _kaiming_std(place, a, mode, nonlinearity))


def he_truncated(weight: Tensor, place: Place, *, rescale: bool) -> None:
    """N(0, s^2) cut at +-2 s;  s = sqrt(2 / fan_in), over 0.8796 when rescaled"""
    std = math.sqrt(2 / place.fan_in) / (CUT_STD if rescale else 1.0)
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def xavier_normal(weight: Tensor, place: Place, *, gain: float) -> None:
    """N(0, 2 gain^2 / (fan_in + fan_out))"""
    nn.init.normal_(weight, std=gain * math.sqrt(2 / (place.fan_in + place.fan_out)))


def xavier_uniform(weight: Tensor, place: Place, *, gain: float) -> None:
    """U(-L, L),  L = gain sqrt(6 / (fan_in + fan_out))"""
    _symmetric(weight, gain * math.sqrt(6 / (place.fan_in + place.fan_out)))


def lecun_normal(weight: Tensor, place: Place) -> None:
    """N(0, 1 / fan_in)"""
    nn.init.normal_(weight, std=1 / math.sqrt(place.fan_in))


def lecun_uniform(weight: Tensor, place: Place) -> None:
    """U(-L, L),  L = sqrt(3 / fan_in)"""
    _symmetric(weight, math.sqrt(3 / place.fan_in))


def fan_sum_normal(weight: Tensor, place: Place, *, k: float) -> None:
    """N(0, k / (fan_in + fan_out))"""
    nn.init.normal_(weight, std=math.sqrt(k / (place.fan_in + place.fan_out)))


def torch_default(weight: Tensor, place: Place) -> None:
    """U(-L, L),  L = 1 / sqrt(fan_in)"""
    _symmetric(weight, 1 / math.sqrt(place.fan_in))


def normal(weight: Tensor, place: Place, *, mean: float, std: float) -> None:
    """N(mean, std^2)"""
    nn.init.normal_(weight, mean, std)


def truncated_normal(weight: Tensor, place: Place, *, mean: float, std: float) -> None:
    """N(mean, std^2) within mean +- 2 std"""
    nn.init.trunc_normal_(weight, mean, std, mean - 2 * std, mean + 2 * std)


def uniform(weight: Tensor, place: Place, *, a: float, b: float) -> None:
    """U(a, b)"""
    nn.init.uniform_(weight, min(a, b), max(a, b))


def zeros(weight: Tensor, place: Place) -> None:
    """0"""
    nn.init.zeros_(weight)


def constant(weight: Tensor, place: Place, *, value: float) -> None:
    """value"""
    nn.init.constant_(weight, value)


def orthogonal(weight: Tensor, place: Place, *, gain: float) -> None:
    """gain Q with orthonormal rows or columns, of the weight as (units, everything else)"""
    nn.init.orthogonal_(weight, gain)


def identity(weight: Tensor, place: Place, *, gain: float) -> None:
    """gain at input i of unit i (in the middle of a kernel), 0 elsewhere"""
    nn.init.zeros_(weight)
    kernel_UI = weight.detach()
    for size in weight.shape[2:]:
        kernel_UI = kernel_UI.select(2, size // 2)
    kernel_UI.fill_diagonal_(gain)


def sparse(weight: Tensor, place: Place, *, sparsity: float, std: float) -> None:
    """N(0, std^2), of the weights of each input a share `sparsity` 0"""
    nn.init.sparse_(weight.detach().view(weight.shape[0], -1), sparsity, std)


def _kaiming_std(place: Place, a: float, mode: str, nonlinearity: str) -> float:
    fan = place.fan_in if mode == "fan_in" else place.fan_out
    if nonlinearity == "model":
        return place.gain / math.sqrt(fan)
    return nn.init.calculate_gain(nonlinearity, a) / math.sqrt(fan)  # type: ignore[arg-type]


def _symmetric(weight: Tensor, bound: float) -> None:
    nn.init.uniform_(weight, -bound, bound)
