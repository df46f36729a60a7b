"""Dropout in its forms: random units or channels stay silent while the network learns.

    inverted (torch's nn.Dropout)   training: m x / keep      use: x
    classic  (Srivastava 2014)      training: m x             use: keep x        m ~ Bernoulli(keep), keep = 1 - drop

Both give the same output in expectation. In the classic form training sees activations that are not scaled up, so the
layers after it start with a weaker signal.

Shapes: B batch, T steps of a sequence, F features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn

from limpid.errors import ConfigError


def make_dropout(form: str, drop: float) -> nn.Module:
    """A dropout layer by the name of its form: inverted, classic, alpha (for SELU), spatial or variational.

    Spatial dropout silences whole channels of (B, C, H, W), variational the same features at every step of (B, T, F).
    """
    forms: dict[str, Callable[[float], nn.Module]] = {
        "inverted": nn.Dropout,
        "classic": ClassicDropout,
        "alpha": nn.AlphaDropout,
        "spatial": nn.Dropout2d,
        "variational": VariationalDropout,
    }
    return forms[form](drop)


@final
class ClassicDropout(nn.Module):
    """m x in training, keep x in use (Srivastava et al. 2014, section 4).

    Args:
        drop: probability that a unit is silent; or
        keep: probability that it is not.
    """

    def __init__(self, drop: float | None = None, *, keep: float | None = None) -> None:
        super().__init__()
        self.drop = drop_share(drop, keep)

    def forward(self, x: Tensor) -> Tensor:
        keep = 1.0 - self.drop
        return x * torch.empty_like(x).bernoulli_(keep) if self.training else x * keep

    def extra_repr(self) -> str:
        return f"drop={self.drop}"


@final
class VariationalDropout(nn.Module):
    """Inverted dropout with one mask for all steps of a sequence (B, T, F) (Gal & Ghahramani 2016, arXiv 1512.05287).

    A mask that changes from step to step would disturb what a recurrent network is to remember.

    Args:
        drop: probability that a feature is silent; or
        keep: probability that it is not.
        time_dim: dimension of the steps, 0 for (T, B, F).
    """

    def __init__(self, drop: float | None = None, *, keep: float | None = None, time_dim: int = 1) -> None:
        super().__init__()
        self.drop = drop_share(drop, keep)
        self.time_dim = time_dim

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.drop == 0.0:
            return x
        shape = list(x.shape)
        shape[self.time_dim] = 1
        keep = 1.0 - self.drop
        return x * x.new_empty(shape).bernoulli_(keep).div_(keep)

    def extra_repr(self) -> str:
        return f"drop={self.drop}"


def drop_share(drop: float | None, keep: float | None) -> float:
    """The share that is dropped, told either way.

    Raises ConfigError unless exactly one of both is given, within [0, 1).
    """
    if (drop is None) == (keep is None):
        raise ConfigError("Dropout: give either the share to drop or the share to keep.")
    share = drop if drop is not None else 1.0 - float(keep or 0.0)
    if not 0.0 <= share < 1.0:
        raise ConfigError(f"Dropout: a share of {share:g} cannot be dropped; expected 0 or more, and less than 1.")
    return share
