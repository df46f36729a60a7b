"""Linear models with their explicit solution: least squares and ridge, for regression and for classes.

The step adds up sums over the batches; when all rows of the training split have been seen, the weights are the
solution (normal_equations.py). Targets of a regression are standardised. Classes are 0 and 1, one output each: the
solution then estimates their shares, and the network gives the shares' logits (class_shares.py).

Shapes: B rows of a batch, N rows of the training split, F features, K outputs, D folds.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models.class_shares import ShareLogits, wanted_values
from limpid.models.feature_maps import build_features
from limpid.models.normal_equations import STRENGTHS_PER_ROW, Sums, solve, validation_errors
from limpid.spec import DataSpec

MOST_FEATURES = 8000  # the sums then take 0.5 GB per fold, and a decomposition some minutes
PIECE = 4096  # rows that are held in float64 at once


class SolvedLinear(nn.Module):
    """features -> linear -> shares as logits. `strength` is the one that the solution used."""

    strength: Tensor

    def __init__(self, spec: DataSpec, *, features: str, strength: float | None, folds: int) -> None:
        super().__init__()
        self.features, width = build_features(features, spec)
        if width > MOST_FEATURES:
            raise ModelError(
                f"An explicit solution for {width:,} numbers per sample needs sums of {width:,} x {width:,}. "
                f"Use at most {MOST_FEATURES:,} (data.components, data.image_size), or model.name=linear."
            )
        self.linear = nn.Linear(width, spec.num_outputs)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.answer = ShareLogits(spec.task)
        self.spec = spec
        self.given_strength = strength
        self.folds = folds if strength is None else 1
        self.register_buffer("strength", torch.tensor(math.nan if strength is None else strength))

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(self.linear(self.features(x)))

    @torch.no_grad()
    def solve(self, folds: list[Sums]) -> None:
        """Set the weights from the sums of every fold."""
        total = sum(folds[1:], folds[0])
        strength = self.given_strength
        if strength is None:
            candidates = tuple(share * float(total.count) for share in STRENGTHS_PER_ROW)
            strength = candidates[int(validation_errors(folds, candidates).argmin())]
        ((theta_FK, b_K),) = solve(total, (strength,))
        self.linear.weight.copy_(theta_FK.t())
        self.linear.bias.copy_(b_K)
        self.strength.fill_(strength)


def build_least_squares(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """Ordinary least squares, of smallest length where it is not unique."""
    return SolvedLinear(spec, features=config.options["features"], strength=0.0, folds=1)


def build_ridge(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """Ridge with the given strength, or the one with the least error over `folds` parts of the training rows."""
    strength = config.options["strength"]
    if strength is not None and (isinstance(strength, bool) or not isinstance(strength, int | float)):
        raise ModelError(f"model.strength={strength!r}: expected a number of at least 0, or nothing to have it chosen.")
    return SolvedLinear(spec, features=config.options["features"], strength=strength, folds=config.options["folds"])


def solve_step(model: Any, objective: Any, optimizer: torch.optim.Optimizer, batch: Any, **_: Any) -> Tensor:
    """Add the batch to the sums; with the last row of the epoch, solve. Returns the mean loss of the batch afterwards.

    Row i of the training split belongs to fold i mod D, whatever the order of the epoch. The signature is that of
    training/step.py's train_step; precision, clipping and accumulation have no meaning here.
    """
    body: SolvedLinear = model.body
    memory: dict[str, Any] = optimizer.param_groups[0]["memory"]
    device = batch.target.device
    folds = [Sums(*(tensor.to(device) for tensor in tensors)) for tensors in memory.get("folds", [])]
    with torch.no_grad():
        x_BF = body.features(model.scale(batch.inputs[0]))
        y_BK = wanted_values(batch.target, body.spec)
        for fold in range(body.folds):
            own = (batch.index % body.folds == fold).nonzero().flatten()
            for part in own.split(PIECE) if len(own) else (own,):
                sums = Sums.of(x_BF[part], y_BK[part])
                if fold < len(folds):
                    folds[fold] = folds[fold] + sums
                else:
                    folds.append(sums)
    memory["rows"] = memory.get("rows", 0) + len(batch.target)
    memory["folds"] = [list(fold.tensors()) for fold in folds]
    if memory["rows"] >= body.spec.num_train:
        body.solve(folds)
        memory.clear()
    with torch.no_grad():
        loss: Tensor = objective.loss(model(*batch.inputs), batch.target)
    return loss
