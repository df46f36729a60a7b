"""The step of networks with auxiliary classifiers: their losses are added to the main one, with a weight.

L = L(main) + w sum_i L(auxiliary_i)        Szegedy et al. 2014 (arXiv 1409.4842), section 5: w = 0.3
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from limpid.training.step import Batch, Objective, train_step


class AuxiliaryObjective:
    """An objective for outputs with `main`, `auxiliary` and `weight`; plain outputs pass to the inner one."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def loss(self, outputs: Any, target: Tensor) -> Tensor:
        if isinstance(outputs, Tensor):
            return self.objective.loss(outputs, target)
        loss = self.objective.loss(outputs.main, target)
        for auxiliary in outputs.auxiliary:
            loss = loss + outputs.weight * self.objective.loss(auxiliary, target)
        return loss


def auxiliary_step(
    model: nn.Module, objective: Objective, optimizer: torch.optim.Optimizer, batch: Batch, **options: Any
) -> Tensor:
    """`train_step` on the sum of all losses, which is also what it returns."""
    return train_step(model, AuxiliaryObjective(objective), optimizer, batch, **options)
