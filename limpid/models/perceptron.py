"""The perceptron and its rule, one row after another.

    y = 1 if w . x + b > 0 else 0
    w <- w + alpha (d - y) x,    b <- b + alpha (d - y)          for each sample in turn (Rosenblatt 1958)

One unit for two classes, one per class or label otherwise; all weights start at zero. If some (w*, b*) of unit length
leaves a margin gamma on every sample, a unit is corrected at most (R / gamma)^2 times, R the length of the longest
(x, 1) (Novikoff 1962). On other data it never comes to rest.

alpha is the optimiser's learning rate. From zero weights a constant alpha only scales them: every decision is the same.

Shapes: B rows, F features, K units.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models.class_shares import wanted_values
from limpid.models.feature_maps import build_features
from limpid.spec import DataSpec


class Perceptron(nn.Module):
    """Threshold units behind fixed features.

    The outputs are w . x + b over the units' mean |w| (at least 1): their signs and order are those of the units, and
    their size is a distance in feature space, which the objective can read as a logit.
    """

    updates: Tensor

    def __init__(self, features: nn.Module, num_features: int, spec: DataSpec) -> None:
        super().__init__()
        self.features = features
        self.weight = nn.Parameter(torch.zeros(spec.num_outputs, num_features))
        self.bias = nn.Parameter(torch.zeros(spec.num_outputs))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))  # corrections so far, of all units together
        self.spec = spec

    def margins(self, x: Tensor) -> Tensor:
        """w . x + b of every unit, (B, K)."""
        return F.linear(self.features(x).to(self.weight.dtype), self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.margins(x) / self.weight.norm(dim=1).mean().clamp(min=1.0)

    def count_macs(self, inputs: tuple[Tensor, ...], output: Tensor) -> int:
        """Multiply-adds of one forward pass."""
        return len(output) * self.weight.numel()

    @torch.no_grad()
    def learn(self, x: Tensor, target: Tensor, alpha: float) -> int:
        """Show the rows to the units in their order, correcting after each; returns the number of corrections.

        The rule is a chain of tiny steps, each of which waits for the one before, so it runs on the CPU.
        """
        x_BF = self.features(x).float().cpu().numpy()
        wanted_BK = wanted_values(target, self.spec).cpu().numpy() > 0.5
        w_KF, b_K = self.weight.float().cpu().numpy().copy(), self.bias.float().cpu().numpy().copy()
        corrections = 0
        for x_F, wanted_K in zip(x_BF, wanted_BK, strict=True):
            wrong_K = np.flatnonzero((w_KF @ x_F + b_K > 0) != wanted_K)
            if len(wrong_K):
                step_K = np.where(wanted_K[wrong_K], alpha, -alpha).astype(np.float32)
                w_KF[wrong_K] += step_K[:, None] * x_F
                b_K[wrong_K] += step_K
                corrections += len(wrong_K)
        self.weight.copy_(torch.from_numpy(w_KF))
        self.bias.copy_(torch.from_numpy(b_K))
        self.updates += corrections
        return corrections


def build_perceptron(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """Threshold units on the scaled inputs, or on their products or polar form."""
    features, width = build_features(config.options["features"], spec)
    return Perceptron(features, width, spec)


def perceptron_step(model: Any, objective: Any, optimizer: torch.optim.Optimizer, batch: Any, **_: Any) -> Tensor:
    """Apply the rule to the rows of the batch in turn. Returns the mean loss of the batch afterwards, detached.

    The signature is that of training/step.py's train_step. Precision, clipping and accumulation have no meaning here.
    """
    unit: Perceptron = model.body
    unit.learn(model.scale(batch.inputs[0]), batch.target, optimizer.param_groups[0]["lr"])
    with torch.no_grad():
        loss: Tensor = objective.loss(model(*batch.inputs), batch.target)
    return loss


def most_corrections(x_BF: Tensor, positive_B: Tensor, direction: Tensor, offset: float) -> float:
    """(R / gamma)^2, the most corrections that one unit can need on these rows (Novikoff 1962).

    Args:
        x_BF: features.
        positive_B: True for the rows that the unit must answer with 1.
        direction: (F,) a separating w*, of any length.
        offset: its b*.

    Returns infinity where (w*, b*) does not separate the rows.
    """
    x_BG = torch.cat((x_BF, torch.ones_like(x_BF[:, :1])), dim=1).double()
    w_G = torch.cat((direction.double().flatten(), torch.tensor([offset], dtype=torch.float64)))
    margin_B = (x_BG @ (w_G / w_G.norm())) * (positive_B.double() * 2 - 1)
    gamma = margin_B.min().item()
    return x_BG.square().sum(1).max().item() / gamma**2 if gamma > 0 else math.inf
